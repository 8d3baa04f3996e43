"""Learning a platform from few measurements: source predictions and operator shares, weighed by evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from .evidence_gp import CONSTANT, NOISE, EvidenceGp, Prior, smooth_name
from .feature_group import FeatureGroup, Features, Matrix, take
from .graph_features import KIND_WORK, KINDS, OPERATOR_BYTES, OPERATOR_FLOPS, OPERATORS, TOTAL, VARIANTS
from .typical_times import KIND_TIMES, OPERATOR_TIMES, TIME_SHARES, TIMES
from .variant_factors import VariantFactors

OWN, LEVEL, CONTRAST = "own", "level", "contrast"
SMOOTH = (LEVEL, CONTRAST, TOTAL)
PRIOR: Prior = {
    OWN: (1.0, 1.0),
    LEVEL: (1.0, 1.1),
    CONTRAST: (0.5, 0.9),
    TOTAL: (0.16, 1.3),
    KINDS: (0.12, 1.1),
    KIND_WORK: (0.12, 1.1),
    VARIANTS: (0.3, 1.1),
    TIMES: (0.5, 1.1),
    KIND_TIMES: (0.3, 1.1),
    OPERATOR_TIMES: (0.1, 1.2),
    OPERATORS: (0.035, 1.3),
    OPERATOR_FLOPS: (0.025, 1.1),
    OPERATOR_BYTES: (0.04, 1.2),
    smooth_name(1.0): (0.003, 1.1),
    smooth_name(3.0): (0.007, 1.3),
    CONSTANT: (0.014, 1.1),
    NOISE: (0.015, 1.3),
}
"""What amplitudes were found with 120 samples of published source devices, each learned from the others (``benchmarks/few_shot.py``);
those of the shares of time, which compare families, on four of the own platforms (``benchmarks/transfer_platform.py``)."""

COVERAGE = 0.9
NORMAL_QUANTILE = 1.645
_LEAST_CALIBRATED = 10
_LARGEST_LOG_MS = 30.0


def source_features(log_latency: Matrix, names: Sequence[str]) -> dict[str, FeatureGroup]:
    """Describe n networks by what is predicted of them on D known platforms.

    Args:
        log_latency: float64, shape (n, D).
        names: Of the D platforms.

    Returns:
        ``level``, the mean over platforms, and ``contrast``, how each platform deviates from it (over the root of D, so
        that the number of platforms does not change its weight).
    """
    level = log_latency.mean(1, keepdims=True)
    contrast = (log_latency - level) / np.sqrt(log_latency.shape[1])
    return {LEVEL: FeatureGroup((LEVEL,), level), CONTRAST: FeatureGroup(tuple(names), contrast)}


@dataclass(frozen=True, eq=False)
class FewShotModel:
    """The logarithm of a platform's latency as a Gaussian process.

    Attributes:
        process: The process.
        quantile: Standard deviations that an interval reaches to each side.
        factors: The point at which shares of time are taken.
    """

    process: EvidenceGp
    quantile: float
    factors: VariantFactors = field(default_factory=VariantFactors)

    @classmethod
    def fit(cls, features: Features, latency_ms: ArrayLike, is_calibrated: bool = True) -> FewShotModel:
        """Learn from n measurements.

        Args:
            features: Of the n networks.
            latency_ms: float, shape (n,).
            is_calibrated: Whether to widen the interval until it holds what cross-validation says;
                it takes five further fits.

        Raises:
            InvalidSettingError: If there are fewer than 3.
        """
        target = np.log(np.asarray(latency_ms, dtype=np.float64))
        model = cls._learn(features, target)
        return replace(model, quantile=_quantile(features, target)) if is_calibrated else model

    @classmethod
    def _learn(cls, features: Features, target: Matrix) -> FewShotModel:
        """Fit with the typical shares of time, and once more with the shares that this tells."""
        typical, _ = VariantFactors().linearise(features)
        process = EvidenceGp.fit(typical, target, SMOOTH, PRIOR)
        if TIME_SHARES not in features:
            return cls(process, NORMAL_QUANTILE)
        factors = VariantFactors.of(process, features)
        seen, beyond = factors.linearise(features)
        return cls(EvidenceGp.fit(seen, target - beyond, SMOOTH, PRIOR), NORMAL_QUANTILE, factors)

    def predict(self, features: Features) -> tuple[Matrix, Matrix]:
        """Return log milliseconds and how far the interval reaches to each side, float64, shape (m,) each."""
        mean, deviation = self._predict(features)
        mean = np.clip(mean, -_LARGEST_LOG_MS, _LARGEST_LOG_MS)
        return mean, np.minimum(self.quantile * deviation, _LARGEST_LOG_MS)

    def _predict(self, features: Features) -> tuple[Matrix, Matrix]:
        seen, beyond = self.factors.linearise(features)
        mean, deviation = self.process.predict(seen)
        return mean + beyond, deviation

    @classmethod
    def cross_validate(cls, features: Features, target: Matrix, n_folds: int = 5, seed: int = 0) -> tuple[Matrix, Matrix]:
        """Predict every sample by a model that was fitted, amplitudes and all, to the other folds.

        Args:
            features: Of n networks.
            target: float64, shape (n,), log milliseconds.
            n_folds: Number of folds; at most n.
            seed: Of the folds.

        Returns:
            Mean and standard deviation, float64, shape (n,) each.
        """
        n = len(target)
        folds = np.random.default_rng(seed).permutation(n) % min(n_folds, n)
        mean, deviation = np.zeros(n), np.zeros(n)
        for fold in range(folds.max() + 1):
            held = folds == fold
            mean[held], deviation[held] = cls._learn(take(features, ~held), target[~held])._predict(take(features, held))
        return mean, deviation


def _quantile(features: Features, target: Matrix) -> float:
    """Return how many standard deviations hold the stated share of targets that a fit did not see.

    Cross-conformal (Vovk, Annals of Mathematics and Artificial Intelligence 2015): every fold is predicted
    by a model fitted, amplitudes and all, to the others.
    """
    if len(target) < _LEAST_CALIBRATED:
        return 2.0 * NORMAL_QUANTILE
    mean, deviation = FewShotModel.cross_validate(features, target)
    scores = np.sort(np.abs(target - mean) / deviation)
    rank = min(int(np.ceil((len(scores) + 1) * COVERAGE)), len(scores))
    return max(NORMAL_QUANTILE, float(scores[rank - 1]))
