"""Values that a process has found and its storage does not hold yet: they outlive the process.

A storage takes tens of milliseconds to write a trial. A process that is killed meanwhile has evaluated a network for nothing,
unless its values stand somewhere: in a file of the user's own in the folder for temporary files, written in one piece as soon
as they are known. Whoever finds the dead process's claim on the same machine takes them from there.
"""

from __future__ import annotations

import json
import math
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path


def keep_values(token: str, values: Sequence[float]) -> None:
    """Write the values of a claim; where that cannot be, nothing is written, and a kill may cost an evaluation."""
    folder = _folder()
    if folder is None:
        return
    try:
        (folder / token).write_bytes(json.dumps([float(value) for value in values]).encode())
    except OSError:
        return


def kept_values(token: str) -> list[float] | None:
    """Return the values of a claim; None where there are none, or what stands there is no list of numbers."""
    folder = _folder()
    if folder is None or not token.isalnum():
        return None
    try:
        values = json.loads((folder / token).read_bytes())
    except (OSError, ValueError):
        return None
    is_numbers = isinstance(values, list) and values and all(isinstance(one, float) and math.isfinite(one) for one in values)
    return values if is_numbers else None


def drop_values(token: str) -> None:
    """Forget the values of a claim that the storage holds now."""
    folder = _folder()
    if folder is not None and token.isalnum():
        (folder / token).unlink(missing_ok=True)


def _folder() -> Path | None:
    """Return a folder that nobody else may read or write; None where there is no such folder."""
    user = os.getuid() if hasattr(os, "getuid") else ""
    folder = Path(tempfile.gettempdir()) / f"nnlqp-nas-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    is_mine = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == stat.S_IRWXU)
    return folder if stat.S_ISDIR(found.st_mode) and is_mine else None
