"""The contract of a latency oracle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .measurement import Measurement, MeasurementFailure
from .platform import Platform


@dataclass(frozen=True, slots=True)
class Spent:
    """What the answers of an oracle have cost so far.

    Attributes:
        device_s: Seconds of measuring on a device.
        n_measured: Networks measured.
        n_looked_up: Networks answered by the database.
        n_predicted: Networks answered by a predictor.
    """

    device_s: float = 0.0
    n_measured: int = 0
    n_looked_up: int = 0
    n_predicted: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.device_s + other.device_s,
            self.n_measured + other.n_measured,
            self.n_looked_up + other.n_looked_up,
            self.n_predicted + other.n_predicted,
        )


class LatencyOracle(ABC):
    """Answers how long networks take on one platform, from whatever source it has.

    Guarantees (``nnlqp_nas.testing.LatencyOracleContract`` tests them):

    * as many answers as models, in the same order;
    * every answer says where it came from;
    * :attr:`spent` never shrinks and counts every second of measuring.
    """

    @property
    @abstractmethod
    def platform(self) -> Platform:
        """The platform that the answers are for."""

    @property
    @abstractmethod
    def spent(self) -> Spent:
        """What the answers have cost so far."""

    @abstractmethod
    def query(
        self,
        models: Sequence[Any],
        batch_size: int = 1,
        on_result: Callable[[Measurement | MeasurementFailure], None] | None = None,
    ) -> list[Measurement | MeasurementFailure]:
        """Answer for each model.

        Args:
            models: n model graphs; what else is welcome, the implementation says.
            batch_size: Inputs per run.
            on_result: Called with each answer as soon as it is there, once a distinct network.

        Returns:
            n answers in the order of ``models``. A measurement that failed, and that no other
            source could replace, is a :class:`MeasurementFailure`.
        """
