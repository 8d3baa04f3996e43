"""Cores for measuring: two measurements of one machine never share one."""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

_POLL_S = 0.05


def allowed_cores() -> tuple[int, ...]:
    """Return the cores that this process may use, the last one first: the first serves most interrupts."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0), reverse=True))
    return tuple(reversed(range(os.cpu_count() or 1)))


@contextmanager
def leased_cores(n: int, among: Sequence[int] | None = None) -> Iterator[tuple[int, ...]]:
    """Hold ``n`` cores that no other measurement of this user holds; waits until they are free.

    Args:
        n: Number of cores; all of ``among`` where it has fewer.
        among: Cores to choose from, the favourite first; None for :func:`allowed_cores`.
    """
    choice = tuple(among) if among is not None else allowed_cores()
    wanted = min(n, len(choice))
    while True:
        with ExitStack() as held:
            cores = _take(wanted, choice, held)
            if len(cores) == wanted:
                yield cores
                return
        time.sleep(_POLL_S * (0.5 + random.random()))


def _take(wanted: int, choice: tuple[int, ...], held: ExitStack) -> tuple[int, ...]:
    folder = Path(tempfile.gettempdir()) / f"nnlqp-nas-cores-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    taken: list[int] = []
    for core in choice:
        if len(taken) == wanted:
            break
        lock = (folder / f"{core}.lock").open("w")
        try:
            # The kernel drops the lock when the holder dies, however it dies.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            held.enter_context(lock)
            taken.append(core)
    return tuple(taken)
