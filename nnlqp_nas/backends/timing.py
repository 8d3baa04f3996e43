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
from .core_speed import EVERY_NS, CoreSpeed

_Times = NDArray[np.float64]

WIDE_SPREAD = 0.1
_CHECK_GROWTH = 1.1
_FASTEST, _NEAR_FASTEST = 5, 1.05
"""Percentile of the wall times that stands for the undisturbed machine, and how far above it a run may be."""
_MOSTLY, _LONGER = 0.8, 2.0
"""Where fewer than this share of the runs are undisturbed, the runs go on for this many times the least time."""

_PATIENCE = 3
"""Runs on a shared core do not count towards the protocol's times, until this many times the most time has passed."""


@dataclass(frozen=True, slots=True)
class RunTimes:
    """Times of the counted runs of one attempt.

    Attributes:
        median_ms: Median wall time of a run.
        low_ms: First quartile.
        high_ms: Third quartile.
        min_ms: Fastest run.
        all_median_ms: Median wall time with the discarded runs.
        std_ms: Standard deviation.
        n_runs: Number of counted runs.
        n_warmup: Number of runs before them.
        n_discarded: Number of runs among them that were disturbed and not counted.
        cpu_ms: CPU time of the whole process per run, discarded ones included.
        wall_over_cpu: Wall time over CPU time, discarded runs included.
        shared: Share of the counted runs during which a neighbour shared the core: 0 unless it nearly always did.
        is_steady: Whether the two medians of the stop rule agreed.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    min_ms: float
    all_median_ms: float
    std_ms: float
    n_runs: int
    n_warmup: int
    n_discarded: int
    cpu_ms: float
    wall_over_cpu: float
    shared: float
    is_steady: bool


@dataclass(frozen=True, slots=True)
class _Runs:
    """Runs in the order in which they were taken, arrays of shape (runs,).

    Attributes:
        wall_ns: Wall time, nanoseconds.
        cpu_ns: CPU time.
        is_shared: Whether a neighbour shared the core around the run.
    """

    wall_ns: _Times
    cpu_ns: _Times
    is_shared: NDArray[np.bool_]

    def undisturbed(self, protocol: TimingProtocol, is_discarding: bool) -> NDArray[np.bool_]:
        """Return which runs count; see :func:`time_runs`."""
        everything = np.ones(len(self.wall_ns), dtype=bool)
        if not is_discarding or len(everything) <= protocol.min_runs:
            return everything
        is_interrupted = self.wall_ns > protocol.disturbed * self.cpu_ns
        is_interrupted[1:] |= is_interrupted[:-1].copy()
        if np.count_nonzero(~is_interrupted & ~self.is_shared) >= protocol.min_runs:
            is_interrupted |= self.is_shared
        if np.count_nonzero(~is_interrupted) < protocol.min_runs:
            return everything
        fastest = np.sort(self.wall_ns[~is_interrupted])
        limit = _NEAR_FASTEST * np.percentile(fastest, _FASTEST)
        return ~is_interrupted & (self.wall_ns <= max(limit, fastest[protocol.min_runs - 1]))

    def has_lost(self, protocol: TimingProtocol, is_discarding: bool) -> bool:
        """Whether so many runs were disturbed that none could be discarded: more runs may still find a quiet moment."""
        is_disturbed = self.wall_ns.sum() > protocol.disturbed * self.cpu_ns.sum()
        return is_discarding and bool(is_disturbed) and bool(self.undisturbed(protocol, True).all())


def time_runs(
    run: Callable[[], None],
    protocol: TimingProtocol,
    is_discarding: bool = True,
    speed: CoreSpeed | None = None,
    time_left_s: float = float("inf"),
) -> RunTimes:
    """Warm up, then time runs of ``run`` until the protocol's stop rule holds.

    A run is discarded if something else held the core meanwhile (its wall time is above
    ``protocol.disturbed`` times its CPU time), and so is the run after it, which finds cold caches; if ``speed`` saw a neighbour
    on the same physical core before or after it; and if
    it took above 1.05 times the fastest runs (their 5th percentile), which finds what was too short to be seen. The
    ``min_runs`` fastest count in any case, and all runs where nearly every one was interrupted.
    """
    n_warmup = _warm_up(run, protocol.warmup_s)
    patience_s = max(protocol.max_time_s, min(_PATIENCE * protocol.max_time_s, time_left_s - protocol.warmup_s - protocol.max_time_s))
    runs = _repeat(run, protocol, is_discarding, speed if is_discarding else None, patience_s)
    wall_ns, cpu_ns = runs.wall_ns, runs.cpu_ns
    is_kept = runs.undisturbed(protocol, is_discarding)
    times_ms = wall_ns[is_kept] / 1e6
    is_steady = _is_steady(times_ms, protocol.steady)
    low, median, high = (float(value) for value in np.percentile(times_ms, (25, 50, 75)))
    return RunTimes(
        median_ms=median,
        low_ms=low,
        high_ms=high,
        min_ms=float(times_ms.min()),
        all_median_ms=float(np.median(wall_ns)) / 1e6,
        std_ms=float(times_ms.std()),
        n_runs=len(times_ms),
        n_warmup=n_warmup,
        n_discarded=len(wall_ns) - len(times_ms),
        cpu_ms=float(cpu_ns.mean()) / 1e6,
        wall_over_cpu=float(wall_ns.sum() / max(cpu_ns.sum(), 1)),
        shared=float(runs.is_shared[is_kept].mean()),
        is_steady=is_steady,
    )


def time_undisturbed(
    run: Callable[[], None], protocol: TimingProtocol, is_retrying: bool, time_left_s: float, speed: CoreSpeed | None = None
) -> dict[str, Any]:
    """Time ``run``, again where something else held the core, and return the least disturbed attempt.

    Args:
        run: Executes the network once.
        protocol: How to time; its ``disturbed`` and ``n_retries`` rule the attempts.
        is_retrying: False where wall over CPU time says nothing: several threads, or a device that is not the CPU.
        time_left_s: Seconds until this process is killed; no attempt begins that may not end in time.
        speed: Tells whether the core is shared; None does not ask.

    Returns:
        The fields of :class:`RunTimes`, ``n_disturbed``, ``is_disturbed`` and ``spread_is_wide``.
    """
    until = time.perf_counter() + time_left_s
    gc.collect()
    gc.disable()
    try:
        attempts = [time_runs(run, protocol, is_retrying, speed, time_left_s)]
        while is_retrying and _is_disturbed(attempts[-1], protocol) and len(attempts) <= protocol.n_retries:
            if time.perf_counter() + 2 * (protocol.warmup_s + _PATIENCE * protocol.max_time_s) > until:
                break
            attempts.append(time_runs(run, protocol, is_retrying, speed))
    finally:
        gc.enable()
    best = min(attempts, key=lambda attempt: (attempt.shared, attempt.wall_over_cpu)) if is_retrying else attempts[0]
    n_disturbed = sum(_is_disturbed(attempt, protocol) for attempt in attempts) if is_retrying else 0
    return {
        **asdict(best),
        "n_disturbed": n_disturbed,
        "is_disturbed": is_retrying and _is_disturbed(best, protocol),
        "spread_is_wide": best.high_ms - best.low_ms > WIDE_SPREAD * best.median_ms,
    }


def _is_disturbed(times: RunTimes, protocol: TimingProtocol) -> bool:
    return times.shared > 0 or (times.wall_over_cpu > protocol.disturbed and times.n_discarded == 0)


def _warm_up(run: Callable[[], None], warmup_s: float) -> int:
    until, n_runs = time.perf_counter() + warmup_s, 0
    while n_runs == 0 or time.perf_counter() < until:
        run()
        n_runs += 1
    return n_runs


def _repeat(run: Callable[[], None], protocol: TimingProtocol, is_discarding: bool, speed: CoreSpeed | None, patience_s: float) -> _Runs:
    """Time runs until the protocol's stop rule holds or patience ends, and look at the core's speed between them."""
    wall, cpu = time.perf_counter_ns, time.process_time_ns
    times: list[tuple[int, int]] = []
    looks = _Looks(speed)
    start = wall()
    least, most, latest = (start + int(seconds * 1e9) for seconds in (protocol.min_time_s, protocol.max_time_s, patience_s))
    check_at = protocol.min_runs
    while True:
        cpu_from, wall_from = cpu(), wall()
        run()
        wall_to, cpu_to = wall(), cpu()
        times.append((wall_to - wall_from, cpu_to - cpu_from))
        waited_ns = looks.take(wall_to, len(times))
        if wall_to < min(most + waited_ns, latest) and (len(times) < check_at or wall_to < least + waited_ns):
            continue
        wall_ns, cpu_ns = np.asarray(times, dtype=np.float64).T
        runs = _Runs(wall_ns, cpu_ns, looks.is_shared(len(times)))
        is_kept = runs.undisturbed(protocol, is_discarding)
        kept = wall_ns[is_kept]
        has_settled = len(kept) >= protocol.min_runs and _is_steady(kept, protocol.steady)
        if len(kept) < _MOSTLY * len(wall_ns) and wall_to - start - waited_ns < _LONGER * protocol.min_time_s * 1e9:
            has_settled = False
        is_over = wall_to >= most + waited_ns or (has_settled and not runs.has_lost(protocol, is_discarding))
        if wall_to >= latest or (is_over and not runs.is_shared[is_kept].any()):
            return runs
        # Checks further and further apart: they cost time and caches.
        check_at = int(len(times) * _CHECK_GROWTH) + 1


class _Looks:
    """Looks at the core's speed, and which runs lie beside a look that found it shared."""

    def __init__(self, speed: CoreSpeed | None) -> None:
        self._speed = speed
        self._was_shared = speed is not None and speed.is_shared()
        self._last_ns = time.perf_counter_ns()
        self._shared: list[bool] = []
        self._waited_ns = 0

    def take(self, now_ns: int, n_runs: int) -> int:
        """Look again if it is time to, and return the nanoseconds of runs so far that do not count."""
        if self._speed is None or now_ns - self._last_ns < EVERY_NS:
            return self._waited_ns
        is_shared = self._speed.is_shared()
        is_either = is_shared or self._was_shared
        self._shared += [is_either] * (n_runs - len(self._shared))
        self._waited_ns += (now_ns - self._last_ns) * is_either
        self._was_shared, self._last_ns = is_shared, time.perf_counter_ns()
        return self._waited_ns

    def is_shared(self, n_runs: int) -> NDArray[np.bool_]:
        """Return bool, shape (runs,); those since the last look share its finding."""
        return np.array(self._shared + [self._was_shared] * (n_runs - len(self._shared)), dtype=bool)


def _is_steady(times: _Times, tolerance: float) -> bool:
    median = float(np.median(times))
    return abs(float(np.median(times[len(times) // 2 :])) - median) <= tolerance * median
