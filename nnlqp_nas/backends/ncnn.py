"""ncnn: its own files, written from ONNX without its converter, run through an extractor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import ModelGraph, Platform
from .engine import LoadedModel
from .isolated_backend import MODEL, IsolatedBackend
from .isolation import ChildFailure

_PARAM, _BINARY, _NAMES = "model.ncnn.param", "model.ncnn.bin", "model.ncnn.json"


class NcnnBackend(IsolatedBackend):
    """ncnn on the CPU in single precision.

    ncnn has no batch: a batch is run as its users run it, one input after the other, and the facts of
    the measurement say so. With two threads its workers spin while they wait, so that a neighbour on one of the
    cores slows a run many times; such a platform is offered, and wants an idle machine.
    """

    software = "ncnn"
    package = "ncnn"
    module = "ncnn"
    imports = ("nnlqp_nas.backends.ncnn_writer",)

    @classmethod
    def known_platforms(cls) -> tuple[Platform, ...]:
        return tuple(Platform("cpu", cls.software, "fp32", variant) for variant in ("", "2t"))

    @property
    def compiles(self) -> bool:
        return True

    @property
    def rewrites(self) -> tuple[str, ...]:
        return ("softplus-to-logarithm",)

    def _convert(self, graph: ModelGraph, batch_size: int, folder: Path) -> ChildFailure | None:  # noqa: ARG002
        return super()._convert(graph, 1, folder)

    @staticmethod
    def compile(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> None:  # noqa: ARG004
        from .ncnn_writer import write_ncnn

        names = write_ncnn(folder / MODEL, folder / _PARAM, folder / _BINARY)
        (folder / _NAMES).write_text(json.dumps(names))

    @staticmethod
    def load(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> LoadedModel:
        return _NcnnModel(folder, inputs, settings)


class _NcnnModel(LoadedModel):
    """A network and the inputs of each run of it: one for every member of the batch."""

    def __init__(self, folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> None:
        import ncnn  # type: ignore[import-untyped]

        self._input_names, self._output_names = json.loads((folder / _NAMES).read_text())
        self._net = ncnn.Net()
        _set_options(self._net.opt, settings["n_threads"])
        for code, path in ((self._net.load_param(str(folder / _PARAM)), _PARAM), (self._net.load_model(str(folder / _BINARY)), _BINARY)):
            if code:
                raise RuntimeError(f"expected ncnn to read {path}, got its error code {code}")
        self.feed(inputs)
        self._results: list[list[Any]] = []

    def run(self) -> None:
        self._results = [self._run_one(member) for member in self._batch]

    def _run_one(self, inputs: list[tuple[str, Any]]) -> list[Any]:
        extractor = self._net.create_extractor()
        for name, value in inputs:
            extractor.input(name, value)
        results = []
        for name in self._output_names:
            code, result = extractor.extract(name)
            if code:
                raise RuntimeError(f"expected ncnn to compute {name}, got its error code {code}")
            results.append(result)
        return results

    def outputs(self) -> list[NDArray[np.float32]]:
        return [np.stack([np.array(one) for one in members]) for members in zip(*self._results, strict=True)]

    def feed(self, inputs: Sequence[NDArray[Any]]) -> None:
        import ncnn

        # Copies lie as ncnn aligns its own memory.
        self._batch = [
            [(name, ncnn.Mat(np.ascontiguousarray(value[member])).clone()) for name, value in zip(self._input_names, inputs, strict=True)]
            for member in range(inputs[0].shape[0])
        ]

    @property
    def facts(self) -> Mapping[str, Any]:
        import ncnn

        facts: dict[str, Any] = {"engine": f"ncnn {ncnn.__version__}"}
        return facts if len(self._batch) == 1 else {**facts, "n_runs_a_batch": len(self._batch)}


def _set_options(options: Any, n_threads: int) -> None:
    """Single precision throughout; all else as ncnn has it: packed layouts, Winograd, flushed denormals."""
    options.num_threads = n_threads
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
        setattr(options, f"use_{name}", False)
