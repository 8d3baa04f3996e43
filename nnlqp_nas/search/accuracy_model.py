"""A Gaussian process of accuracies over what a search knows for nothing: choices and latencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from .candidate import Candidate

LENGTHS = (0.15, 0.3, 0.6, 1.2)
"""Shares of the choices that two networks differ in, over which accuracies stay alike."""
SLOPES = (0.0, 0.3, 1.0)
"""Variances of what single choices, and the logarithm of the latency, add."""
NOISES = (0.01, 0.1)
"""Variances of what a training's chance adds."""

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AccuracyModel:
    """Regression on few evaluations: a smooth kernel over the choices in common, and a linear one.

    With ``h`` the share of parameters in which two networks differ and ``t`` their standardised log latencies, the kernel is
    ``exp(-h / length) + slope * (1 - h + t t')``. Length, slope and noise are those of the greatest marginal likelihood on a
    small grid (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, section 5.4.1).

    Attributes:
        rated: The n networks that were evaluated.
        hyper: Length, slope, noise.
        weights: float64, shape (n,), the inverse covariance times the standardised accuracies.
        precision: float64, shape (n, n), the inverse covariance.
        mean: Mean accuracy.
        scale: Their standard deviation.
        variance: Of the process, in standardised accuracies.
    """

    rated: Sequence[Candidate]
    hyper: tuple[float, float, float]
    weights: _Numbers
    precision: _Numbers
    mean: float
    scale: float
    variance: float

    @classmethod
    def fit(cls, rated: Sequence[Candidate]) -> AccuracyModel:
        """Learn from networks of one space, at least two, all with an accuracy."""
        accuracy = np.array([candidate.accuracy for candidate in rated], dtype=np.float64)
        mean, scale = float(accuracy.mean()), float(accuracy.std()) or 1.0
        target = (accuracy - mean) / scale
        parts = _parts(rated, rated)
        hyper = max(product(LENGTHS, SLOPES, NOISES), key=lambda tried: _log_evidence(_covariance(parts, tried), target))
        precision = np.linalg.inv(_covariance(parts, hyper))
        weights = precision @ target
        return cls(rated, hyper, weights, precision, mean, scale, float(target @ weights) / len(target))

    def predict(self, candidates: Sequence[Candidate]) -> tuple[_Numbers, _Numbers]:
        """Return mean and standard deviation of the accuracy of m networks of the same space, float64, shape (m,) each."""
        length, slope, _ = self.hyper
        differing, together = _parts(candidates, self.rated)
        cross = np.exp(-differing / length) + slope * together
        own = 1.0 + slope * (1.0 + _times(candidates, self.rated) ** 2)
        left = np.maximum(own - np.einsum("ij,jk,ik->i", cross, self.precision, cross, optimize=True), 1e-9)
        return self.mean + self.scale * (cross @ self.weights), self.scale * np.sqrt(self.variance * left)


def _parts(some: Sequence[Candidate], rated: Sequence[Candidate]) -> tuple[_Numbers, _Numbers]:
    """Return the share of parameters that differ, and what single choices and latency have in common, shape (some, rated) each."""
    codes, others = (np.array([candidate.architecture.code for candidate in group]) for group in (some, rated))
    differing = np.mean([mine[:, None] != other[None] for mine, other in zip(codes.T, others.T, strict=True)], axis=0)
    times = _times(some, rated)[:, None] * _times(rated, rated)[None]
    return differing, 1.0 - differing + times


def _times(some: Sequence[Candidate], rated: Sequence[Candidate]) -> _Numbers:
    """Return log latencies in standard deviations of those rated, float64, shape (some,)."""
    log_ms = np.log([candidate.predicted_ms for candidate in rated])
    return np.asarray((np.log([candidate.predicted_ms for candidate in some]) - log_ms.mean()) / (log_ms.std() or 1.0))


def _covariance(parts: tuple[_Numbers, _Numbers], hyper: tuple[float, float, float]) -> _Numbers:
    length, slope, noise = hyper
    differing, together = parts
    return np.asarray(np.exp(-differing / length) + slope * together + noise * np.eye(len(differing)))


def _log_evidence(covariance: _Numbers, target: _Numbers) -> float:
    """Return the logarithm of the marginal likelihood at the best variance of the process, but for a constant."""
    lower = np.linalg.cholesky(covariance)
    white = np.linalg.solve(lower, target)
    return float(-0.5 * len(target) * np.log(max(white @ white, 1e-12)) - np.log(np.diag(lower)).sum())
