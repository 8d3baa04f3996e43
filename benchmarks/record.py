"""Keeps the result of an experiment, with the machine, the commit and the date."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nnlqp_nas.backends import host_facts

RESULTS = Path(__file__).parent / "results"


def record(name: str, result: Mapping[str, Any], is_quick: bool, is_json: bool) -> dict[str, Any]:
    """Complete a result and keep it as ``results/<name>.json``, unless the run was a quick one.

    Args:
        name: Name of the experiment.
        result: What it found, JSON types only.
        is_quick: A quick run shows that the command works; its figures are not kept.
        is_json: Print the document on standard output.

    Returns:
        The document: the result, with ``experiment``, ``machine``, ``commit``, ``date`` and ``quick``.
    """
    command = " ".join(["python -m", f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]])
    document = {"experiment": name, "command": command, "quick": is_quick, **provenance(), **result}
    if not is_quick:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    if is_json:
        print(json.dumps(document))
    return document


def provenance() -> dict[str, Any]:
    """Return date, commit and machine, JSON types only."""
    return {"date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": _commit(), "machine": host_facts()}


def _commit() -> str | None:
    """Short hash of the commit, with ``+`` where tracked files differ from it; None outside a repository."""
    here = Path(__file__).parent
    try:
        answer = subprocess.run(["git", "describe", "--always", "--dirty=+"], cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
