"""Candidates: networks that a search has priced, and some of them rated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core import Architecture


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network that a search asked the oracle about.

    Attributes:
        architecture: The member of the space.
        graph_key: Structural key of its graph, in the view that the platform executes.
        predicted_ms: Latency the oracle told, milliseconds for the whole batch.
        interval_ms: ``(low, high)`` the oracle told; both ends ``predicted_ms`` where it told none.
        accuracy: Its quality, or None where it was never evaluated.
    """

    architecture: Architecture
    graph_key: str
    predicted_ms: float
    interval_ms: tuple[float, float]
    accuracy: float | None = None

    def fits(self, budget_ms: float) -> bool:
        """Tell whether even the upper end of its interval is within the budget."""
        return self.interval_ms[1] <= budget_ms


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


def rank_distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the rated candidates, most accurate first, one for each graph key; ties go to the faster."""
    rated = [candidate for candidate in candidates if candidate.accuracy is not None]
    ranked = sorted(rated, key=lambda c: (-(c.accuracy or 0.0), c.predicted_ms, c.architecture.code))
    first: dict[str, Candidate] = {}
    for candidate in ranked:
        first.setdefault(candidate.graph_key, candidate)
    return list(first.values())
