"""A Gaussian process of accuracies over what a search knows for nothing: choices, work and latencies."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
from numpy.typing import NDArray

_Numbers = NDArray[np.float64]
LENGTHS = (0.15, 0.3, 0.6, 1.2)
"""Shares of the choices that two networks differ in, over which accuracies stay alike."""
DECAYS = (0.1, 0.5)
"""How fast they cease to be alike with the distance in costs, an inverse standard deviation."""
SLOPES = (0.0, 0.3, 1.0)
"""Variances of what single choices, and the costs, add."""
NOISES = (0.01, 0.1)
"""Variances of what a training's chance adds."""


@dataclass(frozen=True, eq=False)
class Described:
    """What a model knows of n networks of one space.

    Attributes:
        codes: int64, shape (n, parameters).
        costs: float64, shape (n, costs), all above 0: what of them matters is their logarithms.
    """

    codes: NDArray[np.int64]
    costs: _Numbers

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True)
class _Hyper:
    length: float
    decay: float
    slope: float
    noise: float


@dataclass(frozen=True, eq=False)
class AccuracyModel:
    """Regression on few evaluations: a smooth kernel over choices in common and costs, and a linear one.

    With ``h`` the share of parameters in which two networks differ and ``c`` their standardised log costs, the kernel is
    ``exp(-h / length - decay |c - c'|) + slope * (1 - h + mean(c c'))``. Its numbers and the noise are those of the greatest marginal
    likelihood on a small grid (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, section 5.4.1).

    Attributes:
        rated: The n networks that were evaluated.
        hyper: The numbers.
        weights: float64, shape (n,), the inverse covariance times the standardised accuracies.
        precision: float64, shape (n, n), the inverse covariance.
        mean: Mean accuracy.
        scale: Their standard deviation.
        variance: Of the process, in standardised accuracies.
    """

    rated: Described
    hyper: _Hyper
    weights: _Numbers
    precision: _Numbers
    mean: float
    scale: float
    variance: float

    @classmethod
    def fit(cls, rated: Described, accuracy: _Numbers) -> Self:
        """Learn from at least two networks and their accuracies, float64, shape (n,)."""
        mean, scale = float(accuracy.mean()), float(accuracy.std()) or 1.0
        target = (accuracy - mean) / scale
        parts = _parts(rated, rated)
        tried = (_Hyper(*numbers) for numbers in product(LENGTHS, DECAYS, SLOPES, NOISES))
        hyper = max(tried, key=lambda one: _log_evidence(_covariance(parts, one), target))
        precision = np.linalg.inv(_covariance(parts, hyper))
        weights = np.asarray(precision @ target, dtype=np.float64)
        return cls(rated, hyper, weights, np.asarray(precision, dtype=np.float64), mean, scale, float(target @ weights) / len(target))

    def predict(self, networks: Described) -> tuple[_Numbers, _Numbers]:
        """Return mean and standard deviation of the accuracy of m networks of the same space, float64, shape (m,) each."""
        cross = _kernel(_parts(networks, self.rated), self.hyper)
        own = 1.0 + self.hyper.slope * (1.0 + (_standardised(networks, self.rated) ** 2).mean(1))
        left = np.maximum(own - np.einsum("ij,jk,ik->i", cross, self.precision, cross, optimize=True), 1e-9)
        return self.mean + self.scale * (cross @ self.weights), self.scale * np.sqrt(self.variance * left)


def _parts(some: Described, rated: Described) -> tuple[_Numbers, _Numbers, _Numbers]:
    """Return the share of parameters that differ, the distance in costs, and what single ones have in common, shape (some, rated) each."""
    differing = np.mean([mine[:, None] != other for mine, other in zip(some.codes.T, rated.codes.T, strict=True)], axis=0)
    mine, others = _standardised(some, rated), _standardised(rated, rated)
    distance = np.sqrt(((mine[:, None] - others) ** 2).sum(2))
    return differing, distance, 1.0 - differing + mine @ others.T / mine.shape[1]


def _standardised(some: Described, rated: Described) -> _Numbers:
    """Return log costs in standard deviations of those rated, float64, shape (some, costs)."""
    logs = np.log(rated.costs)
    spread = logs.std(0)
    return np.asarray((np.log(some.costs) - logs.mean(0)) / np.where(spread > 0.0, spread, 1.0))


def _kernel(parts: tuple[_Numbers, _Numbers, _Numbers], hyper: _Hyper) -> _Numbers:
    differing, distance, together = parts
    return np.asarray(np.exp(-differing / hyper.length - hyper.decay * distance) + hyper.slope * together)


def _covariance(parts: tuple[_Numbers, _Numbers, _Numbers], hyper: _Hyper) -> _Numbers:
    return _kernel(parts, hyper) + hyper.noise * np.eye(len(parts[0]))


def _log_evidence(covariance: _Numbers, target: _Numbers) -> float:
    """Return the logarithm of the marginal likelihood at the best variance of the process, but for a constant."""
    lower = np.linalg.cholesky(covariance)
    white = np.linalg.solve(lower, target)
    return float(-0.5 * len(target) * np.log(max(float(white @ white), 1e-12)) - np.log(np.diag(lower)).sum())
