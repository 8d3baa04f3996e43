"""Runs a job of an engine in a process of its own, which cannot harm or outlive this one."""

from __future__ import annotations

import contextlib
import json
import os
import select
import selectors
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .nursery import SAID, Nursery
from .worker import JOB, RESULT, STAGE

# Not -m: this package imports the worker's module before runpy would run it, and runpy warns.
_PROGRAM = "from nnlqp_nas.backends.worker import main; main()"
_TAIL_BYTES = 4096
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class ChildFailure:
    """Why a job came to nothing.

    Attributes:
        stage: What the process was doing.
        reason: What stopped it, one line.
    """

    stage: str
    reason: str


def run_isolated(
    folder: Path, job: Mapping[str, Any], time_limit_s: float, environment: Mapping[str, str] | None = None, nursery: Nursery | None = None
) -> Any:
    """Do ``job`` in a process of its own and return its value, or a :class:`ChildFailure`.

    Whatever the engine does (raises, crashes by a signal, hangs, eats memory, exits, prints), the
    answer comes back within the time limit and no process of the job is left.

    Args:
        folder: Scratch folder of the job; holds its model, takes its protocol files.
        job: What :mod:`nnlqp_nas.backends.worker` reads, JSON types only.
        time_limit_s: The process and all it started are killed after this many seconds.
        environment: Variables to set for the process, before anything is imported there.
        nursery: What to fork the process from, with an environment of its own; None starts a fresh interpreter.
    """
    parent = nursery.pid if nursery is not None else os.getpid()
    (folder / JOB).write_text(json.dumps({**job, "parent": parent, "path": sys.path}))
    (folder / STAGE).write_text("load")
    (folder / RESULT).unlink(missing_ok=True)
    process = _Fresh(folder, environment or {}) if nursery is None else _Forked(folder, nursery)
    try:
        tail = _watch(process, time.monotonic() + time_limit_s)
    finally:
        process.end()
    return _read_result(folder, process.code, tail, time_limit_s)


class _Process(ABC):
    """The process of a job, the leader of its own group.

    Attributes:
        pid: Its number, which nobody else gets before :meth:`end`.
        said: Descriptor of what it prints.
        ending: Descriptor that can be read once it has ended; None where there is no such thing.
        code: Exit code, negative for a signal; known after :meth:`end`.
    """

    pid: int
    said: int
    ending: int | None
    code: int = 0

    @abstractmethod
    def has_ended(self) -> bool:
        """Whether it has ended, by itself or not."""

    @abstractmethod
    def _reap(self) -> int:
        """Return the exit code, and release what belongs to the process."""

    def end(self) -> None:
        """Kill the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.code = self._reap()
        os.close(self.said)


class _Fresh(_Process):
    """A fresh interpreter."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.said, written = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        os.close(written)
        self.pid = self._process.pid
        # With a descriptor of the process the end is noticed at once, and without waking up in between.
        self.ending = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None

    def has_ended(self) -> bool:
        # Not reaped yet: as long as it is not, nobody else can get its number, and the group is safe to kill.
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _reap(self) -> int:
        if self.ending is not None:
            os.close(self.ending)
        return self._process.wait()


class _Forked(_Process):
    """A process forked from a nursery."""

    def __init__(self, folder: Path, nursery: Nursery) -> None:
        pipe = folder / SAID
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        self.said = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self._nursery = nursery
        self.pid = nursery.bear(folder)
        self.ending = nursery.ending()

    def has_ended(self) -> bool:
        return bool(select.select([self._nursery.ending()], [], [], 0)[0])

    def _reap(self) -> int:
        return self._nursery.reap()


def _watch(process: _Process, until: float) -> str | None:
    """Wait for the end, drinking what the process prints; return the end of that, or None at the time limit."""
    os.set_blocking(process.said, False)
    tail = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.said, selectors.EVENT_READ)
        if process.ending is not None:
            selector.register(process.ending, selectors.EVENT_READ)
        while not process.has_ended():
            left_s = until - time.monotonic()
            if left_s <= 0:
                return None
            ready = selector.select(left_s if process.ending is not None else min(left_s, _POLL_S))
            if any(key.fd == process.said for key, _ in ready):
                chunk = _drink(process.said)
                tail = (tail + chunk)[-_TAIL_BYTES:]
                if not chunk:
                    selector.unregister(process.said)
    return (tail + _drink(process.said))[-_TAIL_BYTES:].decode(errors="replace")


def _drink(said: int) -> bytes:
    try:
        return os.read(said, 1 << 16)
    except BlockingIOError:
        return b""


def _read_result(folder: Path, code: int, tail: str | None, time_limit_s: float) -> Any:
    if (folder / RESULT).exists():
        result = json.loads((folder / RESULT).read_text())
        return result["value"] if "value" in result else ChildFailure(**result["failure"])
    stage = (folder / STAGE).read_text()
    if tail is None:
        return ChildFailure(stage, f"killed at the time limit of {time_limit_s:g} s")
    said = next((f": {line.strip()[:300]}" for line in reversed(tail.splitlines()) if line.strip()), "")
    if code < 0:
        cause = f"crashed by signal {signal.Signals(-code).name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")
        return ChildFailure(stage, cause + said)
    return ChildFailure(stage, f"ended with exit code {code} before it had a result{said}")
