"""Measurements, and failures to measure: the answers to 'how long does it take there?'."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from .errors import InvalidSettingError
from .platform import Platform


class Source(StrEnum):
    """Where a latency came from: an engine just now, an earlier measurement, or a predictor."""

    MEASURED = "measured"
    DATABASE = "database"
    PREDICTED = "predicted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The latency of one network on one platform at one batch size.

    Guarantees: ``latency_ms`` is finite and positive; the interval holds ``latency_ms``;
    ``source`` says where the number came from and never lies.

    Attributes:
        graph_key: Structural key of the network, in the view that the platform executes.
        platform: Where it runs.
        batch_size: Inputs per run.
        latency_ms: Milliseconds for the whole batch: the median run, or the prediction.
        source: Measured now, looked up, or predicted.
        interval_ms: ``(low, high)`` milliseconds: of a prediction, the interval of stated
            ``coverage``; of a measurement, the quartiles of its runs.
        coverage: Stated probability of the interval of a prediction; None for a measurement.
        std_ms: Standard deviation over the counted runs; None for a prediction.
        n_runs: Number of counted runs; 0 for a prediction.
        host: Machine that measured, such as its CPU model; empty for a prediction.
        taken_at: When it was measured, with a time zone; None for a prediction.
        is_extrapolating: True where the predictor was not trained on networks like this one.
        facts: Further facts (engine version, threads, CPU time, ...), JSON types only.
    """

    graph_key: str
    platform: Platform
    batch_size: int
    latency_ms: float
    source: Source
    interval_ms: tuple[float, float] | None = None
    coverage: float | None = None
    std_ms: float | None = None
    n_runs: int = 0
    host: str = ""
    taken_at: datetime | None = None
    is_extrapolating: bool = False
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if not (math.isfinite(self.latency_ms) and self.latency_ms > 0):
            raise InvalidSettingError(f"expected a finite latency above 0 ms, got {self.latency_ms}")
        if self.batch_size < 1:
            raise InvalidSettingError(f"expected a batch size >= 1, got {self.batch_size}")
        if self.interval_ms is not None and not self.interval_ms[0] <= self.latency_ms <= self.interval_ms[1]:
            raise InvalidSettingError(f"expected an interval around {self.latency_ms} ms, got {self.interval_ms}")
        if self.taken_at is not None and self.taken_at.tzinfo is None:
            raise InvalidSettingError(f"expected a time with a time zone, got {self.taken_at}")

    @property
    def is_measured(self) -> bool:
        """True where an engine ran the network, now or earlier."""
        return self.source is not Source.PREDICTED

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of JSON types, as the command line prints it."""
        document: dict[str, Any] = {
            "graph_key": self.graph_key,
            "platform": str(self.platform),
            "batch_size": self.batch_size,
            "latency_ms": self.latency_ms,
            "interval_ms": list(self.interval_ms) if self.interval_ms else None,
            "source": str(self.source),
        }
        if self.source is Source.PREDICTED:
            return {**document, "coverage": self.coverage, "extrapolating": self.is_extrapolating}
        taken_at = self.taken_at.isoformat() if self.taken_at else None
        document |= {"std_ms": self.std_ms, "n_runs": self.n_runs, "host": self.host}
        return {**document, "taken_at": taken_at, "facts": dict(self.facts)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementFailure:
    """A network that could not be measured: knowledge too, so a value and not an exception.

    Attributes:
        graph_key: Structural key of the network.
        platform: Where it was tried.
        batch_size: Inputs per run.
        stage: What failed: ``convert``, ``rewrite``, ``compile``, ``load``, ``run``, ``compare`` or ``time``.
        reason: What the engine said, one line.
        host: Machine that tried.
        taken_at: When it was tried, with a time zone.
    """

    graph_key: str
    platform: Platform
    batch_size: int
    stage: str
    reason: str
    host: str = ""
    taken_at: datetime | None = None
