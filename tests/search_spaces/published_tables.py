"""Where the published tables lie; tests that need them skip with a reason where they are absent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(os.environ.get("NNLQP_NAS_DATA") or Path(__file__).parents[3] / "shared" / "data")


def read_table(name: str, columns: list[str]) -> list[dict[str, Any]]:
    """Return the rows of a published table, or skip the test."""
    path = FOLDER / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"no published table at {path}: set NNLQP_NAS_DATA to their folder")
    from pyarrow import parquet

    return parquet.read_table(path, columns=columns).to_pylist()
