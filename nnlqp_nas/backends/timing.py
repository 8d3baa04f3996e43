"""The timing loop, as the measuring process runs it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import TimingProtocol

WIDE_SPREAD = 0.1
_CHECK_GROWTH = 1.1


@dataclass(frozen=True, slots=True)
class RunTimes:
    """Times of the counted runs of one attempt.

    Attributes:
        median_ms: Median wall time of a run.
        low_ms: First quartile.
        high_ms: Third quartile.
        min_ms: Fastest run.
        std_ms: Standard deviation.
        n_runs: Number of counted runs.
        n_warmup: Number of runs before them.
        cpu_ms: CPU time of the whole process per counted run.
        wall_over_cpu: Wall time over CPU time of the counted runs.
        is_steady: Whether the two medians of the stop rule agreed.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    min_ms: float
    std_ms: float
    n_runs: int
    n_warmup: int
    cpu_ms: float
    wall_over_cpu: float
    is_steady: bool


def time_runs(run: Callable[[], None], protocol: TimingProtocol) -> RunTimes:
    """Warm up, then time runs of ``run`` until the protocol's stop rule holds."""
    n_warmup = _warm_up(run, protocol.warmup_s)
    times_ns: list[int] = []
    cpu_from, wall_from = time.process_time_ns(), time.perf_counter_ns()
    is_steady = _count_runs(run, protocol, times_ns, wall_from)
    wall_ns, cpu_ns = time.perf_counter_ns() - wall_from, time.process_time_ns() - cpu_from
    times_ms = np.asarray(times_ns, dtype=np.float64) / 1e6
    low, median, high = (float(value) for value in np.percentile(times_ms, (25, 50, 75)))
    return RunTimes(
        median_ms=median,
        low_ms=low,
        high_ms=high,
        min_ms=float(times_ms.min()),
        std_ms=float(times_ms.std()),
        n_runs=len(times_ns),
        n_warmup=n_warmup,
        cpu_ms=cpu_ns / 1e6 / len(times_ns),
        wall_over_cpu=wall_ns / max(cpu_ns, 1),
        is_steady=is_steady,
    )


def time_undisturbed(run: Callable[[], None], protocol: TimingProtocol, is_retrying: bool, time_left_s: float) -> dict[str, Any]:
    """Time ``run``, again where something else held the core, and return the least disturbed attempt.

    Args:
        run: Executes the network once.
        protocol: How to time; its ``disturbed`` and ``n_retries`` rule the attempts.
        is_retrying: False where wall over CPU time says nothing: several threads, or a device that is not the CPU.
        time_left_s: Seconds until this process is killed; no attempt begins that may not end in time.

    Returns:
        The fields of :class:`RunTimes`, ``n_disturbed``, ``is_disturbed`` and ``spread_is_wide``.
    """
    until = time.perf_counter() + time_left_s
    gc.collect()
    gc.disable()
    try:
        attempts = [time_runs(run, protocol)]
        while is_retrying and _is_disturbed(attempts[-1], protocol) and len(attempts) <= protocol.n_retries:
            if time.perf_counter() + 2 * (protocol.warmup_s + protocol.max_time_s) > until:
                break
            attempts.append(time_runs(run, protocol))
    finally:
        gc.enable()
    best = min(attempts, key=lambda attempt: attempt.wall_over_cpu) if is_retrying else attempts[0]
    n_disturbed = sum(_is_disturbed(attempt, protocol) for attempt in attempts) if is_retrying else 0
    return {
        **asdict(best),
        "n_disturbed": n_disturbed,
        "is_disturbed": is_retrying and _is_disturbed(best, protocol),
        "spread_is_wide": best.high_ms - best.low_ms > WIDE_SPREAD * best.median_ms,
    }


def _is_disturbed(times: RunTimes, protocol: TimingProtocol) -> bool:
    return times.wall_over_cpu > protocol.disturbed


def _warm_up(run: Callable[[], None], warmup_s: float) -> int:
    until, n_runs = time.perf_counter() + warmup_s, 0
    while n_runs == 0 or time.perf_counter() < until:
        run()
        n_runs += 1
    return n_runs


def _count_runs(run: Callable[[], None], protocol: TimingProtocol, times_ns: list[int], start_ns: int) -> bool:
    """Append the wall time of each run; return whether the runs ended steady."""
    clock = time.perf_counter_ns
    least_ns, most_ns = start_ns + int(protocol.min_time_s * 1e9), start_ns + int(protocol.max_time_s * 1e9)
    check_at = protocol.min_runs
    while True:
        begin = clock()
        run()
        end = clock()
        times_ns.append(end - begin)
        if len(times_ns) >= check_at and end >= least_ns:
            if _is_steady(np.asarray(times_ns), protocol.steady):
                return True
            # Checks further and further apart: they cost time and caches.
            check_at = int(len(times_ns) * _CHECK_GROWTH) + 1
        if end >= most_ns:
            return _is_steady(np.asarray(times_ns), protocol.steady)


def _is_steady(times_ns: NDArray[np.int64], tolerance: float) -> bool:
    median = float(np.median(times_ns))
    return abs(float(np.median(times_ns[len(times_ns) // 2 :])) - median) <= tolerance * median
