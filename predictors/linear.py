"""What the linear baselines share: non-negative least squares by platform, and its intervals."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from nnlqp_nas.core import CheckpointError, InvalidSettingError, LatencyPredictor, LatencyTable, ModelGraph, Platform, Prediction

from .checkpoint import Arrays, read_checkpoint, take, write_checkpoint
from .familiarity import Domain, domain_arrays, read_domains

COVERAGE = 0.9
FAR_MARGIN = 1.0
_Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearPredictor(LatencyPredictor):
    """Latency as a non-negative weighted sum of graph features; weights minimise the relative error.

    Attributes:
        weights: For each platform and batch size, float64, shape (features,), milliseconds a unit.
        margin: For each, the 0.9 quantile of the relative error on its training networks, left out
            one by one.
        domain: For each, what it was fitted to; beyond that the interval is ``FAR_MARGIN`` wide.
    """

    weights: Mapping[tuple[Platform, int], _Vector] = field(default_factory=dict)
    margin: Mapping[tuple[Platform, int], float] = field(default_factory=dict)
    domain: Mapping[tuple[Platform, int], Domain] = field(default_factory=dict)

    @staticmethod
    @abstractmethod
    def describe(graphs: Sequence[ModelGraph], batch_size: int) -> _Vector:
        """Return float64, shape (graphs, features), all >= 0."""

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(sorted({platform for platform, _ in self.weights}))

    def _predict(self, graphs: Sequence[ModelGraph], platform: Platform, batch_size: int) -> Prediction:
        sizes = sorted(size for known, size in self.weights if known == platform)
        nearest = min(sizes, key=lambda size: abs(np.log(size / batch_size)))
        latency_ms = np.maximum(self.describe(graphs, batch_size) @ self.weights[platform, nearest], 1e-6)
        domain = self.domain[platform, nearest]
        is_far = np.array([nearest != batch_size or not domain.holds(graph) for graph in graphs])
        margin = np.where(is_far, max(FAR_MARGIN, self.margin[platform, nearest]), self.margin[platform, nearest])
        return Prediction(latency_ms, latency_ms / (1 + margin), latency_ms * (1 + margin), is_far, COVERAGE)

    def fit(self, tables: Sequence[LatencyTable], seed: int = 0) -> Self:  # noqa: ARG002 - nothing is drawn
        weights, margin, domain = {}, {}, {}
        for key in sorted({(table.platform, table.batch_size) for table in tables}):
            group = [table for table in tables if (table.platform, table.batch_size) == key]
            features = np.vstack([self.describe(table.graphs, key[1]) for table in group])
            weights[key], margin[key] = _fit_relative(features, np.concatenate([table.latency_ms for table in group]))
            domain[key] = Domain.of("training", [graph for table in group for graph in table.graphs])
        return replace(self, weights=weights, margin=margin, domain=domain)

    def adapt(self, platform: Platform, graphs: Sequence[ModelGraph], latency_ms: ArrayLike, batch_size: int = 1) -> Self:
        table = LatencyTable(platform, batch_size, list(graphs), np.asarray(latency_ms, dtype=np.float64))
        if not len(table):
            return self
        fitted = self.fit([table])
        return replace(
            self,
            weights={**self.weights, **fitted.weights},
            margin={**self.margin, **fitted.margin},
            domain={**self.domain, **fitted.domain},
        )

    def save(self, path: Path) -> None:
        keys = sorted(self.weights)
        arrays: Arrays = {"weights": np.stack([self.weights[key] for key in keys]), "margin": np.array([self.margin[key] for key in keys])}
        arrays |= domain_arrays([self.domain[key] for key in keys])
        write_checkpoint(path, self.name, arrays, {"fitted": [[str(platform), size] for platform, size in keys]}, self.platforms)

    @classmethod
    def load(cls, path: Path) -> Self:
        arrays, settings = read_checkpoint(path, cls.name)
        try:
            keys = [(Platform.parse(name), int(size)) for name, size in settings["fitted"]]
            weights = dict(zip(keys, take(arrays, "weights"), strict=True))
            margin = dict(zip(keys, take(arrays, "margin").tolist(), strict=True))
            domain = dict(zip(keys, read_domains(arrays, ["training"] * len(keys)), strict=True))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"expected a {cls.name} checkpoint, got one that does not fit: {error}") from error
        return cls(weights, margin, domain)


def _fit_relative(features: _Vector, latency_ms: _Vector) -> tuple[_Vector, float]:
    """Minimise the squared relative error; return weights and the interval's relative margin."""
    if len(latency_ms) < 2:
        raise InvalidSettingError(f"expected at least 2 networks to fit a line, got {len(latency_ms)}")
    relative = features / latency_ms[:, None]
    scale = np.maximum(relative.mean(0), 1e-30)
    weights = nnls(relative / scale, np.ones(len(relative)))[0] / scale
    active = weights > 0
    kept = relative[:, active] / scale[active]
    leverage = np.clip(np.einsum("ij,jk,ik->i", kept, np.linalg.pinv(kept.T @ kept), kept), 0.0, 0.95)
    error = np.sort(np.abs(relative @ weights - 1.0) / (1.0 - leverage))
    rank = min(int(np.ceil((len(error) + 1) * COVERAGE)), len(error))
    return weights, float(error[rank - 1])
