"""A search problem small enough to be solved by enumeration."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from nnlqp_nas.core import Architecture, LatencyOracle, Measurement, MeasurementFailure, ModelGraph, Platform, Source, Spent
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.quality import CallableQuality
from nnlqp_nas.search import SearchProblem
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

PLATFORM = Platform.parse("cpu-formula-fp32")
SPACE = NasBench201(n_cells=1)
BUDGET_MS = 3.0
_WORTH = (0.0, 1.0, 3.0, 5.0, 2.0)


class FormulaOracle(LatencyOracle):
    """Latency as a formula of the network's MACs and length, with an interval of 10 %; counts its queries."""

    def __init__(self, source: Source = Source.PREDICTED, factor: float = 1.0) -> None:
        self.n_queries = 0
        self._source = source
        self._factor = factor

    @property
    def platform(self) -> Platform:
        return PLATFORM

    @property
    def spent(self) -> Spent:
        return Spent()

    def query(self, models: Sequence[Any], batch_size: int = 1, on_result: Any = None) -> list[Measurement | MeasurementFailure]:
        self.n_queries += 1
        return [self._answer(graph, batch_size) for graph in models]

    def _answer(self, graph: ModelGraph, batch_size: int) -> Measurement:
        latency_ms = self._factor * latency_of(graph)
        interval_ms = (0.9 * latency_ms, 1.1 * latency_ms)
        return Measurement(
            graph_key=graph.key,
            platform=PLATFORM,
            batch_size=batch_size,
            latency_ms=latency_ms,
            source=self._source,
            interval_ms=interval_ms,
        )


def latency_of(graph: ModelGraph) -> float:
    return 0.02 * len(graph) + graph_cost(graph).macs / 1e7


def accuracy_of(architecture: Architecture) -> float:
    """A function of the cell with interactions: it is not enough to choose each edge alone."""
    a, b, c, d, e, f = (_WORTH[digit] for digit in architecture.code)
    return 60 + 2 * d + min(a, e) + min(b, f) + 0.5 * min(a, c, f)


def make_problem(function: Any = accuracy_of, **settings: Any) -> SearchProblem:
    oracle = settings.pop("oracle", None) or FormulaOracle()
    return SearchProblem(
        SPACE, oracle, CallableQuality(function), **{"budget_ms": BUDGET_MS, "n_trials": 150, "max_priced": 1500, **settings}
    )


def enumerate_feasible(budget_ms: float = BUDGET_MS) -> list[tuple[float, float]]:
    """Return (latency, accuracy) of every member whose interval is within the budget."""
    members = (Architecture(SPACE.name, code) for code in product(range(5), repeat=6))
    priced = ((latency_of(SPACE.graph(member)), accuracy_of(member)) for member in members)
    return [(latency_ms, accuracy) for latency_ms, accuracy in priced if 1.1 * latency_ms <= budget_ms]
