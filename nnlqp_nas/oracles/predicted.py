"""Answers from a predictor."""

from __future__ import annotations

from dataclasses import replace

from ..core import LatencyPredictor, Measurement, ModelGraph, Platform, Source, UnknownPlatformError
from .graph_oracle import Answer, GraphOracle, OnResult


class PredictedOracle(GraphOracle):
    """Predicts every network, all of a query in one batch.

    Args:
        predictor: What predicts.
        platform: One of its platforms.

    Raises:
        UnknownPlatformError: If ``predictor`` does not know ``platform``.
    """

    def __init__(self, predictor: LatencyPredictor, platform: Platform) -> None:
        if platform not in predictor.platforms:
            raise UnknownPlatformError.among("platform", str(platform), map(str, predictor.platforms))
        super().__init__(platform)
        self.predictor = predictor

    def _answer(self, graphs: list[ModelGraph], batch_size: int, on_result: OnResult) -> list[Answer]:
        answers: list[Answer] = list(predict_measurements(self.predictor, graphs, self.platform, batch_size))
        self._own_spent = replace(self._own_spent, n_predicted=self._own_spent.n_predicted + len(graphs))
        for answer in answers:
            on_result(answer)
        return answers


def predict_measurements(
    predictor: LatencyPredictor, graphs: list[ModelGraph], platform: Platform, batch_size: int = 1
) -> list[Measurement]:
    """Return the predictions for graphs as measurements whose source is ``predicted``.

    Raises:
        UnknownPlatformError: If ``predictor`` does not know ``platform``.
        InvalidSettingError: If ``batch_size`` is below 1.
    """
    prediction = predictor.predict(graphs, platform, batch_size)
    columns = (prediction.latency_ms, prediction.low_ms, prediction.high_ms, prediction.is_extrapolating)
    return [
        Measurement(
            graph_key=graph.key,
            platform=platform,
            batch_size=batch_size,
            latency_ms=latency_ms,
            source=Source.PREDICTED,
            interval_ms=(low_ms, high_ms),
            coverage=prediction.coverage,
            is_extrapolating=is_extrapolating,
        )
        for graph, latency_ms, low_ms, high_ms, is_extrapolating in zip(graphs, *(column.tolist() for column in columns), strict=True)
    ]
