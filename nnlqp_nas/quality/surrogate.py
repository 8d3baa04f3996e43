"""Shipped surrogates of published accuracies: numpy alone, thousands of networks a second."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import Architecture, InvalidSettingError, UnknownNameError
from .block_features import (
    ACCEL_CHOICES,
    MACRO_CHOICES,
    SUBNET_CHOICES,
    describe_accel_networks,
    describe_macro_networks,
    describe_subnets,
)
from .cell_features import CELL_CHOICES, describe_cells
from .ensemble import read_ensemble
from .quality import Quality

_CHUNK = 1024


@dataclass(frozen=True)
class Scope:
    """What the surrogate of a space is about.

    Attributes:
        metrics: What each output of its ensemble means, by the name of its data set, in order.
        n_choices: Choices of each parameter of the space.
        describe: Codes to features.
        fixed: Digits that the data never varied: parameter, digit, and what to do about another one.
    """

    metrics: dict[str, str]
    n_choices: tuple[int, ...]
    describe: Callable[[Sequence[tuple[int, ...]]], NDArray[np.float32]]
    fixed: tuple[tuple[int, int, str], ...] = ()


SCOPES = {
    "accel_nasbench": Scope(
        {"imagenet": "ImageNet top-1 accuracy after Accel-NASBench's short training, %"}, ACCEL_CHOICES, describe_accel_networks
    ),
    "mobilenetv3": Scope(
        {"imagenet": "ImageNet top-1 accuracy of Once-for-All's super-network of width 1.0, %"},
        SUBNET_CHOICES,
        describe_subnets,
        ((0, SUBNET_CHOICES[0] - 1, "resolution 224, the only one in its data: space=mobilenetv3_w10 has it fixed"),),
    ),
    "nasbench201": Scope(
        {
            "cifar10": "CIFAR-10 test accuracy, %",
            "cifar100": "CIFAR-100 test accuracy, %",
            "imagenet16_120": "ImageNet16-120 test accuracy, %",
        },
        CELL_CHOICES,
        describe_cells,
    ),
    "nasbench_macro": Scope({"cifar10": "CIFAR-10 test accuracy, %"}, MACRO_CHOICES, describe_macro_networks),
}


class AccuracySurrogate(Quality):
    """Predicts the published accuracy of a network of a space, from its code.

    An ensemble of multilayer perceptrons on features of the code; each predicts ``-log(ceiling -
    accuracy)``, standardised, and their mean is turned back to percent. Its card (:func:`read_card`) states the
    data, the split and the rank correlation on networks it was not fitted on.

    Guarantees: deterministic; a batch equals its members one by one.

    Args:
        dataset: What the networks were trained on: ``cifar10``, ``cifar100`` or ``imagenet16_120`` (NAS-Bench-201),
            ``cifar10`` (NAS-Bench-Macro), ``imagenet`` (Accel-NASBench, Once-for-All).
        path: A safetensors file that ``benchmarks.fit_accuracy_surrogate`` wrote; None takes the shipped one.
        space: Name of the space: ``nasbench201``, ``nasbench_macro``, ``accel_nasbench`` or ``mobilenetv3``.

    Raises:
        UnknownNameError: If there is no surrogate for ``space`` or ``dataset``.
        CheckpointError: If the file cannot be read.
    """

    def __init__(self, dataset: str = "cifar10", path: Path | str | None = None, space: str = "nasbench201") -> None:
        if space not in SCOPES:
            raise UnknownNameError.among("space with an accuracy surrogate", space, SCOPES)
        self._scope = SCOPES[space]
        if dataset not in self._scope.metrics:
            raise UnknownNameError.among("data set", dataset, self._scope.metrics)
        self.space = space
        self.name = f"surrogate:{space}_{dataset}"
        self.metric = self._scope.metrics[dataset]
        self._output = list(self._scope.metrics).index(dataset)
        self._ensemble = read_ensemble(shipped_name(space), path)

    def evaluate(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        for architecture in architectures:
            self._check(architecture)
        codes = [architecture.code for architecture in architectures]
        chunks = [codes[start : start + _CHUNK] for start in range(0, len(codes), _CHUNK)]
        values = [self._ensemble.predict(self._scope.describe(chunk), self._output) for chunk in chunks]
        return np.concatenate(values) if values else np.zeros(0)

    def _check(self, architecture: Architecture) -> None:
        code, n_choices = architecture.code, self._scope.n_choices
        is_member = architecture.space == self.space and len(code) == len(n_choices)
        if not is_member or any(digit >= n for digit, n in zip(code, n_choices, strict=True)):
            raise InvalidSettingError(f"expected members of {self.space}, got {architecture.key}: give your own quality for other spaces")
        for parameter, digit, remedy in self._scope.fixed:
            if code[parameter] != digit:
                raise InvalidSettingError(f"{self.name} expected {remedy}; got {architecture.key}")


def shipped_name(space: str) -> str:
    """Return the name of the files of a space's surrogate, without their suffix."""
    return f"{space}_accuracy"


def read_card(space: str = "nasbench201") -> dict[str, Any]:
    """Return the card of a shipped surrogate: data, split, seed, errors, command."""
    text = files(__package__).joinpath("surrogates", f"{shipped_name(space)}.json").read_text(encoding="utf-8")
    card: dict[str, Any] = json.loads(text)
    return card
