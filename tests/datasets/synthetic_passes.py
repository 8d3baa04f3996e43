"""Passes of a campaign on a machine whose drift is a formula."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from nnlqp_nas.datasets.journal import Pass
from nnlqp_nas.datasets.latency_row import LatencyRow

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def iso(minute: float) -> str:
    """Return the time that many minutes into the campaign."""
    return (BEGIN + timedelta(minutes=minute)).isoformat()


def one_pass(code: int, minute: float, latency_ms: float | None, number: int = 0, is_reference: bool = False, **fields: str) -> Pass:
    """Return a pass of network ``code``; a failed one where there is no latency."""
    timed = {} if latency_ms is None else {"low_ms": 0.99 * latency_ms, "high_ms": 1.02 * latency_ms, "std_ms": 0.01, "n_runs": 10}
    row = LatencyRow(
        space="nasbench201",
        settings="{}",
        code=str(code),
        graph_key=f"{code:032d}",
        platform=fields.pop("platform", "cpu-instant-fp32"),
        batch_size=1,
        latency_ms=latency_ms,
        taken_at=iso(minute),
        **timed,  # type: ignore[arg-type]
        **fields,  # type: ignore[arg-type]
    )
    return Pass(row, number, is_reference)


def drifting_campaign(slowness: Callable[[float], float], n_networks: int = 12, n_rounds: int = 2, n_turns: int = 13) -> list[Pass]:
    """Return a campaign of two hours: references 100 to 103 of 1 to 4 ms in turns, network i of i + 1 ms in rounds."""
    passes = [
        one_pass(100 + i, 120 * turn / (n_turns - 1), (i + 1) * slowness(120 * turn / (n_turns - 1)), turn, is_reference=True)
        for turn in range(n_turns)
        for i in range(4)
    ]
    n_passes = n_networks * n_rounds
    for place in range(n_passes):
        minute, network = 120 * place / n_passes, place % n_networks
        passes.append(one_pass(network, minute, (network + 1) * slowness(minute), place // n_networks))
    return passes
