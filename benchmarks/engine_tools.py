"""The engines' own tools, each run in a process of its own: what they say of a network's latency.

    python -m benchmarks.engine_tools JOB.json

reads ``tool`` (one of :data:`TOOLS`), ``model``, ``precision``, ``shapes`` (of the inputs), ``core`` and ``seconds``, and prints a line of
JSON with ``latency_ms`` and ``n_runs`` as the last one. Nothing here uses this project's timing.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import math
import os
import re
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Answer = tuple[float, int]
"""Latency in milliseconds, and over how many runs."""

FILES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "litert": {"fp32": "model.tflite", "int8dyn": "model.int8dyn.tflite"},
        "onnxruntime": {"fp32": "model.onnx", "int8": "model.int8.onnx"},
        "openvino": {"fp32": "model.onnx", "bf16": "model.onnx", "int8": "model.int8.onnx"},
        "torch": {"fp32": "model.onnx"},
        "tract": {"fp32": "model.onnx"},
    }
)
"""File that a platform's software runs at a precision, as its backend leaves it."""

TOOLS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "litert": ("benchmark_litert_model",),
        # The wheel has no timer of one thread; its profiler costs some microseconds a node.
        "onnxruntime": ("timeit of session.run", "model_run of the profiler"),
        "openvino": ("benchmark_app",),
        "torch": ("torch.utils.benchmark",),
        "tract": ("total of the profiler",),
    }
)
"""Tools that time a software; the first one counts."""

_MEDIAN = re.compile(r"Median:\s+([\d.]+) (us|ms)")
_COUNT = re.compile(r"Count:\s+(\d+) iterations")
_TELEMETRY = "openvino.tools.ovc"
_N_WARMUP = 5
_FEWEST_RUNS = 10


def main() -> None:
    """Do one job."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if job["core"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [job["core"]])
    latency_ms, n_runs = _RUN[job["tool"]](job)
    print(json.dumps({"latency_ms": latency_ms, "n_runs": n_runs}), flush=True)
    os._exit(0)  # destructors of engines crash, and take time


def run_benchmark_app(job: Mapping[str, Any]) -> Answer:
    """Run OpenVINO's benchmark_app: one stream, one thread, synchronous, its median."""
    # It reports the import to its maker, and is not needed.
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings.json"
        settings.write_text(json.dumps({"CPU": {"CPU_DENORMALS_OPTIMIZATION": "YES", "ENABLE_CPU_PINNING": "NO"}}))
        sys.argv = ["benchmark_app", "-m", job["model"], "-d", "CPU", "-api", "sync", "-hint", "none", "-nstreams", "1", "-nthreads", "1"]
        sys.argv += ["-infer_precision", {"bf16": "bf16"}.get(job["precision"], "f32"), "-load_config", str(settings)]
        sys.argv += ["-t", str(math.ceil(job["seconds"]))]
        said = _said_by("openvino.tools.benchmark.main")
    median, count = _MEDIAN.search(said), _COUNT.search(said)
    if median is None or count is None:
        raise RuntimeError(f"expected benchmark_app to tell a median, got {said[-300:]!r}")
    return float(median[1]) / (1e3 if median[2] == "us" else 1), int(count[1])


def run_litert_benchmark(job: Mapping[str, Any]) -> Answer:
    """Run LiteRT's benchmark_litert_model: one thread, its median."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"

        def run(n_runs: int) -> dict[str, Any]:
            sys.argv = ["benchmark_litert_model", "--model", job["model"], "--num_threads", "1", "--result_json", str(result)]
            sys.argv += ["--warmup_runs", str(_N_WARMUP), "--num_runs", str(n_runs)]
            _said_by("ai_edge_litert.tools.benchmark_litert_model")
            answer: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))["latency"]
            return answer

        # It counts runs, not seconds.
        latency = run(max(_FEWEST_RUNS, int(1e3 * job["seconds"] / max(run(2)["min_ms"], 0.01))))
    return float(latency["median_ms"]), int(latency["num_runs"])


def run_onnxruntime_loop(job: Mapping[str, Any]) -> Answer:
    """Time ONNX Runtime's ``session.run`` with Python's ``timeit``: the median run."""
    run = _onnxruntime_session(job, None)[1]
    _repeat(run, 0.0)
    timer = timeit.Timer(run)
    n_runs = max(_FEWEST_RUNS, int(job["seconds"] / min(timer.repeat(_FEWEST_RUNS, 1))))
    return 1e3 * float(np.median(timer.repeat(n_runs, 1))), n_runs


def run_onnxruntime_profiler(job: Mapping[str, Any]) -> Answer:
    """Run ONNX Runtime under its profiler: the median of the events ``model_run``."""
    with tempfile.TemporaryDirectory() as folder:
        session, run = _onnxruntime_session(job, Path(folder) / "profile")
        _repeat(run, job["seconds"])
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    times_us = [event["dur"] for event in events if event["name"] == "model_run"][_N_WARMUP:]
    return float(np.median(times_us)) / 1e3, len(times_us)


def _onnxruntime_session(job: Mapping[str, Any], profile: Path | None) -> tuple[Any, Callable[[], object]]:
    """Return a session of one thread, and what runs it once."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.enable_profiling = profile is not None
    options.profile_file_prefix = str(profile)
    session = onnxruntime.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    feeds = dict(zip(names, _inputs(job), strict=True))
    return session, lambda: session.run(None, feeds)


def run_torch_timer(job: Mapping[str, Any]) -> Answer:
    """Run PyTorch's own timer, ``torch.utils.benchmark``: the median of its blocks."""
    import onnx
    import torch
    from torch.utils.benchmark import Timer

    from nnlqp_nas.graphs.torch_weights import module_of

    torch.set_flush_denormal(True)
    module, _ = module_of(onnx.load(job["model"]))
    names = {"module": module, "inputs": [torch.from_numpy(value) for value in _inputs(job)]}
    with torch.inference_mode():
        taken = Timer("module(*inputs)", globals=names, num_threads=1).blocked_autorange(min_run_time=job["seconds"])
    return 1e3 * taken.median, len(taken.times) * taken.number_per_run


def run_tract_profiler(job: Mapping[str, Any]) -> Answer:
    """Run tract's profiler, which decides itself how long: the mean run."""
    import tract  # type: ignore[import-untyped]

    runnable = tract.onnx().load(job["model"]).into_model().into_runnable()
    taken = json.loads(runnable.profile_json(_inputs(job)))["profiling_info"]
    return 1e3 * float(taken["secs_per_iter"]), int(taken["iterations"])


def _inputs(job: Mapping[str, Any]) -> list[NDArray[np.float32]]:
    shapes: Sequence[Sequence[int]] = job["shapes"]
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]


def _repeat(run: Callable[[], object], seconds: float) -> None:
    for _ in range(_N_WARMUP + _FEWEST_RUNS):
        run()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        run()


def _said_by(module: str) -> str:
    """Return what the command line of a module writes to standard output and error; its log goes where they lead when it is imported."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        importlib.import_module(module).main()
    return said.getvalue()


_RUN: Mapping[str, Callable[[Mapping[str, Any]], Answer]] = MappingProxyType(
    {
        "benchmark_litert_model": run_litert_benchmark,
        "timeit of session.run": run_onnxruntime_loop,
        "model_run of the profiler": run_onnxruntime_profiler,
        "benchmark_app": run_benchmark_app,
        "torch.utils.benchmark": run_torch_timer,
        "total of the profiler": run_tract_profiler,
    }
)


if __name__ == "__main__":
    main()
