"""In which operators platforms differ: learned from known platforms, a prior for the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from .feature_group import FeatureGroup, Matrix
from .graph_features import VARIANTS

RIDGE = 0.05
LEAST = 0.01
USUAL = 0.3
"""What log latency changes by, give or take, if a variant were all of a network: the unit of the scales."""


@dataclass(frozen=True, eq=False)
class VariantSpread:
    """How much the costs of operators' variants spread over platforms.

    Engines agree on some operators and not on others: one has a kernel for depthwise 7x7, another has not. Whoever has seen
    several platforms knows which, and so what few samples of the next one have to tell first.

    Attributes:
        columns: Names of d columns of the features ``variants``.
        scale: float64, shape (d,): root mean square, over platforms, of the coefficient by which a share changes log latency, over
            :data:`USUAL`.
    """

    columns: tuple[str, ...]
    scale: Matrix

    @classmethod
    def learn(cls, variants: FeatureGroup, log_latency: Matrix) -> Self:
        """Regress how each platform deviates from the mean of all on the shares of variants, with a ridge.

        Args:
            variants: Of n networks.
            log_latency: float64, shape (n, D): measured or predicted on D platforms, at least two.
        """
        shares = variants.values - variants.values.mean(0)
        deviation = log_latency - log_latency.mean(1, keepdims=True)
        normal = shares.T @ shares + RIDGE * np.eye(shares.shape[1])
        coefficients = np.linalg.solve(normal, shares.T @ (deviation - deviation.mean(0)))
        return cls(variants.columns, np.sqrt((coefficients**2).mean(1) + LEAST**2) / USUAL)

    def scaled(self, variants: FeatureGroup) -> FeatureGroup:
        """Return the features, each column by its scale; one never seen by the median of all."""
        known = dict(zip(self.columns, self.scale.tolist(), strict=True))
        usual = float(np.median(self.scale))
        return FeatureGroup(variants.columns, variants.values * np.array([known.get(name, usual) for name in variants.columns]))

    def weigh(self, features: Mapping[str, FeatureGroup]) -> dict[str, FeatureGroup]:
        """Return the features with their group ``variants`` scaled."""
        return {**features, VARIANTS: self.scaled(features[VARIANTS])}
