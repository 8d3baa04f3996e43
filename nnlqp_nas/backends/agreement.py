"""Whether an engine computes what ONNX Runtime computes in fp32: a fast wrong answer is no latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

REFERENCE = "reference.npz"
_LARGEST_ERROR = 1e-3
_LEAST_COSINE: Mapping[str, float] = {"fp16": 0.999, "bf16": 0.98}
_LEAST_COSINE_INT = 0.95


@dataclass(frozen=True, slots=True)
class Agreement:
    """How near an engine's outputs are to the reference.

    Attributes:
        largest_error: Largest absolute difference, relative to the largest output in magnitude.
        cosine: Cosine of the angle between all outputs as one vector and the reference.
    """

    largest_error: float
    cosine: float

    def complaint(self, precision: str) -> str | None:
        """Return why the outputs are not those of the network, or None where they are.

        fp32 must agree within 1e-3; lower precisions are held to the cosine, integers to 0.95.
        """
        if precision == "fp32":
            if self.largest_error <= _LARGEST_ERROR:
                return None
            return f"expected the outputs of ONNX Runtime within {_LARGEST_ERROR:g}, got a difference of {self.largest_error:.2g}"
        least = _LEAST_COSINE.get(precision, _LEAST_COSINE_INT)
        return None if self.cosine >= least else f"expected outputs with a cosine of at least {least:g} to fp32, got {self.cosine:.3f}"


def compare(outputs: Sequence[NDArray[np.float32]], reference: Sequence[NDArray[np.float32]]) -> Agreement:
    """Compare outputs, arrays in the order of the network's outputs.

    Raises:
        ValueError: If they are not as many, or not as large.
    """
    if [one.size for one in outputs] != [one.size for one in reference]:
        raise ValueError(f"expected outputs of {[one.shape for one in reference]}, got {[one.shape for one in outputs]}")
    ours, theirs = (np.concatenate([np.ravel(one).astype(np.float64) for one in group]) for group in (outputs, reference))
    scale = float(np.abs(theirs).max())
    norm = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    return Agreement(float(np.abs(ours - theirs).max()) / (scale or 1.0), float(ours @ theirs) / norm if norm else float(scale == 0))


def write_reference(model: Path, inputs: Sequence[NDArray[np.float32]], target: Path) -> None:
    """Run an ONNX file in fp32 with ONNX Runtime, without its fusions, and keep the outputs.

    Raises:
        Exception: Whatever ONNX Runtime raises.
    """
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    outputs = session.run(None, dict(zip(names, inputs, strict=True)))
    with target.open("wb") as file:
        np.savez(file, *outputs)


def read_reference(path: Path) -> list[NDArray[np.float32]]:
    """Return the outputs that :func:`write_reference` kept, in their order."""
    with np.load(path, allow_pickle=False) as arrays:
        return [arrays[f"arr_{index}"] for index in range(len(arrays.files))]


def facts_of(agreement: Agreement) -> dict[str, Any]:
    """Return what is kept with a measurement, rounded."""
    return {name: float(f"{value:.4g}") for name, value in asdict(agreement).items()}
