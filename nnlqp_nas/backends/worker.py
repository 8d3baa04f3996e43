"""The measuring process.

It reads ``job.json`` in the folder it is started with, says in the file ``stage`` what it is about to do, and leaves
``result.json``. Standard output and error are no part of the protocol: engines print there.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

JOB, STAGE, RESULT = "job.json", "stage", "result.json"


def main() -> None:
    """Do the job of the folder named in the first argument, then leave at once: destructors of engines crash, and take time."""
    folder = Path(sys.argv[1])
    job = json.loads((folder / JOB).read_text())
    _confine(job)
    try:
        result: dict[str, Any] = {"value": _TASKS[job["task"]](folder, job)}
    except BaseException as error:  # an engine may raise anything, and exit too
        result = {"failure": {"stage": (folder / STAGE).read_text(), "reason": _one_line(error, job)}}
    part = folder / f"{RESULT}.part"
    part.write_text(json.dumps(result))
    part.replace(folder / RESULT)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _confine(job: dict[str, Any]) -> None:
    """Pin this process to its cores, bound its memory, and tie its life to its parent's."""
    if job["cores"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, job["cores"])
    if job["memory_limit_bytes"]:
        import resource

        # Data, not address space: engines reserve far more addresses than they use.
        resource.setrlimit(resource.RLIMIT_DATA, (job["memory_limit_bytes"],) * 2)
    if sys.platform == "linux":
        end_with_parent()
        if os.getppid() != job["parent"]:
            os._exit(1)


def end_with_parent() -> None:
    """Let the system kill this process when its parent ends."""
    import ctypes
    import signal

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _one_line(error: BaseException, job: dict[str, Any]) -> str:
    if isinstance(error, MemoryError):
        return f"needed more memory than the limit of {job['memory_limit_bytes'] / 2**20:.0f} MiB"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:500] if text else type(error).__name__


def _engine(job: dict[str, Any]) -> Any:
    sys.path.extend(entry for entry in job["path"] if entry not in sys.path)
    module, _, name = job["engine"].partition(":")
    return getattr(importlib.import_module(module), name)


def _inputs(job: dict[str, Any]) -> list[Any]:
    import numpy as np

    rng = np.random.default_rng(job["seed"])
    return [rng.standard_normal(shape, dtype=np.float32) for shape in job["input_shapes"]]


def _compile(folder: Path, job: dict[str, Any]) -> None:
    _enter(folder, "compile")
    engine, place = _engine(job), folder / job["place"]
    if job["is_split"]:
        from .split_network import SplitNetwork

        SplitNetwork.read(place).compile(engine.compile, job["settings"])
    else:
        engine.compile(place, _inputs(job), job["settings"])


def _load(folder: Path, job: dict[str, Any]) -> Any:
    _enter(folder, "load")
    engine, place = _engine(job), folder / job["place"]
    if job["is_split"]:
        from .split_network import SplitNetwork

        return SplitNetwork.read(place).load(engine.load, _inputs(job), job["settings"])
    return engine.load(place, _inputs(job), job["settings"])


def _rewrite(folder: Path, job: dict[str, Any]) -> None:
    from .rewrites import rewrite_file

    _enter(folder, "rewrite")
    rewrite_file(folder / job["model"], folder / job["place"] / job["model"], job["rewrites"])


def _cut(folder: Path, job: dict[str, Any]) -> list[str]:
    """Cut the network at the operators that a complaint names too, and return all it is cut at: nothing new, nothing done."""
    import onnx

    from ..core import UnsupportedError
    from .partition import named_operators
    from .pipeline import parts_folder
    from .split_network import SplitNetwork

    source = folder / job["place"] / job["model"]
    known: list[str] = job["refused"]
    refused = sorted({*known, *named_operators(job["complaint"], onnx.load(source))})
    if refused != known:
        if job["indivisible_reason"] is not None:
            raise UnsupportedError(job["indivisible_reason"])
        SplitNetwork.write(source, folder / job["place"] / parts_folder(refused), refused, job["input_shapes"])
    return refused


def _refer(folder: Path, job: dict[str, Any]) -> None:
    from .agreement import REFERENCE, write_reference

    _enter(folder, "compare")
    write_reference(folder / job["model"], _inputs(job), folder / REFERENCE)


def _time(folder: Path, job: dict[str, Any]) -> dict[str, Any]:
    started = time.monotonic()
    model = _load(folder, job)
    load_s = time.monotonic() - started
    _enter(folder, "run")
    model.run()
    _enter(folder, "compare")
    agreement = _compare(model.outputs(), folder, job["settings"]["precision"])
    _enter(folder, "time")
    from ..core import TimingProtocol
    from .core_speed import CoreSpeed
    from .timing import time_undisturbed

    protocol = TimingProtocol(**job["protocol"])
    spent_s = time.monotonic() - started
    time_left_s = protocol.time_limit_s - spent_s
    if job["pass_s"] is not None:
        protocol, time_left_s = protocol.within(job["pass_s"] - spent_s), min(time_left_s, job["pass_s"] - spent_s)
    facts = {**model.facts, **agreement, "load_s": round(load_s, 3)}
    if protocol.is_realtime:
        facts["is_realtime"] = _rise_above_others()
    speed = CoreSpeed(job["quiet_ns"])
    times = time_undisturbed(model.run, protocol, job["is_retrying"], time_left_s, speed)
    return {"times": times, "facts": facts, "quiet_ns": speed.quiet_ns if job["is_retrying"] else None}


def _rise_above_others() -> bool:
    """Let no ordinary process take this one's core; return whether the system allows it."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except (AttributeError, OSError):
        return False
    return True


def _compare(outputs: list[Any], folder: Path, precision: str) -> dict[str, Any]:
    """Refuse outputs that are not the network's; return how near they are, nothing where there is no reference."""
    import numpy as np

    from .agreement import REFERENCE, compare, facts_of, read_reference

    if not outputs or not all(np.isfinite(output).all() for output in outputs):
        raise ValueError(f"expected {len(outputs) or 'some'} finite outputs, got {'not-a-number or infinity' if outputs else 'none'}")
    if not (folder / REFERENCE).exists():
        return {}
    agreement = compare(outputs, read_reference(folder / REFERENCE))
    complaint = agreement.complaint(precision)
    if complaint is not None:
        raise ValueError(complaint)
    return facts_of(agreement)


def _profile(folder: Path, job: dict[str, Any]) -> list[list[Any]]:
    _enter(folder, "run")
    times = _engine(job).profile_runs(folder / job["place"], _inputs(job), job["settings"])
    return [[one.name, one.op_type, one.time_ms, one.fell_back] for one in times]


def _enter(folder: Path, stage: str) -> None:
    (folder / STAGE).write_text(stage)


_TASKS = {"compile": _compile, "cut": _cut, "refer": _refer, "rewrite": _rewrite, "time": _time, "profile": _profile}


if __name__ == "__main__":
    main()
