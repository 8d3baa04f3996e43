"""ONNX Runtime: every precision and execution provider of it that we measure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import OperatorTime, Platform
from .engine import LoadedModel
from .isolated_backend import MODEL, IsolatedBackend
from .operator_times import N_PROFILED, N_WARMUP, middle_mean
from .static_quantisation import QUANTISED, quantise

PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "cpu": "CPUExecutionProvider",
        "cpu-openvino": "OpenVINOExecutionProvider",
        "cpu-xnnpack": "XnnpackExecutionProvider",
        "gpu-cuda": "CUDAExecutionProvider",
        "gpu-tensorrt": "TensorrtExecutionProvider",
        "gpu-rtx": "NvTensorRTRTXExecutionProvider",
        "npu-coreml": "CoreMLExecutionProvider",
        "npu-qnn": "QNNExecutionProvider",
    }
)
_GPU_MEMORY = frozenset({"CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider"})


class OnnxRuntimeBackend(IsolatedBackend):
    """ONNX Runtime on the CPU, or through another execution provider.

    The hardware part of the platform names the provider (``cpu``, ``gpu-cuda``, ...; see
    :data:`PROVIDERS`); int8 is static quantisation in QDQ form, calibrated on seeded random data.

    Args:
        platform: Such as ``cpu-onnxruntime-fp32``, ``cpu-onnxruntime-int8-2t``.
        cores: Cores to measure on; None for all that this process may use.
        memory_limit_bytes: Largest memory of the measuring process; None for no limit.
        provider_options: Options of the execution provider.
    """

    software = "onnxruntime"
    package = "onnxruntime"
    module = "onnxruntime"
    imports = ("onnxruntime.quantization",)
    has_profiler = True

    def __init__(
        self,
        platform: Platform,
        cores: Sequence[int] | None = None,
        memory_limit_bytes: int | None = 8 << 30,
        provider_options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(platform, cores, memory_limit_bytes)
        self.provider = PROVIDERS[platform.hardware]
        self.provider_options = dict(provider_options or {})

    @classmethod
    def known_platforms(cls) -> tuple[Platform, ...]:
        cpu = tuple(Platform("cpu", cls.software, precision, variant) for precision in ("fp32", "int8") for variant in ("", "2t"))
        others = tuple(Platform(hardware, cls.software, "fp32") for hardware in PROVIDERS if hardware != "cpu")
        return cpu + others

    def unavailable_reason(self) -> str | None:
        reason = super().unavailable_reason()
        if reason is not None or self.platform.hardware == "cpu":
            return reason
        import onnxruntime  # type: ignore[import-untyped]

        if self.provider in onnxruntime.get_available_providers():
            return None
        return f"this build of onnxruntime has no {self.provider}"

    @property
    def compiles(self) -> bool:
        return self.platform.precision == "int8"

    @property
    def artefact(self) -> str:
        return QUANTISED

    def indivisible_reason(self) -> str | None:
        return "ONNX Runtime is what refused operators run on"

    def settings(self, n_threads: int) -> dict[str, Any]:
        return {**super().settings(n_threads), "provider": self.provider, "provider_options": self.provider_options}

    @staticmethod
    def compile(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> None:  # noqa: ARG004
        quantise(folder / MODEL, folder / QUANTISED, inputs)

    @staticmethod
    def load(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> LoadedModel:
        return _OnnxRuntimeModel(_open_session(folder, settings), inputs, settings)

    @staticmethod
    def profile_runs(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> list[OperatorTime]:
        session = _open_session(folder, settings, is_profiling=True)
        model = _OnnxRuntimeModel(session, inputs, settings)
        for _ in range(N_WARMUP + N_PROFILED):
            model.run()
        return _read_profile(Path(session.end_profiling()), settings["provider"])


class _OnnxRuntimeModel(LoadedModel):
    """A session with its inputs and outputs bound, so that a run copies and allocates nothing."""

    def __init__(self, session: Any, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> None:
        import onnxruntime

        device = "cuda" if settings["provider"] in _GPU_MEMORY else "cpu"
        self._session, self._binding, self._waits = session, session.io_binding(), device != "cpu"
        self._inputs = [onnxruntime.OrtValue.ortvalue_from_numpy(value, device, 0) for value in inputs]
        for one, value in zip(session.get_inputs(), self._inputs, strict=True):
            self._binding.bind_ortvalue_input(one.name, value)
        for one in session.get_outputs():
            self._binding.bind_output(one.name, device)
        self.run()
        # From here on the results go where those of the first run stand.
        for one, value in zip(session.get_outputs(), self._binding.get_outputs(), strict=True):
            self._binding.bind_ortvalue_output(one.name, value)

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)
        if self._waits:
            self._binding.synchronize_outputs()

    def outputs(self) -> list[NDArray[np.float32]]:
        return [value.numpy() for value in self._binding.get_outputs()]

    def feed(self, inputs: Sequence[NDArray[Any]]) -> None:
        for held, value in zip(self._inputs, inputs, strict=True):
            held.update_inplace(value)

    @property
    def facts(self) -> Mapping[str, Any]:
        import onnxruntime

        return {"engine": f"onnxruntime {onnxruntime.__version__}", "provider": self._session.get_providers()[0]}


def _open_session(folder: Path, settings: Mapping[str, Any], is_profiling: bool = False) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings["n_threads"]
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Random weights make denormal activations now and then, which run many times slower.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.enable_profiling = is_profiling
    options.profile_file_prefix = str(folder / "profile")
    path = folder / (QUANTISED if settings["precision"] == "int8" else MODEL)
    provider = settings["provider"]
    session = onnxruntime.InferenceSession(str(path), options, providers=[(provider, settings["provider_options"])])
    # A provider that does not start is replaced by the CPU without an error.
    if session.get_providers()[0] != provider:
        raise RuntimeError(f"expected {provider} to start, got {session.get_providers()[0]} in its place")
    return session


def _read_profile(path: Path, provider: str) -> list[OperatorTime]:
    times_us: dict[str, list[float]] = {}
    ran_by: dict[str, tuple[str, str]] = {}
    for event in json.loads(path.read_text()):
        name = event["name"].removesuffix("_kernel_time")
        if event.get("cat") == "Node" and name != event["name"]:
            times_us.setdefault(name, []).append(event["dur"])
            ran_by[name] = (event["args"]["op_name"], event["args"].get("provider", provider))
    return [
        OperatorTime(name, ran_by[name][0], middle_mean(times[-N_PROFILED:]) / 1e3, fell_back=ran_by[name][1] != provider)
        for name, times in times_us.items()
    ]
