"""OpenVINO: the CPU as it is or held to an older instruction set, and Intel's GPUs and NPUs."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import OperatorTime, Platform, UnsupportedError
from .engine import LoadedModel
from .host import host_facts
from .isolated_backend import MODEL, IsolatedBackend
from .operator_times import N_PROFILED, N_WARMUP, middle_mean
from .refused_operators import refused_operators
from .static_quantisation import QUANTISED, quantise

DEVICES: Mapping[str, str] = MappingProxyType({"cpu": "CPU", "gpu-intel": "GPU", "npu-intel": "NPU"})
# Without a hint OpenVINO takes the fastest format of the device, which is bf16 on some CPUs.
_HINTS: Mapping[str, str] = MappingProxyType({"fp32": "f32", "int8": "f32", "bf16": "bf16", "fp16": "f16"})
# Variant: (value of ONEDNN_MAX_CPU_ISA, instruction set that the CPU must have).
_LIMITS: Mapping[str, tuple[str, str]] = MappingProxyType({"sse41": ("SSE41", "sse4_1"), "avx2": ("AVX2", "avx2")})
_BF16_SETS = frozenset({"avx512_bf16", "amx_bf16"})
# It takes two thirds of the time of the import, and reports the import to its maker.
_CONVERTER = "openvino.tools.ovc"


class OpenVinoBackend(IsolatedBackend):
    """OpenVINO on the CPU, on an Intel GPU or on an Intel NPU.

    The hardware part of the platform names the device (see :data:`DEVICES`); the variants ``sse41`` and ``avx2``
    hold the CPU to the kernels of older instruction sets; int8 reads the model quantised for ONNX Runtime and runs
    OpenVINO's own integer kernels.
    """

    software = "openvino"
    package = "openvino"
    module = "openvino"
    imports = ("onnxruntime.quantization",)
    has_profiler = True

    @classmethod
    def known_platforms(cls) -> tuple[Platform, ...]:
        plain = [("cpu", precision, variant) for precision in ("fp32", "bf16", "int8") for variant in ("", "2t")]
        limited = [("cpu", "fp32", "sse41"), ("cpu", "fp32", "avx2"), ("cpu", "int8", "avx2")]
        others = [("gpu-intel", "fp32", ""), ("gpu-intel", "fp16", ""), ("npu-intel", "fp16", "")]
        return tuple(Platform(hardware, cls.software, *rest) for hardware, *rest in (*plain, *limited, *others))

    @property
    def compiles(self) -> bool:
        return self.platform.precision == "int8"

    @property
    def artefact(self) -> str:
        return QUANTISED

    @property
    def rewrites(self) -> tuple[str, ...]:
        # The kernel of layer normalisation does not stand this limit.
        return ("layer-normalization-to-arithmetic",) if self._max_isa() == "SSE41" else ()

    def indivisible_reason(self) -> str | None:
        return "a part cannot be quantised without inputs like those that it gets" if self.platform.precision == "int8" else None

    def settings(self, n_threads: int) -> dict[str, Any]:
        return {**super().settings(n_threads), "device": DEVICES[self.platform.hardware], "max_isa": self._max_isa()}

    def environment(self, n_threads: int) -> dict[str, str]:
        # Set where nothing is limited too: what stands in the caller's environment must not count.
        return {**super().environment(n_threads), "ONEDNN_MAX_CPU_ISA": self._max_isa()}

    def unavailable_reason(self) -> str | None:
        reason = super().unavailable_reason()
        if reason is not None:
            return reason
        return self._missing_set() if self.platform.hardware == "cpu" else self._missing_device()

    def _max_isa(self) -> str:
        return next((_LIMITS[token][0] for token in self.platform.variant.split("-") if token in _LIMITS), "ALL")

    def _missing_set(self) -> str | None:
        sets = set(host_facts()["instruction_sets"])
        if self.platform.precision == "bf16" and not sets & _BF16_SETS:
            return f"this CPU has neither {' nor '.join(sorted(_BF16_SETS))}"
        missing = [_LIMITS[token][1] for token in self.platform.variant.split("-") if token in _LIMITS and _LIMITS[token][1] not in sets]
        return f"this CPU has no {missing[0]}" if missing else None

    def _missing_device(self) -> str | None:
        wanted = DEVICES[self.platform.hardware]
        here = _import_openvino().Core().available_devices
        if any(device.partition(".")[0] == wanted for device in here):
            return None
        return f"OpenVINO finds no device {wanted} here, only {', '.join(here) or 'none'}"

    @staticmethod
    def compile(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> None:  # noqa: ARG004
        quantise(folder / MODEL, folder / QUANTISED, inputs)

    @staticmethod
    def load(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> LoadedModel:
        return _OpenVinoModel(_compile_model(folder, settings), inputs, settings)

    @staticmethod
    def profile_runs(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> list[OperatorTime]:
        model = _OpenVinoModel(_compile_model(folder, settings, is_profiling=True), inputs, settings)
        for _ in range(N_WARMUP):
            model.run()
        profiles = [model.profile()]
        for _ in range(N_PROFILED):
            model.run()
            profiles.append(model.profile())
        return [_operator_time(means) for means in zip(*profiles, strict=True) if means[-1].status == means[-1].Status.EXECUTED]


class _OpenVinoModel(LoadedModel):
    """A request whose own tensors hold the inputs, so that a run copies and allocates nothing."""

    def __init__(self, compiled: Any, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> None:
        self._compiled, self._settings = compiled, settings
        self._request = compiled.create_infer_request()
        self.feed(inputs)

    def run(self) -> None:
        self._request.infer(share_outputs=True)

    def outputs(self) -> list[NDArray[np.float32]]:
        return [np.array(tensor.data) for tensor in self._request.output_tensors]

    def feed(self, inputs: Sequence[NDArray[Any]]) -> None:
        for tensor, value in zip(self._request.input_tensors, inputs, strict=True):
            tensor.data[:] = value

    def profile(self) -> list[Any]:
        """Return what the engine tells of each node since it was loaded, fused ones too."""
        profile: list[Any] = self._request.profiling_info
        return profile

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"engine": f"openvino {_import_openvino().__version__.partition('-')[0]}", "max_isa": self._settings["max_isa"]}


def _operator_time(means: tuple[Any, ...]) -> OperatorTime:
    """Take the mean over all runs so far, which is what the engine tells after each, apart: the first runs are far slower."""
    totals_us = [_mean_us(mean) * n for n, mean in enumerate(means, N_WARMUP)]
    times_us = [max(0.0, after - before) for before, after in itertools.pairwise(totals_us)]
    # Kernels called ref_... are plain loops, for what has no optimised kernel.
    node = means[-1]
    return OperatorTime(node.node_name, node.node_type, middle_mean(times_us) / 1e3, fell_back=node.exec_type.startswith("ref"))


def _mean_us(node: Any) -> float:
    """Whole microseconds, rounded down."""
    return node.real_time / timedelta(microseconds=1) + 0.5


def _compile_model(folder: Path, settings: Mapping[str, Any], is_profiling: bool = False) -> Any:
    core = _import_openvino().Core()
    path = folder / (QUANTISED if settings["precision"] == "int8" else MODEL)
    hint = _HINTS[settings["precision"]]
    properties = _properties(settings, hint, is_profiling)

    def compile_source(source: Path | bytes) -> Any:
        return core.compile_model(core.read_model(source), settings["device"], properties)

    try:
        compiled = compile_source(path)
    except RuntimeError:
        refused = refused_operators(path, compile_source)
        if not refused:
            raise
        what = "; ".join(f"{op_type}: {reason.rpartition('.cpp:')[2]}" for op_type, reason in refused.items())
        raise UnsupportedError(f"expected operators that OpenVINO has on {settings['device']}, got {what}") from None
    taken = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if taken != hint:
        raise RuntimeError(f"expected {settings['device']} to compute in {hint}, got {taken}")
    return compiled


def _properties(settings: Mapping[str, Any], hint: str, is_profiling: bool) -> dict[str, Any]:
    shared = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "PERF_COUNT": is_profiling}
    if settings["device"] != "CPU":
        return shared
    return {
        **shared,
        "INFERENCE_NUM_THREADS": settings["n_threads"],
        # Two threads of one physical core count as two here: the cores are chosen outside, and this process is pinned to them.
        "ENABLE_HYPER_THREADING": True,
        "ENABLE_CPU_PINNING": False,
        # Random weights make denormal activations now and then, which run many times slower.
        "CPU_DENORMALS_OPTIMIZATION": True,
    }


def _import_openvino() -> Any:
    if "openvino" not in sys.modules:
        # An entry of None makes that import fail, which OpenVINO allows for.
        sys.modules[_CONVERTER] = None  # type: ignore[assignment]
        importlib.import_module("openvino")
        del sys.modules[_CONVERTER]
    return sys.modules["openvino"]
