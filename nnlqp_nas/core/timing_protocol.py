"""How a true measurement is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from .errors import InvalidSettingError


@dataclass(frozen=True, slots=True)
class TimingProtocol:
    """Warm-up, least number and time of runs, stop rule, threads and time limit of a measurement.

    A measurement warms up for ``warmup_s``, then runs until at least ``min_runs`` runs and
    ``min_time_s`` have passed and the median of the last half of the runs differs from the median
    of all by at most ``steady`` (relative), or until ``max_time_s``. That is one pass; it is taken again, in a
    fresh process, until the two fastest of at least ``n_passes`` agree. The true number of executions is
    stated in the result.

    Attributes:
        warmup_s: Time of runs that are not counted, seconds; at least one run.
        min_runs: Least number of counted runs.
        min_time_s: Least time of counted runs, seconds.
        max_time_s: Counted runs end at the latest after this many seconds, or after three times as many where a neighbour
            shares the core, whose time does not count.
        steady: Largest relative difference of the two medians at which the runs end.
        n_threads: Threads the engine may use.
        time_limit_s: The measuring process is killed after this many seconds.
        disturbed: Wall time over CPU time above which a run at one thread counts as disturbed and is
            discarded, as is one that took 1.05 times as long as the fastest; where too few are left,
            the measurement is disturbed.
        n_retries: How often a disturbed pass is taken again in its process.
        n_passes: Least number of passes.
        max_passes: Most passes, where the two fastest do not agree before.
        agreement: Relative difference of the two fastest passes up to which they agree.
        patience_s: The passes of a network are given this many seconds, compilation included: they share what is left, and none
            begins afterwards but the first, agreed or not, as the facts of a measurement tell. None waits for agreement.
        is_realtime: Time the runs above every ordinary process of the machine (SCHED_FIFO), where the system lets us; the
            facts of a measurement tell. For a machine that cannot be left idle, at one thread.
    """

    warmup_s: float = 0.2
    min_runs: int = 20
    min_time_s: float = 0.5
    max_time_s: float = 5.0
    steady: float = 0.02
    n_threads: int = 1
    time_limit_s: float = 120.0
    disturbed: float = 1.1
    n_retries: int = 2
    n_passes: int = 2
    max_passes: int = 5
    agreement: float = 0.04
    patience_s: float | None = None
    is_realtime: bool = False

    def __post_init__(self) -> None:
        if self.min_runs < 1 or self.n_threads < 1 or self.n_retries < 0:
            raise InvalidSettingError(f"expected min_runs >= 1, n_threads >= 1 and n_retries >= 0, got {self}")
        if self.warmup_s < 0 or not 0 <= self.min_time_s <= self.max_time_s < self.time_limit_s:
            raise InvalidSettingError(f"expected 0 <= min_time_s <= max_time_s < time_limit_s, got {self}")
        if self.steady <= 0 or self.disturbed <= 1 or self.agreement <= 0:
            raise InvalidSettingError(f"expected steady > 0, disturbed > 1 and agreement > 0, got {self}")
        if not 1 <= self.n_passes <= self.max_passes:
            raise InvalidSettingError(f"expected 1 <= n_passes <= max_passes, got {self}")
        if self.patience_s is not None and self.patience_s <= 0:
            raise InvalidSettingError(f"expected patience_s > 0 or none, got {self}")

    def within(self, seconds: float) -> Self:
        """Return the protocol of a pass that has ``seconds``; ``min_time_s`` of counted runs are taken in any case."""
        return replace(self, max_time_s=min(self.max_time_s, max(seconds - self.warmup_s, self.min_time_s)))
