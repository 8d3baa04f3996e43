"""True measurements of the best networks that a search found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..core import Architecture, LatencyOracle, Measurement, MeasurementFailure, SearchSpace
from .outcome import Finding, SearchOutcome


def verify_best(
    outcome: SearchOutcome,
    space: SearchSpace,
    oracle: LatencyOracle,
    k: int = 10,
    batch_size: int = 1,
    on_result: Callable[[Finding], None] | None = None,
) -> SearchOutcome:
    """Return the outcome with the ``k`` most accurate distinct networks measured.

    Args:
        outcome: What a search found.
        space: The space it searched.
        oracle: Tells true latencies; one query a network, so that progress can be shown.
        k: Number of networks; the others keep ``measured_ms`` None.
        batch_size: Inputs per run.
        on_result: Called with each finding that was tried.
    """
    best = sorted(outcome.front, key=lambda finding: (-finding.accuracy, finding.predicted_ms))[:k]
    verified: dict[str, Finding] = {}
    for finding in best:
        graph = space.graph(Architecture.from_key(finding.key), oracle.platform.view)
        verified[finding.key] = _judge(finding, oracle.query([graph], batch_size)[0], outcome.budget_ms)
        if on_result is not None:
            on_result(verified[finding.key])
    return replace(outcome, front=tuple(verified.get(finding.key, finding) for finding in outcome.front))


def _judge(finding: Finding, answer: Measurement | MeasurementFailure, budget_ms: float) -> Finding:
    if isinstance(answer, MeasurementFailure) or not answer.is_measured:
        return finding
    return replace(finding, measured_ms=answer.latency_ms, within_budget=answer.latency_ms <= budget_ms)
