"""Baseline: gradient-boosted trees on statistics of the whole network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnlqp_nas.core import (
    CheckpointError,
    InvalidSettingError,
    LatencyPredictor,
    LatencyTable,
    ModelGraph,
    Platform,
    Prediction,
    TrainingRun,
    TrainingState,
)

from .checkpoint import Arrays, read_checkpoint, take, write_checkpoint
from .conformal import COVERAGE
from .epochs import run_epochs
from .familiarity import Domain, domain_arrays, read_domains
from .forest import Forest
from .graph_statistics import N_STATISTICS, STATISTICS, graph_statistics
from .held_out import FAR_MARGIN, hold_out, margins

TREES_AN_EPOCH = 10


@dataclass(frozen=True)
class BoostedTreesSettings:
    """Settings of the trees and of their training.

    Attributes:
        n_trees: Trees a platform, a multiple of ``TREES_AN_EPOCH``.
        learning_rate: What a tree's leaves are multiplied by.
        max_leaf_nodes: Most leaves a tree.
        min_samples_leaf: Fewest networks a leaf.
        held_out: Share of the networks that :meth:`BoostedTrees.fit` calibrates the intervals on.
    """

    n_trees: int = 300
    learning_rate: float = 0.1
    max_leaf_nodes: int = 31
    min_samples_leaf: int = 20
    held_out: float = 0.1

    def __post_init__(self) -> None:
        if self.n_trees < TREES_AN_EPOCH or self.n_trees % TREES_AN_EPOCH:
            raise InvalidSettingError(f"expected a multiple of {TREES_AN_EPOCH} trees, got {self.n_trees}")
        if self.learning_rate <= 0 or self.max_leaf_nodes < 2 or self.min_samples_leaf < 1 or not 0 <= self.held_out < 1:
            raise InvalidSettingError(
                f"expected a learning rate > 0, leaves >= 2, networks a leaf >= 1, a share of 0 to below 1, got {self}"
            )

    @property
    def of_trees(self) -> dict[str, Any]:
        """What scikit-learn's model takes."""
        return {"learning_rate": self.learning_rate, "max_leaf_nodes": self.max_leaf_nodes, "min_samples_leaf": self.min_samples_leaf}


@dataclass(frozen=True, eq=False)
class Grove:
    """What was learned of one platform.

    Attributes:
        forest: From :func:`graph_statistics` to the natural logarithm of milliseconds.
        margin: How far the interval reaches to each side, log milliseconds.
        domain: What it was trained on.
    """

    forest: Forest
    margin: float
    domain: Domain


@dataclass(frozen=True, eq=False)
class BoostedTrees(LatencyPredictor):
    """scikit-learn's histogram gradient boosting on the log-latency, one forest a platform.

    Trees repeat the training latencies: they cannot tell a larger network than all of those. A few
    samples of a new platform shift the forest whose predictions follow them best, enough of them (two
    leaves' worth) add trees to it.

    Attributes:
        settings: Of the trees and their training.
        groves: What was learned, by platform.

    References:
        Friedman, Greedy Function Approximation: A Gradient Boosting Machine, Annals of Statistics 2001;
        Ke et al., LightGBM, NeurIPS 2017, whose histograms scikit-learn's trees are grown on.
    """

    settings: BoostedTreesSettings = field(default_factory=BoostedTreesSettings)
    groves: Mapping[Platform, Grove] = field(default_factory=dict)

    name = "boosted_trees"

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(sorted(self.groves))

    def _predict(self, graphs: Sequence[ModelGraph], platform: Platform, batch_size: int) -> Prediction:
        grove = self.groves[platform]
        latency_ms = np.exp(grove.forest.predict(graph_statistics(graphs, batch_size)))
        is_far = np.array([not grove.domain.holds(graph) for graph in graphs])
        factor: NDArray[np.float64] = np.exp(np.where(is_far, max(FAR_MARGIN, grove.margin), grove.margin))
        return Prediction(latency_ms, latency_ms / factor, latency_ms * factor, is_far, COVERAGE)

    def fit(self, tables: Sequence[LatencyTable], seed: int = 0) -> Self:
        learned, held_out = hold_out(tables, self.settings.held_out, seed)
        run = BoostedTreesTraining(self, learned, seed, from_scratch=True)
        run_epochs(run)
        return replace(self, groves=run.predictor().calibrated(held_out).groves)

    def start_training(
        self,
        tables: Sequence[LatencyTable],
        seed: int = 0,
        from_scratch: bool = True,
        device: str = "cpu",  # noqa: ARG002 - trees grow on the CPU
    ) -> TrainingRun:
        return BoostedTreesTraining(self, tables, seed, from_scratch)

    def calibrated(self, tables: Sequence[LatencyTable]) -> Self:
        told = {platform: replace(self.groves[platform], margin=margin) for platform, margin in margins(self, tables).items()}
        return replace(self, groves={**self.groves, **told})

    def adapt(self, platform: Platform, graphs: Sequence[ModelGraph], latency_ms: ArrayLike, batch_size: int = 1) -> Self:
        table = LatencyTable(platform, batch_size, list(graphs), np.asarray(latency_ms, dtype=np.float64))
        if not len(table):
            return self
        if not self.groves:
            raise InvalidSettingError("expected a trained predictor, got one without trees; call fit() or load() first")
        features, target = graph_statistics(table.graphs, batch_size), np.log(table.latency_ms)
        off = {known: target - grove.forest.predict(features) for known, grove in sorted(self.groves.items())}
        start = self.groves[min(off, key=lambda known: float(off[known].std()))].forest
        forest = start.grown(features, target, self.settings.n_trees, self.settings.of_trees, seed=0)
        return replace(self, groves={**self.groves, platform: Grove(forest, FAR_MARGIN, Domain.of("support", table.graphs))})

    def save(self, path: Path) -> None:
        groves = [self.groves[platform] for platform in self.platforms]
        arrays: Arrays = {"margin": np.array([grove.margin for grove in groves]), **domain_arrays([grove.domain for grove in groves])}
        for i, grove in enumerate(groves):
            arrays |= grove.forest.to_arrays(f"{i}.")
        names = [str(platform) for platform in self.platforms]
        domains = [grove.domain.name for grove in groves]
        settings = {"settings": asdict(self.settings), "fitted": names, "domains": domains, "statistics": list(STATISTICS)}
        write_checkpoint(path, self.name, arrays, settings, self.platforms)

    @classmethod
    def load(cls, path: Path) -> Self:
        arrays, stated = read_checkpoint(path, cls.name)
        try:
            if tuple(stated["statistics"]) != STATISTICS:
                raise CheckpointError(f"expected trees on this release's statistics, got others in {path.name}; train them again")
            platforms = [Platform.parse(name) for name in stated["fitted"]]
            margin = take(arrays, "margin", (len(platforms),)).tolist()
            domains = read_domains(arrays, stated["domains"])
            forests = [Forest.from_arrays(f"{i}.", arrays, N_STATISTICS) for i in range(len(platforms))]
            groves = {platform: Grove(*parts) for platform, *parts in zip(platforms, forests, margin, domains, strict=True)}
            return cls(BoostedTreesSettings(**stated["settings"]), groves)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"expected a {cls.name} checkpoint, got one that does not fit: {error}") from error


class BoostedTreesTraining(TrainingRun):
    """Grows ``TREES_AN_EPOCH`` trees for every platform an epoch."""

    def __init__(self, start: BoostedTrees, tables: Sequence[LatencyTable], seed: int, from_scratch: bool) -> None:
        self._start = start
        self._seed = seed
        self._tables: dict[Platform, list[LatencyTable]] = {}
        for table in tables:
            if len(table):
                self._tables.setdefault(table.platform, []).append(table)
        if not self._tables:
            raise InvalidSettingError("expected at least 1 measured network to train on, got none; check the data set")
        self._learned = {platform: _learnable(group) for platform, group in sorted(self._tables.items())}
        self._known = {} if from_scratch else dict(start.groves)
        self._forests = {p: self._known[p].forest if p in self._known else Forest.constant(0.0) for p in self._learned}
        self._epoch = 0

    @property
    def n_epochs(self) -> int:
        return self._start.settings.n_trees // TREES_AN_EPOCH

    @property
    def epoch(self) -> int:
        return self._epoch

    def advance(self) -> float:
        settings = self._start.settings.of_trees
        losses = []
        for platform, (features, target) in self._learned.items():
            self._forests[platform] = self._forests[platform].grown(features, target, TREES_AN_EPOCH, settings, self._seed)
            losses.append(float(np.mean((self._forests[platform].predict(features) - target) ** 2)))
        self._epoch += 1
        return float(np.mean(losses))

    def predictor(self) -> BoostedTrees:
        groves = dict(self._known)
        for platform, group in self._tables.items():
            domain = Domain.of("training", [graph for table in group for graph in table.graphs])
            groves[platform] = Grove(self._forests[platform], FAR_MARGIN, domain)
        return replace(self._start, groves=groves)

    @property
    def state(self) -> TrainingState:
        state: TrainingState = {"epoch": np.array([self._epoch])}
        for i, forest in enumerate(self._forests.values()):
            state |= forest.to_arrays(f"{i}.")
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._epoch = int(take(dict(state), "epoch", (1,))[0])
        self._forests = {p: Forest.from_arrays(f"{i}.", dict(state), N_STATISTICS) for i, p in enumerate(self._forests)}


def _learnable(tables: Sequence[LatencyTable]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    features = np.vstack([graph_statistics(table.graphs, table.batch_size) for table in tables])
    return features, np.log(np.concatenate([table.latency_ms for table in tables]))
