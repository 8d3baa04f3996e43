"""What few-shot adaptation knows of networks before a platform that was left out is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.measured_networks import MeasuredNetworks
from nnlqp_nas.core import Platform
from nnlqp_nas.transfer import VARIANTS, FeatureGroup, Features, FewShotModel, GraphWork, TypicalTimes, VariantSpread, source_features, take

Times = NDArray[np.float64]

N_FOLDS = 5
NEGLIGIBLE = 1e-3
"""Share of a group's squares that is left out for the sake of fewer columns."""


@dataclass(frozen=True, eq=False)
class TransferFeatures:
    """Features of measured networks by what is known of the other platforms."""

    networks: MeasuredNetworks

    @cached_property
    def alone(self) -> Features:
        """Features of the graphs alone."""
        return _rotated(self._work.features())

    @cached_property
    def _work(self) -> GraphWork:
        return GraphWork.of(self.networks.graphs)

    def measured(self, target: Platform) -> Features:
        """Every network was measured on all other platforms, as an evolving database has it."""
        sources = self._sources(target)
        return self._pretrained(sources, self.networks.log_ms(sources))

    def predicted(self, target: Platform) -> Features:
        """No network was measured anywhere: each other platform is predicted by what it took for four fifths of the networks."""
        sources = self._sources(target)
        return self._pretrained(sources, np.stack([self._held_out[source] for source in sources], axis=1))

    def _sources(self, target: Platform) -> list[Platform]:
        return [platform for platform in self.networks.platforms if platform != target]

    def _pretrained(self, sources: Sequence[Platform], log_ms: Times) -> Features:
        spread = VariantSpread.learn(self.alone[VARIANTS], log_ms)
        times = _rotated(TypicalTimes.learn(self._work, log_ms).features(self._work))
        return {**spread.weigh(self.alone), **times, **source_features(log_ms, [str(source) for source in sources])}

    @cached_property
    def _held_out(self) -> dict[Platform, Times]:
        """Logarithm of milliseconds by platform, each fold of the networks predicted from the others by their graphs alone."""
        folds = np.random.default_rng(0).permutation(len(self.networks)) % N_FOLDS
        return {platform: self._predict_folds(latency_ms, folds) for platform, latency_ms in self.networks.latency_ms.items()}

    def _predict_folds(self, latency_ms: Times, folds: NDArray[np.int64]) -> Times:
        log_ms = np.zeros(len(latency_ms))
        for fold in range(N_FOLDS):
            held = folds == fold
            model = FewShotModel.fit(take(self.alone, ~held), latency_ms[~held], is_calibrated=False)
            log_ms[held] = model.predict(take(self.alone, held))[0]
        return log_ms


def _rotated(features: Features) -> dict[str, FeatureGroup]:
    return {name: rotated(group) for name, group in features.items()}


def rotated(group: FeatureGroup) -> FeatureGroup:
    """Return the principal directions of a group of more columns than networks; kernels see products alone, and these nearly stay."""
    if len(group.columns) <= len(group):
        return group
    square, directions = np.linalg.eigh(group.values @ group.values.T)
    kept = np.cumsum(square) > NEGLIGIBLE * square.sum()
    columns = tuple(f"direction {i}" for i in range(int(kept.sum())))
    return FeatureGroup(columns, directions[:, kept] * np.sqrt(square[kept]))
