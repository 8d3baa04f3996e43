"""Budgets: what a network may take, of time on a platform or of anything else that its graph tells."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from ..core import Architecture, GraphView, InvalidSettingError, LatencyOracle, MeasurementFailure, SearchSpace, UnknownNameError
from ..graphs import OperatorCost, graph_costs
from ..graphs.cost import NUMBER_BYTES
from .chance import DEFAULT_PROBABILITY, bound_ms, check_probability


@dataclass(frozen=True, slots=True)
class Use:
    """What one network takes of a budget.

    Attributes:
        value: As the budget counts it.
        bound: What it stays within with the budget's probability; the value itself where that is exact.
    """

    value: float
    bound: float


class Budget(ABC):
    """Something that networks take, and the most of it that one may take.

    Attributes:
        limit: The most.
    """

    limit: float

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of what is taken, with its unit, such as ``params``."""

    @abstractmethod
    def price(self, space: SearchSpace, architectures: Sequence[Architecture], batch_size: int = 1) -> list[Use | None]:
        """Return what each network takes, in order; None where that cannot be told, so that it does not fit."""

    def excess(self, use: Use | None) -> float:
        """Return the share by which a use is above the limit, <= 0 where it fits; 1 where it is not known."""
        return 1.0 if use is None else use.bound / self.limit - 1.0


@dataclass(frozen=True)
class LatencyBudget(Budget):
    """The time that a network may take on a further platform.

    Attributes:
        oracle: Tells latencies of model graphs there.
        limit: Milliseconds for the whole batch.
        probability: With which a network has to fit.

    Raises:
        InvalidSettingError: If the limit is not finite and positive, or ``probability`` not between 0 and 1.
    """

    oracle: LatencyOracle
    limit: float
    probability: float = DEFAULT_PROBABILITY

    def __post_init__(self) -> None:
        check_limit("a latency budget", self.limit)
        check_probability(self.probability)

    @property
    def name(self) -> str:
        return f"{self.oracle.platform} latency_ms"

    def price(self, space: SearchSpace, architectures: Sequence[Architecture], batch_size: int = 1) -> list[Use | None]:
        graphs = [space.graph(architecture, self.oracle.platform.view) for architecture in architectures]
        return [
            None if isinstance(answer, MeasurementFailure) else Use(answer.latency_ms, bound_ms(answer, self.probability))
            for answer in (self.oracle.query(graphs, batch_size) if graphs else [])
        ]


@dataclass(frozen=True)
class CostBudget(Budget):
    """Operations, parameters or bytes that a network may take, counted in its graph as written.

    Attributes:
        quantity: ``macs`` or ``flops`` of one input, ``params``, or ``size_bytes``, the parameters at 4 bytes each.
        limit: The most.

    Raises:
        UnknownNameError: If ``quantity`` is none of these.
        InvalidSettingError: If the limit is not finite and positive.
    """

    quantity: str
    limit: float

    QUANTITIES: ClassVar[tuple[str, ...]] = ("macs", "flops", "params", "size_bytes")

    def __post_init__(self) -> None:
        if self.quantity not in self.QUANTITIES:
            raise UnknownNameError.among("budget", self.quantity, self.QUANTITIES)
        check_limit(f"a budget of {self.quantity}", self.limit)

    @property
    def name(self) -> str:
        return self.quantity

    def price(self, space: SearchSpace, architectures: Sequence[Architecture], batch_size: int = 1) -> list[Use | None]:  # noqa: ARG002
        graphs = [space.graph(architecture, GraphView.AS_WRITTEN) for architecture in architectures]
        name, factor = ("params", NUMBER_BYTES) if self.quantity == "size_bytes" else (self.quantity, 1)
        column = [field.name for field in fields(OperatorCost)].index(name)
        values = (factor * float(row[column]) for row in graph_costs(graphs))
        return [Use(value, value) for value in values]


def check_limit(kind: str, limit: float) -> None:
    """Accept a limit that something can be within.

    Raises:
        InvalidSettingError: If it is not finite and positive.
    """
    if not (math.isfinite(limit) and limit > 0):
        raise InvalidSettingError(f"expected {kind} > 0, got {limit}")
