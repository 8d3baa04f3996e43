"""Answers from the first source that has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add

from ..core import InvalidSettingError, LatencyOracle, MeasurementFailure, ModelGraph, Spent
from .graph_oracle import Answer, GraphOracle, OnResult, ask


class CascadeOracle(GraphOracle):
    """Asks one oracle after another, each for what those before it could not answer.

    A network that none could answer is a failure with the reasons of all.

    Args:
        oracles: At least one, all of one platform, the preferred first.

    Raises:
        InvalidSettingError: If there is none, or they are of several platforms.
    """

    def __init__(self, oracles: Sequence[LatencyOracle]) -> None:
        platforms = sorted({str(oracle.platform) for oracle in oracles})
        if len(platforms) != 1:
            raise InvalidSettingError(f"expected oracles of one platform, got {platforms or 'none'}")
        super().__init__(oracles[0].platform)
        self.oracles = tuple(oracles)

    @property
    def spent(self) -> Spent:
        return reduce(add, (oracle.spent for oracle in self.oracles))

    def _answer(self, graphs: list[ModelGraph], batch_size: int, on_result: OnResult) -> list[Answer]:
        answers: dict[str, Answer] = {}
        open_graphs = graphs
        for oracle in self.oracles:
            for graph, answer in zip(open_graphs, ask(oracle, open_graphs, batch_size, _successes(on_result)), strict=True):
                answers[graph.key] = _joined(answers.get(graph.key), answer)
            open_graphs = [graph for graph in open_graphs if isinstance(answers[graph.key], MeasurementFailure)]
            if not open_graphs:
                break
        for graph in open_graphs:
            on_result(answers[graph.key])
        return [answers[graph.key] for graph in graphs]


def _successes(on_result: OnResult) -> OnResult:
    return lambda answer: None if isinstance(answer, MeasurementFailure) else on_result(answer)


def _joined(before: Answer | None, answer: Answer) -> Answer:
    if isinstance(before, MeasurementFailure) and isinstance(answer, MeasurementFailure):
        return replace(before, reason=f"{before.reason}; {answer.reason}")
    return answer
