"""A pretrained predictor with further platforms, each learned from a few measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from nnlqp_nas.core import (
    CheckpointError,
    InvalidSettingError,
    LatencyPredictor,
    LatencyTable,
    ModelGraph,
    Platform,
    Prediction,
    UnsupportedError,
)
from nnlqp_nas.transfer import EvidenceGp

from .checkpoint import Arrays, read_checkpoint, take, write_checkpoint
from .conformal import COVERAGE
from .familiarity import Domain
from .kernel_gnn import KernelGnn
from .kernel_gnn_network import N_RATES, ColourBatch
from .operator_features import KINDS

_NORMAL_QUANTILE = 1.645
_PRIOR = {"own": 1.0, "level": 0.5, "contrast": 0.1, "size": 0.1, "counts": 0.1, "smooth": 0.05, "constant": 0.1, "noise": 0.03}
_SMOOTH = ("level", "contrast", "size")
N_CONTRASTS = 6
N_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Adaptation:
    """What was learned of one platform.

    The logarithm of the latency is a Gaussian process over features of the pretrained predictor:
    ``own``, its prediction for this very platform where it knows it; ``level`` and ``contrast``, the first
    and the next principal components of its predictions for all other platforms; ``size``, the logarithms
    of launches, FLOPs, bytes of activations and of weights; ``counts``, how many operators of each kind there are.

    Attributes:
        gp: The fitted process.
        components: float64, shape (sources, 1 + N_CONTRASTS), directions in source predictions.
        middle: float64, shape (sources,), mean source prediction of the support set.
        batch_size: Inputs per run of the measurements.
        quantile: Standard deviations that the interval reaches to each side.
        domain: What the support set holds.
    """

    gp: EvidenceGp
    components: NDArray[np.float64]
    middle: NDArray[np.float64]
    batch_size: int
    quantile: float
    domain: Domain


@dataclass(frozen=True, eq=False)
class AdaptedPredictor(LatencyPredictor):
    """Answers for its own platforms by adaptation, and for all others as the pretrained one does.

    Attributes:
        base: The pretrained predictor.
        adaptations: What was learned, by platform.
    """

    base: KernelGnn
    adaptations: Mapping[Platform, Adaptation]

    name = "adapted"

    @classmethod
    def of(cls, base: KernelGnn, platform: Platform, graphs: Sequence[ModelGraph], latency_ms: ArrayLike, batch_size: int = 1) -> Self:
        """Learn one platform on top of ``base``; see :meth:`LatencyPredictor.adapt`."""
        return cls(base, {}).adapt(platform, graphs, latency_ms, batch_size)

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(sorted({*self.base.platforms, *self.adaptations}))

    def adapt(self, platform: Platform, graphs: Sequence[ModelGraph], latency_ms: ArrayLike, batch_size: int = 1) -> Self:
        table = LatencyTable(platform, batch_size, list(graphs), np.asarray(latency_ms, dtype=np.float64))
        if len(table) < 3:
            raise InvalidSettingError(f"expected at least 3 measured networks to adapt to {platform}, got {len(table)}")
        return replace(self, adaptations={**self.adaptations, platform: _learn(self.base, table)})

    def fit(self, tables: Sequence[LatencyTable], seed: int = 0) -> Self:
        raise UnsupportedError(
            f"an adapted predictor is not trained anew ({len(tables)} tables, seed {seed}); fit() a kernel_gnn and adapt() it"
        )

    def _predict(self, graphs: Sequence[ModelGraph], platform: Platform, batch_size: int) -> Prediction:
        adaptation = self.adaptations.get(platform)
        if adaptation is None:
            return self.base.predict(graphs, platform, batch_size)
        if batch_size != adaptation.batch_size:
            raise InvalidSettingError(f"expected batch size {adaptation.batch_size}, at which {platform} was adapted, got {batch_size}")
        source, size, operators = _describe(self.base, graphs, batch_size)
        mean, deviation = adaptation.gp.predict(_features(self.base, platform, source, size, adaptation.middle, adaptation.components))
        known = {operator for operator, is_known in zip(operators, adaptation.domain.knows(operators), strict=True) if is_known}
        is_far = np.array([not (adaptation.domain.knows_size(graph) and known.issuperset(graph.operators)) for graph in graphs])
        margin = adaptation.quantile * deviation + np.where(is_far, self.base.far_error, 0.0)
        return Prediction(np.exp(mean), np.exp(mean - margin), np.exp(mean + margin), is_far, COVERAGE)

    def save(self, path: Path) -> None:
        arrays, settings = self.base.to_arrays()
        adapted = []
        for i, (platform, adaptation) in enumerate(sorted(self.adaptations.items())):
            arrays |= {f"adapted.{i}.{name}": array for name, array in _to_arrays(adaptation).items()}
            adapted.append({"platform": str(platform), **_to_settings(adaptation)})
        write_checkpoint(path, self.name, arrays, {**settings, "adapted": adapted}, self.platforms)

    @classmethod
    def load(cls, path: Path) -> Self:
        arrays, settings = read_checkpoint(path, cls.name)
        try:
            adaptations = {
                Platform.parse(entry["platform"]): _from_arrays(f"adapted.{i}.", arrays, entry)
                for i, entry in enumerate(settings["adapted"])
            }
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"expected an adapted checkpoint, got one that does not fit: {error}") from error
        return cls(KernelGnn.from_arrays(arrays, settings), adaptations)


def _describe(
    base: KernelGnn, graphs: Sequence[ModelGraph], batch_size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[Any, ...]]:
    """Return source predictions (graphs, platforms), sizes and counts (graphs, N_RATES + kinds), and the operators."""
    batch = ColourBatch.of(graphs, batch_size)
    source = base.member_log_latency(batch, base.known).mean(1)
    size = np.log(batch.work_by_graph() + 1.0)
    counts = batch.sum_by_graph(torch.nn.functional.one_hot(batch.kind, len(KINDS)).double()).numpy()
    return source, np.hstack([size, counts]), batch.operators


def _features(
    base: KernelGnn,
    platform: Platform,
    source: NDArray[np.float64],
    size: NDArray[np.float64],
    middle: NDArray[np.float64],
    components: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    place = (source[:, _others(base, platform)] - middle) @ components
    features = {"level": place[:, :1], "contrast": place[:, 1:], "size": size[:, :N_RATES], "counts": size[:, N_RATES:]}
    if platform in base.known:
        features["own"] = source[:, [base.known.index(platform)]]
    return features


def _others(base: KernelGnn, platform: Platform) -> list[int]:
    return [i for i, known in enumerate(base.known) if known != platform]


def _learn(base: KernelGnn, table: LatencyTable) -> Adaptation:
    source, size, _ = _describe(base, table.graphs, table.batch_size)
    others = source[:, _others(base, table.platform)]
    middle = others.mean(0)
    _, _, directions = np.linalg.svd(others - middle, full_matrices=False)
    components = directions[: 1 + N_CONTRASTS].T
    target = np.log(table.latency_ms)
    features = _features(base, table.platform, source, size, middle, components)
    gp = EvidenceGp.fit(features, target, _SMOOTH, _PRIOR)
    domain = Domain.of("support set", table.graphs)
    return Adaptation(gp, components, middle, table.batch_size, _quantile(features, target), domain)


def _quantile(features: Mapping[str, NDArray[np.float64]], target: NDArray[np.float64]) -> float:
    """Return how many standard deviations hold the stated share of targets that a fit did not see.

    Cross-conformal (Vovk, Annals of Mathematics and Artificial Intelligence 2015): every fold is predicted
    by a process fitted, amplitudes and all, to the others.
    """
    if len(target) < 2 * N_FOLDS:
        return 2.0 * _NORMAL_QUANTILE
    folds = np.random.default_rng(0).permutation(len(target)) % N_FOLDS
    scores: list[float] = []
    for fold in range(N_FOLDS):
        kept, held = folds != fold, folds == fold
        gp = EvidenceGp.fit({name: x[kept] for name, x in features.items()}, target[kept], _SMOOTH, _PRIOR)
        mean, deviation = gp.predict({name: x[held] for name, x in features.items()})
        scores += (np.abs(target[held] - mean) / deviation).tolist()
    rank = min(int(np.ceil((len(scores) + 1) * COVERAGE)), len(scores))
    return max(_NORMAL_QUANTILE, sorted(scores)[rank - 1])


def _to_arrays(adaptation: Adaptation) -> Arrays:
    gp, domain = adaptation.gp, adaptation.domain
    arrays: Arrays = {"components": adaptation.components, "middle": adaptation.middle, "weights": gp.weights, "factor": gp.factor}
    arrays |= {f"centre.{name}": np.clip(centre, -1e30, 1e30) for name, centre in gp.centre.items()}
    arrays |= {f"support.{name}": support for name, support in gp.support.items()}
    return arrays | {f"domain.{name}": np.clip(getattr(domain, name), -1e30, 1e30) for name in ("low", "high", "total")}


def _to_settings(adaptation: Adaptation) -> dict[str, Any]:
    gp = adaptation.gp
    return {
        "batch_size": adaptation.batch_size,
        "quantile": adaptation.quantile,
        "log_amplitude": dict(gp.log_amplitude),
        "mean": gp.mean,
        "groups": list(gp.groups),
        "smooth": list(gp.smooth),
    }


def _from_arrays(prefix: str, arrays: Arrays, entry: dict[str, Any]) -> Adaptation:
    groups = tuple(entry["groups"])
    gp = EvidenceGp(
        {name: take(arrays, f"{prefix}centre.{name}") for name in groups},
        {name: take(arrays, f"{prefix}support.{name}") for name in groups},
        entry["log_amplitude"],
        take(arrays, f"{prefix}weights"),
        take(arrays, f"{prefix}factor"),
        float(entry["mean"]),
        groups,
        tuple(entry["smooth"]),
    )
    domain = Domain("support set", *(take(arrays, f"{prefix}domain.{name}") for name in ("low", "high", "total")))
    return Adaptation(
        gp, take(arrays, f"{prefix}components"), take(arrays, f"{prefix}middle"), int(entry["batch_size"]), float(entry["quantile"]), domain
    )
