import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from nnlqp_nas.backends.cores import leased_cores
from nnlqp_nas.backends.isolation import ChildFailure, run_isolated
from nnlqp_nas.core import Measurement, MeasurementFailure, Platform, TimingProtocol
from nnlqp_nas.testing.backend_contract import write_network
from nnlqp_nas.testing.faulty_engine import FaultyBackend

_GRAPH = write_network(8, 1)
_LIMIT = TimingProtocol(warmup_s=0.02, min_runs=5, min_time_s=0.05, max_time_s=1.0, steady=0.5, time_limit_s=10.0, n_retries=0)
_SHORT = TimingProtocol(warmup_s=0.02, min_runs=5, min_time_s=0.05, max_time_s=0.5, time_limit_s=1.5)


def measure(fault: str, protocol: TimingProtocol = _LIMIT, **settings: Any) -> Measurement | MeasurementFailure:
    return FaultyBackend(Platform(fault, "faulty", "fp32"), **settings).measure([_GRAPH], protocol)[0]


def processes_of(folder_of_jobs: Path) -> list[str]:
    """Commands of living processes that do, or were started by, a job below the folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if bytes(folder_of_jobs) in command:
            found.append(command.decode(errors="replace"))
    return found


@pytest.mark.parametrize(
    ("fault", "stage", "reason"),
    [
        ("raise_load", "load", "RuntimeError: unsupported operator: Frobnicate"),
        ("raise_run", "run", "ValueError: expected kernels of 3, got 5"),
        ("crash", "run", "crashed by signal SIGSEGV"),
        ("abort", "run", "crashed by signal SIGABRT: terminate called after throwing an instance of 'std::logic_error'"),
        ("exit", "run", "ended with exit code 7 before it had a result"),
        ("exit_python", "run", "SystemExit: licence expired"),
        ("nan", "compare", "ValueError: expected 1 finite outputs, got not-a-number or infinity"),
        ("no_output", "compare", "ValueError: expected some finite outputs, got none"),
        ("no_file", "load", "FileNotFoundError: [Errno 2] No such file or directory: 'compiled.bin'"),
        ("crash_compile", "compile", "crashed by signal SIGSEGV"),
        ("late", "time", "ended with exit code 3 before it had a result"),
    ],
)
def test_a_fault_is_a_failure_with_its_stage_and_reason(fault: str, stage: str, reason: str) -> None:
    result = measure(fault)
    assert isinstance(result, MeasurementFailure)
    assert (result.stage, result.reason) == (stage, reason)
    assert (result.graph_key, result.batch_size) == (_GRAPH.key, 1)


@pytest.mark.parametrize("fault", ["hang", "hang_printing"])
def test_a_hanging_engine_is_killed_at_the_limit(fault: str) -> None:
    begin = time.monotonic()
    result = measure(fault, _SHORT)
    assert isinstance(result, MeasurementFailure)
    assert (result.stage, result.reason) == ("run", "killed at the time limit of 1.5 s")
    assert time.monotonic() - begin < 10


def test_memory_ends_at_the_limit() -> None:
    result = measure("eat_memory", memory_limit_bytes=512 << 20)
    assert isinstance(result, MeasurementFailure)
    assert (result.stage, result.reason) == ("run", "needed more memory than the limit of 512 MiB")


def test_noise_on_the_standard_streams_is_no_result() -> None:
    assert isinstance(measure("noise"), Measurement)


def test_no_process_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert isinstance(measure("leave_child"), Measurement)
    assert isinstance(measure("hang", _SHORT), MeasurementFailure)
    # The kernel has been told; give it a moment to take the orphans down.
    until = time.monotonic() + 5
    while processes_of(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    assert processes_of(tmp_path) == []


def test_a_failure_stops_nothing_else() -> None:
    assert [type(measure(fault)) for fault in ("none", "crash", "none")] == [Measurement, MeasurementFailure, Measurement]


def test_an_engine_that_cannot_be_imported_is_a_failure(tmp_path: Path) -> None:
    job = {
        "task": "time",
        "engine": "no_such_module:Engine",
        "settings": {},
        "input_shapes": [],
        "seed": 0,
        "cores": [],
        "memory_limit_bytes": None,
    }
    answer = run_isolated(tmp_path, job, 10.0)
    assert answer == ChildFailure("load", "ModuleNotFoundError: No module named 'no_such_module'")


def test_two_measurements_do_not_share_a_core() -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("needs two cores")
    with leased_cores(1, cores[:2]) as first, leased_cores(1, cores[:2]) as second:
        assert {*first, *second} == set(cores[:2])
    with leased_cores(8, cores[:2]) as all_of_them:
        assert set(all_of_them) == set(cores[:2])
