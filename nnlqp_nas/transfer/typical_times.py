"""How a network's time is shared among its operators on a typical platform: where a new platform may differ by how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from .feature_group import FeatureGroup, Matrix
from .graph_features import GraphWork
from .rate_fit import fit_rates
from .variant_spread import VariantSpread

TIMES, TIME_SHARES, KIND_TIMES, OPERATOR_TIMES = "times", "time_shares", "kind_times", "operator_times"


@dataclass(frozen=True, eq=False)
class TypicalTimes:
    """What operators take on a typical one of the known platforms: rates of a launch, a FLOP and a byte for every variant.

    Where a platform runs one operator so many times slower than others do, the logarithm of a network's latency grows by the operator's
    share of the *time*, which its shares of FLOPs or bytes tell badly: depthwise convolutions have few FLOPs and take long.

    Attributes:
        variants: Names of d variants of operators.
        rates: float64, shape (d, 3): milliseconds a launch, a FLOP and a byte.
        common: float64, shape (3,): of a variant that was never seen.
        spread: In which variants the known platforms differ, by shares of time.
        kind_spread: In which kinds they differ.
    """

    variants: tuple[str, ...]
    rates: Matrix
    common: Matrix
    spread: VariantSpread
    kind_spread: VariantSpread

    @classmethod
    def learn(cls, work: GraphWork, log_latency: Matrix) -> Self:
        """Fit the rates to the geometric mean over platforms, by non-negative least squares of the relative error with a prior.

        Args:
            work: Of n networks.
            log_latency: float64, shape (n, D): measured or predicted on D platforms, at least two.
        """
        variants, is_variant = work.variants
        typical_ms = np.exp(log_latency.mean(1))
        relative = np.stack([(work.counts * work.work[:, i]) @ is_variant for i in range(3)], axis=2) / typical_ms[:, None, None]
        common, factors = fit_rates(relative)
        rates = common * factors
        share = _shares(work, dict(zip(variants, rates, strict=True)), common)
        spreads = [VariantSpread.learn(FeatureGroup(named, share @ is_one), log_latency) for named, is_one in (work.variants, work.kinds)]
        return cls(variants, rates, common, *spreads)

    def features(self, work: GraphWork) -> dict[str, FeatureGroup]:
        """Return shares of the typical time.

        Returns:
            ``time_shares`` by variant, which sum to 1; ``times``, the same scaled by how platforms differ in each; ``kind_times`` by
            kind, scaled likewise; ``operator_times`` by operator.
        """
        (variants, is_variant), (kinds, is_kind) = work.variants, work.kinds
        share = _shares(work, dict(zip(self.variants, self.rates, strict=True)), self.common)
        times = share @ is_variant
        return {
            TIME_SHARES: FeatureGroup(variants, times),
            TIMES: self.spread.scaled(FeatureGroup(variants, times)),
            KIND_TIMES: self.kind_spread.scaled(FeatureGroup(kinds, share @ is_kind)),
            OPERATOR_TIMES: FeatureGroup(work.columns, share),
        }


def _shares(work: GraphWork, rates: Mapping[str, Matrix], common: Matrix) -> Matrix:
    """Return each operator's share of the time, float64, shape (n, operators), by the rates of its variant."""
    variants, is_variant = work.variants
    of_variant = np.array([rates.get(variant, common) for variant in variants]).reshape(len(variants), *common.shape)
    time = work.counts * (work.work * (is_variant @ of_variant)).sum(1)
    return np.asarray(time / np.maximum(time.sum(1, keepdims=True), np.finfo(float).tiny), dtype=np.float64)
