"""A shipped surrogate of NAS-Bench-201 accuracy: numpy alone, thousands of cells a second."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import Architecture, CheckpointError, InvalidSettingError, UnknownNameError
from .cell_features import describe_cells
from .quality import Quality

DATASETS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16_120": "ImageNet16-120"}
SHIPPED = "nasbench201_accuracy"
_CHUNK = 1024


class AccuracySurrogate(Quality):
    """Predicts the test accuracy of a NAS-Bench-201 cell after 200 epochs of training.

    An ensemble of multilayer perceptrons on :func:`describe_cells`; each predicts ``-log(ceiling -
    accuracy)``, standardised, and their mean is turned back to percent. Its card states the data,
    the split and the rank correlation on cells it was not fitted on.

    Guarantees: deterministic; a batch equals its members one by one.

    Args:
        dataset: ``cifar10``, ``cifar100`` or ``imagenet16_120``.
        path: A safetensors file that ``benchmarks.fit_accuracy_surrogate`` wrote; None takes the shipped one.

    Raises:
        UnknownNameError: If ``dataset`` is not one of these.
        CheckpointError: If the file cannot be read.
    """

    space = "nasbench201"

    def __init__(self, dataset: str = "cifar10", path: Path | str | None = None) -> None:
        if dataset not in DATASETS:
            raise UnknownNameError.among("data set", dataset, DATASETS)
        self.name = f"surrogate:{dataset}"
        self.metric = f"{DATASETS[dataset]} test accuracy, %"
        self._column = list(DATASETS).index(dataset)
        self._weights = _read_weights(path)

    def evaluate(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        for architecture in architectures:
            if architecture.space != "nasbench201":
                raise InvalidSettingError(
                    f"expected members of nasbench201, got {architecture.key}: give your own quality for other spaces"
                )
        codes = [architecture.code for architecture in architectures]
        values = [self._predict(codes[start : start + _CHUNK]) for start in range(0, len(codes), _CHUNK)]
        return np.concatenate(values) if values else np.zeros(0)

    def _predict(self, codes: Sequence[tuple[int, ...]]) -> NDArray[np.float64]:
        weights, at = self._weights, self._column
        x = describe_cells(codes).astype(np.float64)
        x = _silu(np.einsum("nf,mfh->mnh", x, weights["weight_1"], optimize=True) + weights["bias_1"][:, None])
        x = _silu(np.matmul(x, weights["weight_2"]) + weights["bias_2"][:, None])
        scores = np.matmul(x, weights["weight_3"][:, :, at : at + 1])[:, :, 0] + weights["bias_3"][:, at : at + 1]
        score = scores.mean(axis=0) * weights["std"][at] + weights["mean"][at]
        return np.asarray(np.clip(weights["ceiling"][at] - np.exp(-score), 0.0, 100.0), dtype=np.float64)


def read_card() -> dict[str, Any]:
    """Return the card of the shipped surrogate: data, split, seed, errors, command."""
    text = files(__package__).joinpath("surrogates", f"{SHIPPED}.json").read_text(encoding="utf-8")
    card: dict[str, Any] = json.loads(text)
    return card


def _silu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(x / (1 + np.exp(-x)))


def _read_weights(path: Path | str | None) -> dict[str, NDArray[np.float64]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        if path is not None:
            tensors = load_file(str(path))
        else:
            with as_file(files(__package__).joinpath("surrogates", f"{SHIPPED}.safetensors")) as shipped:
                tensors = load_file(str(shipped))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"expected a surrogate written by benchmarks.fit_accuracy_surrogate, got {path or SHIPPED}: {error}"
        ) from error
    missing = {"weight_1", "bias_1", "weight_2", "bias_2", "weight_3", "bias_3", "mean", "std", "ceiling"} - set(tensors)
    if missing:
        raise CheckpointError(f"expected a surrogate's tensors in {path or SHIPPED}, got none named {', '.join(sorted(missing))}")
    return {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
