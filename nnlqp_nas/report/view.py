"""What of a search's result both page and picture show: colours, ranges, the front as steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..search import Candidate, Finding, SearchOutcome

INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
RATED, FRONT, MEASURED, OVER = "#9fb3c8", "#0b6e99", "#f0803c", "#e4b7a6"
SERIES = ("#0b6e99", "#f0803c", "#2d9d78", "#8a5cb8", "#c2455e", "#7a6a1f")


def latency_range_ms(outcome: SearchOutcome, candidates: Sequence[Candidate]) -> tuple[float, float]:
    """Return the latencies to show: most of what was priced, all that was found, and the budget."""
    priced = np.array([candidate.predicted_ms for candidate in candidates] or [outcome.budget_ms])
    found = [end for finding in outcome.front for end in (*finding.interval_ms, finding.measured_ms or outcome.budget_ms)]
    low_ms = min(float(np.quantile(priced, 0.005)), *found, outcome.budget_ms)
    high_ms = max(min(float(np.quantile(priced, 0.99)), 2.2 * outcome.budget_ms), *found, 1.1 * outcome.budget_ms)
    margin_ms = 0.03 * (high_ms - low_ms)
    return max(0.0, low_ms - margin_ms), high_ms + margin_ms


def accuracy_range(outcome: SearchOutcome, candidates: Sequence[Candidate]) -> tuple[float, float]:
    """Return the accuracies to show: the better half of what was rated, and the most accurate findings."""
    rated = np.array([candidate.accuracy for candidate in candidates if candidate.accuracy is not None] or [0.0, 1.0])
    low = min([float(np.quantile(rated, 0.35)), *(finding.accuracy for finding in outcome.verified)])
    high = float(rated.max())
    margin = 0.08 * max(high - low, 1e-3)
    return low - margin, high + margin


def front_of(outcome: SearchOutcome) -> list[Finding]:
    """Return the Pareto-optimal findings, fastest first."""
    return sorted((finding for finding in outcome.front if finding.is_pareto), key=lambda finding: finding.predicted_ms)


def name_of(finding: Finding) -> str:
    """Return a finding's architecture as short text."""
    return finding.architecture if isinstance(finding.architecture, str) else finding.key.partition(":")[2]
