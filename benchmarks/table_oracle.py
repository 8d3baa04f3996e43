"""Published tables in the place of a device: its true latencies, few-shot predictions of them, accuracies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnlqp_nas.core import (
    Architecture,
    LatencyPredictor,
    LatencyTable,
    Measurement,
    MeasurementFailure,
    ModelGraph,
    Platform,
    Prediction,
    Source,
    UnsupportedError,
)
from nnlqp_nas.oracles.graph_oracle import Answer, GraphOracle, OnResult
from nnlqp_nas.quality import Quality
from nnlqp_nas.transfer import COVERAGE, Features, FewShotModel

Describe = Callable[[Sequence[ModelGraph]], Features]


class TruthOracle(GraphOracle):
    """Answers as a measurement would, from a function of a network's key, and counts the distinct networks it was asked for.

    Args:
        platform: The device.
        latency_ms: Key and graph to milliseconds; NaN where the table has no valid value.
    """

    def __init__(self, platform: Platform, latency_ms: Callable[[ModelGraph], float]) -> None:
        super().__init__(platform)
        self._latency_ms = latency_ms
        self.asked: set[str] = set()

    def _answer(self, graphs: list[ModelGraph], batch_size: int, on_result: OnResult) -> list[Answer]:
        self.asked |= {graph.key for graph in graphs}
        answers = [self._measure(graph, batch_size) for graph in graphs]
        for answer in answers:
            on_result(answer)
        return answers

    def _measure(self, graph: ModelGraph, batch_size: int) -> Answer:
        facts: dict[str, Any] = {"graph_key": graph.key, "platform": self.platform, "batch_size": batch_size}
        latency_ms = self._latency_ms(graph)
        if not np.isfinite(latency_ms):
            return MeasurementFailure(**facts, stage="run", reason="no valid value in the published table")
        return Measurement(**facts, latency_ms=latency_ms, source=Source.MEASURED, host="published table")


@dataclass(frozen=True, eq=False)
class TransferPredictor(LatencyPredictor):
    """The few-shot transfer on features that a benchmark computes; see :class:`FewShotModel`.

    Attributes:
        describe: Features of graphs; they depend on nothing measured on the target.
        models: What was learned, by platform.
        is_calibrated: Whether intervals are to hold as often as they say, which takes five further fits.
    """

    describe: Describe
    models: Mapping[Platform, FewShotModel] = field(default_factory=dict)
    is_calibrated: bool = True

    name = "transfer"

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(sorted(self.models))

    def adapt(self, platform: Platform, graphs: Sequence[ModelGraph], latency_ms: ArrayLike, batch_size: int = 1) -> Self:  # noqa: ARG002
        model = FewShotModel.fit(self.describe(graphs), latency_ms, self.is_calibrated)
        return replace(self, models={**self.models, platform: model})

    def _predict(self, graphs: Sequence[ModelGraph], platform: Platform, batch_size: int) -> Prediction:  # noqa: ARG002
        log_ms, margin = self.models[platform].predict(self.describe(graphs))
        near = np.zeros(len(graphs), dtype=bool)
        return Prediction(np.exp(log_ms), np.exp(log_ms - margin), np.exp(log_ms + margin), near, COVERAGE)

    def fit(self, tables: Sequence[LatencyTable], seed: int = 0) -> Self:
        raise UnsupportedError(f"expected adapt(), got fit() of {len(tables)} tables with seed {seed}")

    def save(self, path: Path) -> None:
        raise UnsupportedError(f"expected a predictor that is kept nowhere, got {path}")

    @classmethod
    def load(cls, path: Path) -> Self:
        raise UnsupportedError(f"expected a predictor that is kept nowhere, got {path}")


class TableQuality(Quality):
    """Looks the quality of architectures up, and keeps the order in which distinct ones were asked for.

    Args:
        values: Quality by architecture, or a function of it.
        name: Name of the quality.
        metric: What the values are.
    """

    def __init__(self, values: Mapping[Architecture, float] | Callable[[Architecture], float], name: str, metric: str) -> None:
        self._look_up = values if callable(values) else values.__getitem__
        self.name = name
        self.metric = metric
        self.asked: dict[Architecture, float] = {}

    def evaluate(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        for architecture in architectures:
            self.asked.setdefault(architecture, float(self._look_up(architecture)))
        return np.array([self.asked[architecture] for architecture in architectures], dtype=np.float64)
