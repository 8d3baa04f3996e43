"""An engine that refuses operators, in each way that engines refuse them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backends import IsolatedBackend, LoadedModel
from ..backends.isolated_backend import MODEL
from ..core import Platform

_MANNERS = ("", "compiling", "silent", "static", "indivisible")
_COMPILED = "compiled.onnx"


class RefusingBackend(IsolatedBackend):
    """Runs a network by ONNX's reference implementation, but for the operators in its platform's hardware part.

    ``Relu+Sigmoid-refusing-fp32`` refuses both and names the first that it meets. The variants: ``compiling`` refuses
    when it compiles and not when it loads, ``silent`` does not say what it refuses, ``static`` takes no new inputs,
    ``indivisible`` does not let its networks be cut.
    """

    software = "refusing"
    package = "nnlqp-nas"
    module = "onnx"

    @classmethod
    def known_platforms(cls) -> tuple[Platform, ...]:
        return tuple(Platform(what, cls.software, "fp32", manner) for what in ("none", "Relu", "Relu+Sigmoid") for manner in _MANNERS)

    @property
    def compiles(self) -> bool:
        return self.platform.variant == "compiling"

    def settings(self, n_threads: int) -> dict[str, Any]:
        refused = self.platform.hardware.split("+")
        return {**super().settings(n_threads), "refused": refused, "manner": self.platform.variant}

    def indivisible_reason(self) -> str | None:
        return "it never is" if self.platform.variant == "indivisible" else None

    @staticmethod
    def compile(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> None:  # noqa: ARG004
        _refuse(folder / MODEL, settings)
        (folder / _COMPILED).write_bytes((folder / MODEL).read_bytes())

    @staticmethod
    def load(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> LoadedModel:
        if settings["manner"] == "compiling":
            return _ReferenceModel(folder / _COMPILED, inputs)
        _refuse(folder / MODEL, settings)
        return (_StaticModel if settings["manner"] == "static" else _ReferenceModel)(folder / MODEL, inputs)


class _StaticModel(LoadedModel):
    """The reference implementation on the inputs that it was loaded with."""

    def __init__(self, path: Path, inputs: Sequence[NDArray[np.float32]]) -> None:
        from onnx.reference import ReferenceEvaluator

        self._evaluator = ReferenceEvaluator(str(path))
        self._inputs = dict(zip(self._evaluator.input_names, inputs, strict=True))
        self._results: list[NDArray[np.float32]] = []

    def run(self) -> None:
        self._results = list(self._evaluator.run(None, self._inputs))  # type: ignore[arg-type]

    def outputs(self) -> list[NDArray[np.float32]]:
        return self._results

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"engine": "reference"}


class _ReferenceModel(_StaticModel):
    """The same, and takes others."""

    def feed(self, inputs: Sequence[NDArray[Any]]) -> None:
        self._inputs = dict(zip(self._inputs, inputs, strict=True))


def _refuse(path: Path, settings: Mapping[str, Any]) -> None:
    import onnx

    refused = next((node.op_type for node in onnx.load(path).graph.node if node.op_type in settings["refused"]), None)
    if refused is not None:
        raise RuntimeError("model not accepted" if settings["manner"] == "silent" else f"no kernel for {refused}")
