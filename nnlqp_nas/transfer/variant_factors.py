"""How many times longer than typically operators take on a new platform, and the shares of time that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from .evidence_gp import EvidenceGp
from .feature_group import FeatureGroup, Features, Matrix
from .typical_times import TIME_SHARES, TIMES

LARGEST = 1.5
"""Of a factor's logarithm: what few samples say of one variant is no wilder than that."""


@dataclass(frozen=True, eq=False)
class VariantFactors:
    """The point about which a sum over operators is taken for linear in the logarithms of their factors.

    With shares of time ``s_v`` of a network's variants and factors ``exp(theta_v)``, its log latency grows by ``log(sum_v s_v
    exp(theta_v))``. Linear in ``theta`` with shares of the typical time, this is right for small factors alone: where convolutions get four
    times faster, what else there is becomes most of the time. Taken about an estimate of ``theta`` it is right for large ones too.

    Attributes:
        log_factor: ``theta`` by variant; 0 where a variant is absent.
    """

    log_factor: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, process: EvidenceGp, features: Features) -> Self:
        """Return what a process that took the typical shares has learned.

        Args:
            process: Fitted to ``features``.
            features: Of its samples, with their shares of time.
        """
        shares, scaled = features[TIME_SHARES], features[TIMES]
        scale = scaled.values.sum(0) / np.maximum(shares.values.sum(0), np.finfo(float).tiny)
        by_column = dict(zip(shares.columns, scale.tolist(), strict=True))
        return cls(
            {
                column: float(np.clip(by_column[column] * weight, -LARGEST, LARGEST))
                for column, weight in process.coefficients(TIMES).items()
            }
        )

    def linearise(self, features: Features) -> tuple[dict[str, FeatureGroup], Matrix]:
        """Return the features that a process sees, with shares of time under these factors, and what of the latency it is not to explain.

        Returns:
            Features without ``time_shares``, and float64, shape (n,): log milliseconds beyond the linear part.
        """
        seen = {name: group for name, group in features.items() if name != TIME_SHARES}
        if TIME_SHARES not in features:
            return seen, np.zeros(len(next(iter(seen.values()))))
        shares, scaled = features[TIME_SHARES], features[TIMES]
        theta = np.array([self.log_factor.get(column, 0.0) for column in shares.columns])
        grown = shares.values @ np.exp(theta)
        grown = np.where(grown > 0.0, grown, 1.0)
        factor = np.exp(theta) / grown[:, None]
        seen[TIMES] = FeatureGroup(scaled.columns, scaled.values * factor)
        return seen, np.log(grown) - (shares.values * factor) @ theta
