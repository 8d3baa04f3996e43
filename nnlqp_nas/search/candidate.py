"""Candidates: networks that a search has priced, and some of them rated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..core import Architecture, Measurement, MeasurementFailure


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network that a search asked the oracle about.

    Attributes:
        architecture: The member of the space.
        graph_key: Structural key of its graph, in the view that the platform executes.
        predicted_ms: Latency the oracle told, milliseconds for the whole batch.
        interval_ms: ``(low, high)`` the oracle told; both ends ``predicted_ms`` where it told none.
        accuracy: Its quality, or None where it was never evaluated.
        bound_ms: Latency it stays within with the probability that the problem asks for; None takes the upper end.
        fit_probability: That it is within the latency budget, as its interval tells; None where it was not asked for.
        uses: What it takes of the problem's further budgets, by their names.
        excess: The shares by which it is above them; <= 0 fits.
    """

    architecture: Architecture
    graph_key: str
    predicted_ms: float
    interval_ms: tuple[float, float]
    accuracy: float | None = None
    bound_ms: float | None = None
    fit_probability: float | None = None
    uses: Mapping[str, float] = field(default_factory=dict, hash=False)
    excess: Mapping[str, float] = field(default_factory=dict, hash=False)

    def fits(self, budget_ms: float) -> bool:
        """Tell whether it is within the latency budget, with the probability asked for, and within all others."""
        return all(value <= 0.0 for value in self.constraints(budget_ms).values())

    def is_within(self, budget_ms: float, answer: Measurement | MeasurementFailure | None) -> bool:
        """Tell whether it is within all budgets, in latency by measurement where it was measured."""
        measured_ms = self.true_ms(answer)
        if measured_ms is None:
            return not isinstance(answer, MeasurementFailure) and self.fits(budget_ms)
        return measured_ms <= budget_ms and all(value <= 0.0 for value in self.excess.values())

    @staticmethod
    def true_ms(answer: Measurement | MeasurementFailure | None) -> float | None:
        """Return the latency that was measured; None where measuring failed, or the answer is a prediction."""
        return answer.latency_ms if isinstance(answer, Measurement) and answer.is_measured else None

    def constraints(self, budget_ms: float) -> dict[str, float]:
        """Return by which share it is above each budget, <= 0 where it fits, as Optuna's trials state it."""
        bound_ms = self.interval_ms[1] if self.bound_ms is None else self.bound_ms
        return {"latency_ms": bound_ms / budget_ms - 1.0, **self.excess}


def find_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the rated candidates that no other one beats in both accuracy and latency, fastest first."""
    rated = [candidate for candidate in candidates if candidate.accuracy is not None]
    front: list[Candidate] = []
    best = float("-inf")
    for candidate in sorted(rated, key=lambda c: (c.predicted_ms, -(c.accuracy or 0.0))):
        if candidate.accuracy is not None and candidate.accuracy > best:
            front.append(candidate)
            best = candidate.accuracy
    return front


def find_hypervolume(candidates: Sequence[Candidate], budget_ms: float) -> float:
    """Return the area that the rated candidates dominate: accuracy times milliseconds below the budget.

    The reference point is accuracy 0 at ``budget_ms``; over the budget's length it is the mean accuracy that is to be
    had under a budget drawn uniformly below it (Zitzler and Thiele, IEEE Transactions on Evolutionary Computation 1999).
    """
    front = [candidate for candidate in find_front(candidates) if candidate.predicted_ms <= budget_ms]
    ends_ms = [*(candidate.predicted_ms for candidate in front[1:]), budget_ms]
    return sum((candidate.accuracy or 0.0) * (end_ms - candidate.predicted_ms) for candidate, end_ms in zip(front, ends_ms, strict=False))


def rank_distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the rated candidates, most accurate first, one for each graph key; ties go to the faster."""
    rated = [candidate for candidate in candidates if candidate.accuracy is not None]
    ranked = sorted(rated, key=lambda c: (-(c.accuracy or 0.0), c.predicted_ms, c.architecture.code))
    first: dict[str, Candidate] = {}
    for candidate in ranked:
        first.setdefault(candidate.graph_key, candidate)
    return list(first.values())
