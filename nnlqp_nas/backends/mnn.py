"""MNN: converted to its own format in a process of its own, run through a session."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import OperatorTime, Platform
from .engine import LoadedModel
from .isolated_backend import MODEL, IsolatedBackend

_CONVERTED = "model.mnn"
_NAMES = "model.mnn.json"
_LOG = "mnnconvert.log"
_SESSION_DEBUG, _SESSION_RELEASE = 0, 1
"""MNN's session modes: callbacks between operators are allowed in the first only."""
_COMPLAINT = re.compile(r"error|fail|not support|unsupport|don't|can't", re.IGNORECASE)
_N_PROFILED_WARMUP, _N_PROFILED = 5, 30


class MnnBackend(IsolatedBackend):
    """MNN on the CPU in single precision, any number of threads."""

    software = "mnn"
    package = "MNN"
    module = "MNN"
    imports = ("onnx",)
    has_profiler = True

    @classmethod
    def known_platforms(cls) -> tuple[Platform, ...]:
        return tuple(Platform("cpu", cls.software, "fp32", variant) for variant in ("", "2t"))

    @property
    def compiles(self) -> bool:
        return True

    @property
    def rewrites(self) -> tuple[str, ...]:
        return ("mish-to-softplus",)

    @staticmethod
    def compile(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> None:  # noqa: ARG004
        # The converter itself, not the command around it: that one installs packages.
        import _tools  # type: ignore[import-not-found]

        source, target = folder / MODEL, folder / _CONVERTED
        _write_output_to(folder / _LOG)
        _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target), "--bizCode", "MNN"])
        # It says that it succeeded in any case.
        if not target.is_file() or not target.stat().st_size:
            raise RuntimeError(f"expected MNN to convert the network, got no file: {_complaints(folder / _LOG)}")
        (folder / _NAMES).write_text(json.dumps(_read_names(source)))

    @staticmethod
    def load(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> LoadedModel:
        return _MnnModel(folder, inputs, settings, _SESSION_RELEASE)

    @staticmethod
    def profile_runs(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> list[OperatorTime]:
        model = _MnnModel(folder, inputs, settings, _SESSION_DEBUG)
        times_s: dict[tuple[str, str], list[float]] = {}
        for _ in range(_N_PROFILED_WARMUP + _N_PROFILED):
            model.run_profiled(times_s)
        return [OperatorTime(name, op_type, float(np.median(times[-_N_PROFILED:])) * 1e3) for (name, op_type), times in times_s.items()]


class _MnnModel(LoadedModel):
    """A session and the arrays that it reads.

    MNN plans its memory so that intermediate results may overwrite an input, hence the inputs are
    copied in before every run, as everybody who uses a session does.
    """

    def __init__(self, folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any], mode: int) -> None:
        import MNN  # type: ignore[import-untyped]

        self._interpreter = MNN.Interpreter(str(folder / _CONVERTED))
        self._interpreter.setSessionMode(mode)
        options = {"backend": "CPU", "numThread": settings["n_threads"], "precision": "high"}
        self._session = self._interpreter.createSession(options)
        names = json.loads((folder / _NAMES).read_text())
        self._targets = self._interpreter.getSessionInputAll(self._session)
        self._input_names = names["input"]
        self._results = self._interpreter.getSessionOutputAll(self._session)
        self._output_names = [name for name in names["output"] if name in self._results]
        self.feed(inputs)
        if len(self._output_names) < len(names["output"]):
            raise RuntimeError(f"expected the outputs {', '.join(names['output'])} of MNN, got {', '.join(self._results)}")

    def run(self) -> None:
        for target, value in self._inputs:
            target.copyFrom(value)
        code = self._interpreter.runSession(self._session)
        if code:
            raise RuntimeError(f"expected MNN to run the network, got its error code {code}")

    def run_profiled(self, times_s: dict[tuple[str, str], list[float]]) -> None:
        """Run once and append the time of every operator, seconds."""
        began = 0.0

        def before(_tensors: Any, _operator: Any) -> bool:
            nonlocal began
            began = time.perf_counter()
            return True

        def after(_tensors: Any, operator: Any) -> bool:
            spent = time.perf_counter() - began
            times_s.setdefault((operator.getName(), operator.getType()), []).append(spent)
            return True

        for target, value in self._inputs:
            target.copyFrom(value)
        self._interpreter.runSessionWithCallBackInfo(self._session, before, after)

    def outputs(self) -> list[NDArray[np.float32]]:
        arrays = []
        for name in self._output_names:
            result = self._results[name]
            copy = _host_tensor(np.zeros(result.getShape(), np.float32))
            result.copyToHostTensor(copy)
            arrays.append(np.asarray(copy.getNumpyData(), np.float32).reshape(result.getShape()).copy())
        return arrays

    def feed(self, inputs: Sequence[NDArray[Any]]) -> None:
        named = zip(self._input_names, inputs, strict=True)
        self._inputs = [(self._targets[name], _host_tensor(value)) for name, value in named if name in self._targets]

    @property
    def facts(self) -> Mapping[str, Any]:
        import MNN

        return {"engine": f"MNN {MNN.version()}"}


def _host_tensor(value: NDArray[np.float32]) -> Any:
    import MNN

    return MNN.Tensor(value.shape, MNN.Halide_Type_Float, np.ascontiguousarray(value), MNN.Tensor_DimensionType_Caffe)


def _read_names(path: Path) -> dict[str, list[str]]:
    """Return the names of the inputs and outputs of an ONNX file, in its order."""
    import onnx

    graph = onnx.load(path).graph
    weights = {one.name for one in graph.initializer}
    return {"input": [one.name for one in graph.input if one.name not in weights], "output": [one.name for one in graph.output]}


def _write_output_to(path: Path) -> None:
    """Send what this process prints from now on, from C++ too, to a file."""
    target = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(target, stream)
    os.close(target)


def _complaints(path: Path) -> str:
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    complaints = [line for line in lines if _COMPLAINT.search(line)]
    return "; ".join((complaints or lines)[-3:]) or "it said nothing"
