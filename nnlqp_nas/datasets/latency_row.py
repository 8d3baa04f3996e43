"""Rows of a latency data set: a network by space and code, and what was measured of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core import Architecture, InvalidSettingError, Measurement, MeasurementFailure

_SCHEMA = pa.schema(
    [
        ("space", pa.string()),
        ("settings", pa.string()),
        ("code", pa.string()),
        ("graph_key", pa.string()),
        ("platform", pa.string()),
        ("batch_size", pa.int32()),
        ("latency_ms", pa.float64()),
        ("raw_ms", pa.float64()),
        ("drift", pa.float64()),
        ("std_ms", pa.float64()),
        ("low_ms", pa.float64()),
        ("high_ms", pa.float64()),
        ("n_runs", pa.int32()),
        ("host", pa.string()),
        ("taken_at", pa.string()),
        ("facts", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRow:
    """One measurement, or one failure, of a member of a search space.

    The network is not stored: ``load_space(space, **settings)`` makes it again from its code, and
    ``graph_key`` proves that it is the same.

    Attributes:
        space: Name of the search space or family.
        settings: Arguments of the space, JSON.
        code: The architecture's digits, joined by hyphens.
        graph_key: Structural key in the platform's view.
        platform: Platform name.
        batch_size: Inputs per run.
        latency_ms: Median of the runs, corrected for the machine's drift; None where it failed.
        raw_ms: The same as it was measured; None where nothing was corrected.
        drift: How much slower than usual the machine was: ``raw_ms / latency_ms``.
        std_ms, low_ms, high_ms: Standard deviation and quartiles of the runs.
        n_runs: Number of counted runs.
        host: Machine that measured.
        taken_at: ISO time, UTC.
        facts: Further facts, JSON.
        stage, reason: What failed, and why; empty where it did not.
    """

    space: str
    settings: str
    code: str
    graph_key: str
    platform: str
    batch_size: int
    latency_ms: float | None = None
    raw_ms: float | None = None
    drift: float = 1.0
    std_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    n_runs: int = 0
    host: str = ""
    taken_at: str = ""
    facts: str = "{}"
    stage: str = ""
    reason: str = ""

    @classmethod
    def of(cls, architecture: Architecture, settings: dict[str, Any], result: Measurement | MeasurementFailure) -> LatencyRow:
        """Return the row of a result."""
        common: dict[str, Any] = {
            "space": architecture.space,
            "settings": json.dumps(settings, sort_keys=True),
            "code": "-".join(map(str, architecture.code)),
            "graph_key": result.graph_key,
            "platform": str(result.platform),
            "batch_size": result.batch_size,
            "host": result.host,
            "taken_at": result.taken_at.isoformat() if result.taken_at else "",
        }
        if isinstance(result, MeasurementFailure):
            return cls(**common, stage=result.stage, reason=result.reason)
        low, high = result.interval_ms or (None, None)
        timed: dict[str, Any] = {
            "latency_ms": result.latency_ms,
            "std_ms": result.std_ms,
            "low_ms": low,
            "high_ms": high,
            "n_runs": result.n_runs,
        }
        return cls(**common, **timed, facts=json.dumps(dict(result.facts), sort_keys=True))

    @property
    def architecture(self) -> Architecture:
        """The member of the space."""
        return Architecture.from_key(f"{self.space}:{self.code}")

    @property
    def identity(self) -> tuple[str, str, str, str, int]:
        """What was measured where; equal for repeated measurements."""
        return self.space, self.settings, self.code, self.platform, self.batch_size

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, line: str) -> LatencyRow:
        """Read what :meth:`to_json` wrote.

        Raises:
            InvalidSettingError: If ``line`` is not of that form.
        """
        try:
            return cls(**json.loads(line))
        except (TypeError, ValueError) as error:
            raise InvalidSettingError(f"expected a latency row as JSON, got {line[:60]!r}") from error


def write_rows(path: Path, rows: Iterable[LatencyRow]) -> None:
    """Write rows as parquet, whole or not at all."""
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=_SCHEMA)
    draft = path.with_suffix(".draft")
    pq.write_table(table, draft, compression="zstd")
    draft.replace(path)


def read_rows(paths: Sequence[Path]) -> list[LatencyRow]:
    """Read rows of parquet files.

    Raises:
        InvalidSettingError: If a file is not a latency data set.
    """
    rows: list[LatencyRow] = []
    for path in paths:
        try:
            rows += [LatencyRow(**row) for row in pq.read_table(path).to_pylist()]
        except (pa.ArrowException, OSError, TypeError) as error:
            raise InvalidSettingError(f"expected a latency data set in parquet, got {path}: {error}") from error
    return rows
