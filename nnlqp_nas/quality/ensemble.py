"""An ensemble of perceptrons that tells accuracies from features: numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core import CheckpointError

_TENSORS = frozenset({"weight_1", "bias_1", "weight_2", "bias_2", "weight_3", "bias_3", "mean", "std", "ceiling"})


@dataclass(frozen=True)
class Ensemble:
    """Perceptrons of two hidden layers (SiLU), k outputs each; an output is ``-log(ceiling - accuracy)``, standardised.

    Attributes:
        tensors: float64: ``weight_i`` of shape (members, in, out), ``bias_i`` of (members, out), and ``mean``,
            ``std`` and ``ceiling`` (percent) of shape (k,).
    """

    tensors: dict[str, NDArray[np.float64]]

    def predict(self, features: NDArray[np.float32], output: int) -> NDArray[np.float64]:
        """Return the mean of the members in percent, float64, shape (n,).

        Args:
            features: float32, shape (n, in).
            output: Which of the k outputs.
        """
        weights = self.tensors
        x = features.astype(np.float64)
        x = _silu(np.einsum("nf,mfh->mnh", x, weights["weight_1"], optimize=True) + weights["bias_1"][:, None])
        x = _silu(np.matmul(x, weights["weight_2"]) + weights["bias_2"][:, None])
        scores = np.matmul(x, weights["weight_3"][:, :, output : output + 1])[:, :, 0] + weights["bias_3"][:, output : output + 1]
        score = scores.mean(axis=0) * weights["std"][output] + weights["mean"][output]
        return np.asarray(np.clip(weights["ceiling"][output] - np.exp(-score), 0.0, 100.0), dtype=np.float64)


def read_ensemble(name: str, path: Path | str | None = None) -> Ensemble:
    """Return the shipped ensemble ``name``, or that of a file.

    Raises:
        CheckpointError: If the file cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        if path is not None:
            tensors = load_file(str(path))
        else:
            with as_file(files(__package__).joinpath("surrogates", f"{name}.safetensors")) as shipped:
                tensors = load_file(str(shipped))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"expected a surrogate written by benchmarks.fit_accuracy_surrogate, got {path or name}: {error}") from error
    missing = _TENSORS - set(tensors)
    if missing:
        raise CheckpointError(f"expected a surrogate's tensors in {path or name}, got none named {', '.join(sorted(missing))}")
    return Ensemble({tensor: values.astype(np.float64) for tensor, values in tensors.items()})


def _silu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(x / (1 + np.exp(-x)))
