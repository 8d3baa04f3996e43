"""Answers from a source that is made when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from ..core import LatencyOracle, ModelGraph, Platform, Spent
from .graph_oracle import Answer, GraphOracle, OnResult


class DeferredOracle(GraphOracle):
    """Makes its oracle on the first query: what stands last in a cascade is often not needed.

    Args:
        platform: The platform of the oracle to come.
        make: Makes it; called at most once.
    """

    def __init__(self, platform: Platform, make: Callable[[], LatencyOracle]) -> None:
        super().__init__(platform)
        self._make = make

    @cached_property
    def inner(self) -> LatencyOracle:
        """The oracle, made now if it was not."""
        return self._make()

    @property
    def spent(self) -> Spent:
        return self.inner.spent if "inner" in self.__dict__ else Spent()

    def _answer(self, graphs: list[ModelGraph], batch_size: int, on_result: OnResult) -> list[Answer]:
        return self.inner.query(graphs, batch_size, on_result)
