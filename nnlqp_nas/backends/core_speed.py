"""Whether the core that runs a measurement runs at its own speed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..core import Measurement

SHARED = 1.15
"""Ratio to the quiet time of :func:`spin_ns` from which on a neighbour shares the core's arithmetic units."""

EVERY_NS = 10_000_000
"""Nanoseconds of runs between two looks."""

_N_TURNS, _N_TRIES = 1_000, 3


def spin_ns() -> int:
    """Return how long a fixed piece of work takes that needs neither caches nor memory, nanoseconds; the best of three tries."""
    return min(_spin_ns() for _ in range(_N_TRIES))


def _spin_ns() -> int:
    start = time.perf_counter_ns()
    total = 0
    for turn in range(_N_TURNS):
        total += turn * turn
    return time.perf_counter_ns() - start


class CoreSpeed:
    """Tells a core of one's own from one that is shared.

    On a virtual machine a core is often one of two threads of a physical core, and the other one may be somebody else's: while
    that one works, everything here takes 10 to 40 % longer, for a tenth of a second or for many, and neither CPU time nor any counter
    of this machine tells. A fixed piece of work does: it took 1.5 to 1.8 times as long then, and within 5 % of its best else.

    Args:
        quiet_ns: The shortest :func:`spin_ns` known of this machine, nanoseconds; None where nothing is known yet.

    Attributes:
        quiet_ns: The shortest known, what was seen here included.
    """

    def __init__(self, quiet_ns: float | None = None) -> None:
        self.quiet_ns = quiet_ns

    def is_shared(self) -> bool:
        """Look, about a tenth of a millisecond long."""
        now_ns = spin_ns()
        self.learn(now_ns)
        return self.quiet_ns is not None and now_ns > SHARED * self.quiet_ns

    def learn(self, quiet_ns: float | None) -> None:
        """Take over what another process saw; None tells nothing."""
        if quiet_ns is not None and (self.quiet_ns is None or quiet_ns < self.quiet_ns):
            self.quiet_ns = quiet_ns


def undisturbed(measurements: Sequence[Measurement]) -> list[bool]:
    """Return which measurements of one machine nothing disturbed throughout, as the others tell too.

    Whoever measures first does not know yet how fast the core is when it is quiet: its ``quiet_us`` is above that of later ones.
    """
    known = [one.facts.get("quiet_us") for one in measurements]
    quiet_us = min((one for one in known if one is not None), default=None)
    return [
        not one.facts.get("is_disturbed") and (quiet_us is None or (own or quiet_us) <= SHARED * quiet_us)
        for one, own in zip(measurements, known, strict=True)
    ]


MACHINE = CoreSpeed()
"""What all backends of this process know of the machine."""
