"""Converted networks on disk, so that platforms which read the same file share one conversion."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

_Complaint = TypeVar("_Complaint")


class Artefacts:
    """Keeps the folders of the networks used last: the ONNX file, and what engines compiled from it.

    Args:
        n_kept: Number of networks; the one used longest ago goes when another comes.
    """

    def __init__(self, n_kept: int = 1) -> None:
        self._n_kept = n_kept
        self._folders: OrderedDict[tuple[str, int], tempfile.TemporaryDirectory[str]] = OrderedDict()

    def folder(self, graph_key: str, batch_size: int) -> Path:
        """Return the folder of a network, empty where it is new."""
        at = graph_key, batch_size
        if at not in self._folders:
            while len(self._folders) >= self._n_kept:
                self._folders.popitem(last=False)[1].cleanup()
            self._folders[at] = tempfile.TemporaryDirectory(prefix="nnlqp-nas-", ignore_cleanup_errors=True)
        self._folders.move_to_end(at)
        return Path(self._folders[at].name)

    def close(self) -> None:
        """Remove all folders."""
        while self._folders:
            self._folders.popitem()[1].cleanup()

    def __enter__(self) -> Artefacts:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def made_once(folder: Path, name: str, make: Callable[[], _Complaint | None]) -> _Complaint | None:
    """Call ``make`` unless it succeeded here before; return its complaint, or None where ``name`` stands whole.

    Args:
        folder: Where ``make`` leaves what it makes.
        name: What that is; makers of the same name stand in for each other.
        make: Returns None where it succeeded.
    """
    mark = folder / f"{name}.whole"
    if mark.exists():
        return None
    complaint = make()
    if complaint is None:
        mark.touch()
    return complaint
