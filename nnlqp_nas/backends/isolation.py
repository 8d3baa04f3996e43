"""Runs a job of an engine in a process of its own, which cannot harm or outlive this one."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

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


def run_isolated(folder: Path, job: Mapping[str, Any], time_limit_s: float, environment: Mapping[str, str] | None = None) -> Any:
    """Do ``job`` in a fresh interpreter and return its value, or a :class:`ChildFailure`.

    Whatever the engine does (raises, crashes by a signal, hangs, eats memory, exits, prints), the
    answer comes back within the time limit and no process of the job is left.

    Args:
        folder: Scratch folder of the job; holds its model, takes its protocol files.
        job: What :mod:`nnlqp_nas.backends.worker` reads, JSON types only.
        time_limit_s: The process and all it started are killed after this many seconds.
        environment: Variables to set for the process, before anything is imported there.
    """
    (folder / JOB).write_text(json.dumps({**job, "parent": os.getpid(), "path": sys.path}))
    (folder / STAGE).write_text("load")
    (folder / RESULT).unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _PROGRAM, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    try:
        tail = _watch(process, time.monotonic() + time_limit_s)
    finally:
        _kill_group(process)
    return _read_result(folder, process.returncode, tail, time_limit_s)


def _watch(process: subprocess.Popen[bytes], until: float) -> str | None:
    """Wait for the end, drinking what the process prints; return the end of that, or None at the time limit."""
    stream = process.stdout
    assert stream is not None
    os.set_blocking(stream.fileno(), False)
    tail = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        # With a descriptor of the process the end is noticed at once, and without waking up in between.
        ending = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None
        try:
            if ending is not None:
                selector.register(ending, selectors.EVENT_READ)
            while not _has_ended(process):
                left_s = until - time.monotonic()
                if left_s <= 0:
                    return None
                ready = selector.select(left_s if ending is not None else min(left_s, _POLL_S))
                if any(key.fileobj is stream for key, _ in ready):
                    chunk = _drink(stream)
                    tail = (tail + chunk)[-_TAIL_BYTES:]
                    if not chunk:
                        selector.unregister(stream)
        finally:
            if ending is not None:
                os.close(ending)
    return (tail + _drink(stream))[-_TAIL_BYTES:].decode(errors="replace")


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    # Not reaped yet: as long as it is not, nobody else can get its number, and the group is safe to kill.
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _drink(stream: IO[bytes]) -> bytes:
    try:
        return os.read(stream.fileno(), 1 << 16)
    except BlockingIOError:
        return b""


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


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
