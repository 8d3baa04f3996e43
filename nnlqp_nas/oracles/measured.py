"""Answers from true measurements."""

from __future__ import annotations

import time
from dataclasses import replace

from ..core import Measurement, MeasurementBackend, ModelGraph, TimingProtocol, UnsupportedError
from .graph_oracle import Answer, GraphOracle, OnResult


class MeasuredOracle(GraphOracle):
    """Runs every network.

    Args:
        backend: What runs them.
        protocol: How to time; None takes the defaults.
    """

    def __init__(self, backend: MeasurementBackend, protocol: TimingProtocol | None = None) -> None:
        super().__init__(backend.platform)
        self.backend = backend
        self.protocol = protocol

    def _answer(self, graphs: list[ModelGraph], batch_size: int, on_result: OnResult) -> list[Answer]:
        """Measure each network.

        Raises:
            UnsupportedError: If this machine cannot measure the platform.
        """
        reason = self.backend.unavailable_reason()
        if reason is not None:
            raise UnsupportedError(f"{self.platform} cannot be measured here: {reason}")
        answers: list[Answer] = []

        def count(answer: Answer) -> None:
            answers.append(answer)
            on_result(answer)

        begin_s = time.perf_counter()
        try:
            return self.backend.measure(graphs, self.protocol, batch_size, count)
        finally:
            # Seconds that an interrupted measurement took were spent too.
            self._own_spent = replace(
                self._own_spent,
                device_s=self._own_spent.device_s + time.perf_counter() - begin_s,
                n_measured=self._own_spent.n_measured + sum(isinstance(answer, Measurement) for answer in answers),
            )
