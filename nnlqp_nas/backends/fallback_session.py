"""ONNX Runtime on the CPU for the part of a network that an engine refuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .engine import LoadedModel


class FallbackSession(LoadedModel):
    """A session in fp32 with all fusions, as many threads as the engine beside it has.

    Args:
        path: The ONNX file of the part.
        inputs: What it reads first.
        n_threads: Threads within an operator.
    """

    def __init__(self, path: Path, inputs: Sequence[NDArray[Any]], n_threads: int) -> None:
        import onnxruntime  # type: ignore[import-untyped]

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_threads
        options.inter_op_num_threads = 1
        # Random weights make denormal activations now and then, which run many times slower.
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        # Workers that spin for more work would take the cores from the engine, whose turn it is next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._names = [one.name for one in self._session.get_inputs()]
        self._results: list[NDArray[np.float32]] = []
        self.feed(inputs)

    def run(self) -> None:
        self._results = self._session.run(None, self._inputs)

    def outputs(self) -> list[NDArray[np.float32]]:
        return self._results

    def feed(self, inputs: Sequence[NDArray[Any]]) -> None:
        self._inputs = dict(zip(self._names, inputs, strict=True))
