"""LiteRT (TensorFlow Lite) with its XNNPACK kernels, fp32 and with weights of 8 bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import Platform
from .engine import LoadedModel
from .isolated_backend import MODEL, IsolatedBackend

_FILES: Mapping[str, str] = MappingProxyType({"fp32": "model.tflite", "int8dyn": "model.int8dyn.tflite"})


class LiteRtBackend(IsolatedBackend):
    """LiteRT on the CPU, with the XNNPACK kernels that its interpreter takes by default.

    ``int8dyn`` is dynamic-range quantisation: weights as 8-bit integers with a scale an output channel,
    activations quantised by the kernels as they run. Maps are stored with channels last, inputs too. LiteRT
    flushes denormal numbers to zero by itself, and has no profiler that Python can read.

    Args:
        platform: Such as ``cpu-litert-fp32``, ``cpu-litert-int8dyn-2t``.
        cores: Cores to measure on; None for all that this process may use.
        memory_limit_bytes: Largest memory of the measuring process; None for no limit.
    """

    software = "litert"
    package = "ai-edge-litert"
    module = "ai_edge_litert"
    imports = ("nnlqp_nas.backends.tflite_writer", "ai_edge_litert.interpreter")

    @classmethod
    def known_platforms(cls) -> tuple[Platform, ...]:
        return tuple(Platform("cpu", cls.software, precision, variant) for precision in _FILES for variant in ("", "2t"))

    @property
    def compiles(self) -> bool:
        return True

    @property
    def rewrites(self) -> tuple[str, ...]:
        return ("erf-to-gelu", "mish-to-softplus", "softplus-to-logarithm")

    @staticmethod
    def compile(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> None:  # noqa: ARG004
        import onnx

        from .tflite_writer import to_tflite

        precision = settings["precision"]
        (folder / _FILES[precision]).write_bytes(to_tflite(onnx.load(folder / MODEL), is_quantised=precision == "int8dyn"))

    @staticmethod
    def load(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> LoadedModel:
        return _LiteRtModel(folder / _FILES[settings["precision"]], inputs, settings["n_threads"])


class _LiteRtModel(LoadedModel):
    """An interpreter with its inputs set."""

    def __init__(self, path: Path, inputs: list[NDArray[np.float32]], n_threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

        self._interpreter = Interpreter(model_path=str(path), num_threads=n_threads)
        self._interpreter.allocate_tensors()
        self.feed(inputs)

    def run(self) -> None:
        self._interpreter.invoke()

    def outputs(self) -> list[NDArray[np.float32]]:
        from .tflite_writer import axes_order

        results = []
        for one in self._interpreter.get_output_details():
            order = axes_order(one["name"])
            results.append(self._interpreter.get_tensor(one["index"]).transpose(np.argsort(order)))
        return results

    def feed(self, inputs: Sequence[NDArray[Any]]) -> None:
        from .tflite_writer import axes_order

        for one, value in zip(self._interpreter.get_input_details(), inputs, strict=True):
            self._interpreter.set_tensor(one["index"], np.ascontiguousarray(value.transpose(axes_order(one["name"]))))

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"engine": f"ai-edge-litert {version('ai-edge-litert')}"}
