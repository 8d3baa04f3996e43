"""What the plots of one search show besides its Pareto front, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..search import Candidate, Finding, SearchOutcome


@dataclass(frozen=True, slots=True)
class History:
    """How a search went on.

    Attributes:
        n_priced: For each rated candidate, how many candidates had been priced when it came.
        accuracy: Its accuracy.
        best: The best accuracy up to and with it.
    """

    n_priced: list[int]
    accuracy: list[float]
    best: list[float]

    @classmethod
    def of(cls, candidates: Sequence[Candidate]) -> History:
        """Read it from candidates in the order they were proposed."""
        rated = [(place, candidate.accuracy) for place, candidate in enumerate(candidates, 1) if candidate.accuracy is not None]
        accuracy = [value for _, value in rated]
        return cls([place for place, _ in rated], accuracy, [float(value) for value in np.maximum.accumulate(accuracy)] if rated else [])


def budget_steps(candidates: Sequence[Candidate], budget_ms: float) -> tuple[list[float], list[float]]:
    """Return the best accuracy of what fits each budget up to ``budget_ms``, by the upper end of the intervals.

    Returns:
        Budgets in milliseconds at which the best accuracy grows, ascending, and the accuracy from there on.
    """
    rated = sorted((c.interval_ms[1], -c.accuracy) for c in candidates if c.accuracy is not None and c.interval_ms[1] <= budget_ms)
    budgets_ms: list[float] = []
    best: list[float] = []
    for upper_ms, negative in rated:
        if not best or -negative > best[-1]:
            budgets_ms.append(upper_ms)
            best.append(-negative)
    return budgets_ms, best


def measured_steps(outcome: SearchOutcome) -> tuple[list[float], list[float]]:
    """Return the same of what was measured, by the measured latencies, above the budget too."""
    budgets_ms: list[float] = []
    best: list[float] = []
    for finding in sorted(outcome.verified, key=lambda finding: (finding.measured_ms or 0.0, -finding.accuracy)):
        if not best or finding.accuracy > best[-1]:
            budgets_ms.append(finding.measured_ms or 0.0)
            best.append(finding.accuracy)
    return budgets_ms, best


def is_covered(finding: Finding) -> bool:
    """Tell whether a measured finding is inside its predicted interval."""
    low_ms, high_ms = finding.interval_ms
    return finding.measured_ms is not None and low_ms <= finding.measured_ms <= high_ms


def describe_errors(verified: Sequence[Finding]) -> str:
    """Return how far predictions were from measurements, in words."""
    errors = [abs(finding.predicted_ms / finding.measured_ms - 1) for finding in verified if finding.measured_ms]
    if not errors:
        return "nothing was measured"
    n_covered = sum(map(is_covered, verified))
    return f"{len(errors)} measured: mean error {100 * float(np.mean(errors)):.1f} %, {n_covered} of {len(errors)} inside their intervals"
