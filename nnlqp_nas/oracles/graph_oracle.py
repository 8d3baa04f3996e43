"""What the oracles over model graphs have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from ..core import (
    InvalidSettingError,
    LatencyOracle,
    Measurement,
    MeasurementError,
    MeasurementFailure,
    MissingExtraError,
    ModelGraph,
    Platform,
    Spent,
    UnknownPlatformError,
    UnsupportedError,
)

Answer = Measurement | MeasurementFailure
OnResult = Callable[[Answer], None]


class GraphOracle(LatencyOracle):
    """An oracle over model graphs, in the view that its platform executes.

    A subclass answers for distinct networks only: equal keys in one query are asked once.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._own_spent = Spent()

    @property
    def platform(self) -> Platform:
        return self._platform

    @property
    def spent(self) -> Spent:
        return self._own_spent

    def query(self, models: Sequence[Any], batch_size: int = 1, on_result: OnResult | None = None) -> list[Answer]:
        """Answer for each graph.

        Raises:
            InvalidSettingError: If ``batch_size`` is below 1 or a model is no graph.
            UnsupportedError: If this source can answer for no network at all, here and now.
        """
        if batch_size < 1:
            raise InvalidSettingError(f"expected a batch size >= 1, got {batch_size}")
        stranger = next((model for model in models if not isinstance(model, ModelGraph)), None)
        if stranger is not None:
            raise InvalidSettingError(f"expected model graphs, got {type(stranger).__name__}; nnlqp_nas.load_oracle accepts it")
        distinct = dict(zip(ModelGraph.keys_of(models), models, strict=True))
        if not distinct:
            return []
        answers = dict(zip(distinct, self._answer(list(distinct.values()), batch_size, on_result or _ignore), strict=True))
        return [answers[graph.key] for graph in models]

    @abstractmethod
    def _answer(self, graphs: list[ModelGraph], batch_size: int, on_result: OnResult) -> list[Answer]:
        """Answer for each of these distinct graphs, at least one, and call ``on_result`` once for each."""


def ask(oracle: LatencyOracle, graphs: list[ModelGraph], batch_size: int, on_result: OnResult) -> list[Answer]:
    """Query an oracle that others may stand in for: a source that cannot answer at all is a failure for each graph."""
    try:
        return oracle.query(graphs, batch_size, on_result)
    except (UnsupportedError, MissingExtraError, MeasurementError, UnknownPlatformError) as error:
        reason = str(error)
        return [
            MeasurementFailure(graph_key=graph.key, platform=oracle.platform, batch_size=batch_size, stage="load", reason=reason)
            for graph in graphs
        ]


def _ignore(_: Answer) -> None:
    pass
