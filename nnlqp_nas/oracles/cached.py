"""Answers from the database first, and what others measured kept there."""

from __future__ import annotations

import time
from dataclasses import replace

from ..core import LatencyDatabase, LatencyOracle, Measurement, MeasurementFailure, ModelGraph, Source, Spent
from .graph_oracle import Answer, GraphOracle, OnResult, ask

_LONGEST_UNSAVED_S = 1.0


class CachedOracle(GraphOracle):
    """Looks every network up, asks ``inner`` for the rest at once, and stores what was measured.

    Where ``inner`` cannot answer at all (its engine is not installed), the networks that the
    database does not know are failures, which are not stored: they say nothing of the network.

    Args:
        inner: Who answers what the database does not know.
        database: Where to look and to store.
        host: Answer from this machine's rows only; None takes any machine's.
    """

    def __init__(self, inner: LatencyOracle, database: LatencyDatabase, host: str | None = None) -> None:
        super().__init__(inner.platform)
        self.inner = inner
        self.database = database
        self.host = host

    @property
    def spent(self) -> Spent:
        return self._own_spent + self.inner.spent

    def _answer(self, graphs: list[ModelGraph], batch_size: int, on_result: OnResult) -> list[Answer]:
        found = self.database.look_up([graph.key for graph in graphs], self.platform, batch_size, self.host)
        answers: dict[str, Answer] = {row.graph_key: row for row in found if row is not None}
        self._own_spent = replace(self._own_spent, n_looked_up=self._own_spent.n_looked_up + len(answers))
        for answer in answers.values():
            on_result(answer)
        misses = [graph for graph in graphs if graph.key not in answers]
        if misses:
            answers |= zip((graph.key for graph in misses), self._ask(misses, batch_size, on_result), strict=True)
        return [answers[graph.key] for graph in graphs]

    def _ask(self, misses: list[ModelGraph], batch_size: int, on_result: OnResult) -> list[Answer]:
        keeper = _Keeper(self.database)

        def keep(answer: Answer) -> None:
            keeper.take(answer)
            on_result(answer)

        try:
            return ask(self.inner, misses, batch_size, keep)
        finally:
            keeper.store()


class _Keeper:
    """Stores results as they come, so that a killed run loses a second of them and not all."""

    def __init__(self, database: LatencyDatabase) -> None:
        self._database = database
        self._unsaved: list[Answer] = []
        self._saved_at_s = time.monotonic()

    def take(self, answer: Answer) -> None:
        if isinstance(answer, MeasurementFailure) or (isinstance(answer, Measurement) and answer.source is Source.MEASURED):
            self._unsaved.append(answer)
        if time.monotonic() - self._saved_at_s > _LONGEST_UNSAVED_S:
            self.store()

    def store(self) -> None:
        unsaved, self._unsaved = self._unsaved, []
        if unsaved:
            self._database.add(unsaved)
        self._saved_at_s = time.monotonic()
