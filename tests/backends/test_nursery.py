from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nnlqp_nas.backends.nursery import SAID, Nursery
from nnlqp_nas.core import Measurement, MeasurementError, MeasurementFailure, Platform
from nnlqp_nas.testing.backend_contract import QUICK, write_network
from nnlqp_nas.testing.faulty_engine import FaultyBackend

_GRAPH = write_network(4, 1)
_FAULTS = {
    "crash": ("run", "crashed by signal SIGSEGV"),
    "exit": ("run", "ended with exit code 7 before it had a result"),
    "raise_load": ("load", "RuntimeError: unsupported operator: Frobnicate"),
    "hang_printing": ("run", "killed at the time limit of 5 s"),
    "eat_memory": ("run", "needed more memory than the limit of 512 MiB"),
}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery(("numpy", "nnlqp_nas.testing.faulty_engine"), {}) as one:
        yield one


def measure(fault: str, nursery: Nursery) -> Measurement | MeasurementFailure:
    backend = FaultyBackend(Platform(fault, "faulty", "fp32"), memory_limit_bytes=512 << 20)
    backend.nursery = nursery
    limit_s = 5.0 if fault.startswith("hang") else 60.0
    return backend.measure([_GRAPH], replace(QUICK, time_limit_s=limit_s, n_passes=1, max_passes=1))[0]


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_fault_is_what_it_is_in_a_fresh_interpreter_and_the_next_job_is_well(fault: str, nursery: Nursery) -> None:
    result = measure(fault, nursery)
    assert isinstance(result, MeasurementFailure)
    assert (result.stage, result.reason) == _FAULTS[fault]
    assert isinstance(measure("noise", nursery), Measurement)


def test_an_end_that_was_told_with_the_number_is_noticed(tmp_path: Path) -> None:
    with Nursery(("numpy",), {}) as nursery:
        (tmp_path / "job.json").write_text(json.dumps({"cores": [], "memory_limit_bytes": None, "parent": 0}))
        os.mkfifo(tmp_path / SAID)
        said = os.open(tmp_path / SAID, os.O_RDONLY | os.O_NONBLOCK)
        nursery.pid  # noqa: B018 (starts it)
        nursery._tell(str(tmp_path))
        # Both lines are in the pipe before either is read.
        time.sleep(1.0)
        assert int(nursery._hear()) > 0
        assert select.select([nursery.ending()], [], [], 0)[0]
        assert nursery.reap() == 1
        os.close(said)


def test_what_a_job_started_ends_with_it(nursery: Nursery) -> None:
    assert isinstance(measure("leave_child", nursery), Measurement)
    assert _children(nursery.pid) == []


def test_it_is_renewed_after_its_jobs_and_after_its_end() -> None:
    with Nursery(("nnlqp_nas.testing.faulty_engine",), {}, n_jobs=2) as nursery:
        first = nursery.pid
        assert isinstance(measure("none", nursery), Measurement)
        assert nursery.pid != first
        second = nursery.pid
        os.kill(second, signal.SIGKILL)
        os.waitid(os.P_PID, second, os.WEXITED | os.WNOWAIT)
        assert isinstance(measure("none", nursery), Measurement)


def test_an_engine_that_does_not_import_is_told() -> None:
    with Nursery(("nnlqp_nas.no_such_engine",), {}) as nursery, pytest.raises(MeasurementError, match="no_such_engine"):
        measure("none", nursery)


def test_nothing_is_left_when_it_closes() -> None:
    with Nursery(("numpy",), {}) as nursery:
        pid = nursery.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def _children(pid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()
