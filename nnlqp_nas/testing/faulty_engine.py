"""An engine that goes wrong on purpose, in each way that engines go wrong."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backends import IsolatedBackend, LoadedModel
from ..backends.agreement import REFERENCE, read_reference
from ..core import ModelGraph, Platform, TimingProtocol

_WORK_S = 1e-3


class FaultyBackend(IsolatedBackend):
    """Runs a network by spinning for a millisecond, and fails as its platform's hardware part says.

    The faults: ``none``, ``raise_load``, ``no_file`` (misses a file of its own), ``raise_run``, ``crash`` (SIGSEGV),
    ``abort`` (after a last word on standard error), ``hang``, ``hang_printing``, ``eat_memory``, ``exit``,
    ``exit_python``, ``noise`` (prints, and otherwise works), ``nan``, ``no_output``, ``wrong_output``,
    ``crash_compile``, ``leave_child`` (works, and leaves a process behind), ``late`` (fails in the timed runs).

    Args:
        platform: Its hardware part is the fault.
        cores: Cores to measure on; None for all that this process may use.
        memory_limit_bytes: Largest memory of the measuring process; None for no limit.
        faults: Faults of single networks by graph key; the others fail as the platform says.
    """

    software = "faulty"
    package = "nnlqp-nas"
    module = "numpy"

    def __init__(
        self,
        platform: Platform,
        cores: Sequence[int] | None = None,
        memory_limit_bytes: int | None = 8 << 30,
        faults: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(platform, cores, memory_limit_bytes)
        self.faults = dict(faults or {})

    @classmethod
    def known_platforms(cls) -> tuple[Platform, ...]:
        return tuple(Platform(fault, cls.software, "fp32") for fault in ("none", "crash_compile", *_FAULTS))

    @property
    def compiles(self) -> bool:
        return self.platform.hardware == "crash_compile"

    def _job(self, graph: ModelGraph, protocol: TimingProtocol, batch_size: int, cores: Sequence[int]) -> dict[str, Any]:
        job = super()._job(graph, protocol, batch_size, cores)
        return {**job, "settings": {**job["settings"], "fault": self.faults.get(graph.key, self.platform.hardware)}}

    @staticmethod
    def compile(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> None:  # noqa: ARG004
        os.kill(os.getpid(), signal.SIGSEGV)

    @staticmethod
    def load(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> LoadedModel:  # noqa: ARG004
        if settings["fault"] == "raise_load":
            raise RuntimeError("unsupported operator:\n  Frobnicate")
        if settings["fault"] == "no_file":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "compiled.bin")
        return _FaultyModel(settings["fault"], read_reference(folder / REFERENCE))


class _FaultyModel(LoadedModel):
    def __init__(self, fault: str, outputs: list[NDArray[np.float32]]) -> None:
        self._fault = fault
        self._outputs = outputs
        self._n_runs = 0

    def run(self) -> None:
        self._n_runs += 1
        _FAULTS.get(self._fault, _do_nothing)(self._n_runs)
        until = time.perf_counter() + _WORK_S
        while time.perf_counter() < until:
            pass

    def outputs(self) -> list[NDArray[np.float32]]:
        if self._fault == "no_output":
            return []
        if self._fault == "wrong_output":
            return [one + 1.0 for one in self._outputs]
        return [np.full_like(one, np.nan) if self._fault == "nan" else one for one in self._outputs]


def _do_nothing(n_runs: int) -> None:
    del n_runs


def _raise(n_runs: int) -> None:
    raise ValueError("expected kernels of 3, got 5" if n_runs else "")


def _crash(n_runs: int) -> None:
    del n_runs
    os.kill(os.getpid(), signal.SIGSEGV)


def _abort(n_runs: int) -> None:
    del n_runs
    os.write(2, b"terminate called after throwing an instance of 'std::logic_error'\n")
    os.abort()


def _hang(n_runs: int) -> None:
    del n_runs
    while True:
        pass


def _hang_printing(n_runs: int) -> None:
    del n_runs
    while True:
        os.write(1, b"still working\n" * 1000)


def _eat_memory(n_runs: int) -> None:
    del n_runs
    kept = []
    while True:
        kept.append(np.ones(1 << 24))


def _exit(n_runs: int) -> None:
    del n_runs
    os._exit(7)


def _exit_python(n_runs: int) -> None:
    del n_runs
    sys.exit("licence expired")


def _make_noise(n_runs: int) -> None:
    del n_runs
    os.write(1, b'{"value": 1}\n\x00\xff' * 500)
    os.write(2, b"warning: slow path\n" * 50)


def _leave_child(n_runs: int) -> None:
    if n_runs == 1 and os.fork() == 0:
        time.sleep(600)


def _fail_late(n_runs: int) -> None:
    # The run before the timing, one of the warm-up, and fewer than any protocol counts.
    if n_runs > 4:
        os._exit(3)


_FAULTS: dict[str, Callable[[int], None]] = {
    "raise_load": _do_nothing,
    "raise_run": _raise,
    "crash": _crash,
    "abort": _abort,
    "hang": _hang,
    "hang_printing": _hang_printing,
    "eat_memory": _eat_memory,
    "exit": _exit,
    "exit_python": _exit_python,
    "noise": _make_noise,
    "nan": _do_nothing,
    "no_output": _do_nothing,
    "wrong_output": _do_nothing,
    "no_file": _do_nothing,
    "leave_child": _leave_child,
    "late": _fail_late,
}
