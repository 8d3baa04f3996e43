"""A pretrained predictor with further platforms, each learned from a few measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

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
from nnlqp_nas.transfer import COVERAGE, OWN, EvidenceGp, FeatureGroup, FewShotModel, GraphWork, VariantFactors, source_features

from .checkpoint import Arrays, read_checkpoint, take, write_checkpoint
from .familiarity import Domain
from .kernel_gnn import KernelGnn

LEAST_SAMPLES = 3


@dataclass(frozen=True, eq=False)
class Adaptation:
    """What was learned of one platform.

    Attributes:
        model: Log latency from features of the graph, and of what the pretrained predictor says of this
            and all other platforms.
        batch_size: Inputs per run of the measurements.
        domain: What the support set holds.
    """

    model: FewShotModel
    batch_size: int
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

    def transfer_features(self, graphs: Sequence[ModelGraph], platform: Platform, batch_size: int = 1) -> dict[str, FeatureGroup]:
        """Return the features that a platform is learned from; they depend on nothing measured there.

        Args:
            graphs: n networks, in the view that ``platform`` executes.
            platform: Which platform is to be learned.
            batch_size: Inputs per run.
        """
        known = self.base.platforms
        log_ms = self.base.log_latency(graphs, known, batch_size)
        others = [i for i, source in enumerate(known) if source != platform]
        work = GraphWork.of(graphs, batch_size)
        features = work.features()
        if self.base.spread is not None:
            features = self.base.spread.weigh(features)
        if self.base.times is not None:
            features |= self.base.times.features(work)
        if others:
            features |= source_features(log_ms[:, others], [str(known[i]) for i in others])
        if platform in known:
            features[OWN] = FeatureGroup((OWN,), log_ms[:, [known.index(platform)]])
        return features

    def adapt(self, platform: Platform, graphs: Sequence[ModelGraph], latency_ms: ArrayLike, batch_size: int = 1) -> Self:
        """See :meth:`LatencyPredictor.adapt`; without any measurement, nothing is learned and it predicts as before.

        Raises:
            InvalidSettingError: If there are one or two measurements, the lengths differ or a latency is not finite and positive.
        """
        table = LatencyTable(platform, batch_size, list(graphs), np.asarray(latency_ms, dtype=np.float64))
        if not len(table):
            return self
        if len(table) < LEAST_SAMPLES:
            raise InvalidSettingError(f"expected at least {LEAST_SAMPLES} measured networks to adapt to {platform}, got {len(table)}")
        model = FewShotModel.fit(self.transfer_features(table.graphs, platform, batch_size), table.latency_ms)
        learned = Adaptation(model, batch_size, Domain.of("support set", table.graphs))
        return replace(self, adaptations={**self.adaptations, platform: learned})

    def fit(self, tables: Sequence[LatencyTable], seed: int = 0) -> Self:
        raise UnsupportedError(
            f"an adapted predictor is not trained anew ({len(tables)} tables, seed {seed}); fit() a kernel_gnn and adapt() it"
        )

    def _predict(self, graphs: Sequence[ModelGraph], platform: Platform, batch_size: int) -> Prediction:
        adaptation = self.adaptations.get(platform)
        if adaptation is None:
            return self.base.predict(graphs, platform, batch_size)
        log_ms, margin = adaptation.model.predict(self.transfer_features(graphs, platform, batch_size))
        operators = tuple({operator for graph in graphs for operator in graph.operators})
        known = {operator for operator, is_known in zip(operators, adaptation.domain.knows(operators), strict=True) if is_known}
        is_near = [adaptation.domain.knows_size(graph) and known.issuperset(graph.operators) for graph in graphs]
        # The features grow with the batch size, but how the platform does has not been seen.
        is_far = ~np.array(is_near) | (batch_size != adaptation.batch_size)
        margin = margin + np.where(is_far, self.base.far_error(platform), 0.0)
        return Prediction(np.exp(log_ms), np.exp(log_ms - margin), np.exp(log_ms + margin), is_far, COVERAGE)

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
            raise CheckpointError(f"expected an adapted checkpoint, got one that does not fit: {error}; adapt again") from error
        return cls(KernelGnn.from_arrays(arrays, settings), adaptations)


def _to_arrays(adaptation: Adaptation) -> Arrays:
    process, domain = adaptation.model.process, adaptation.domain
    arrays: Arrays = {"log_amplitude": process.log_amplitude, "target": process.target}
    arrays |= {f"centre.{name}": centre for name, centre in process.centre.items()}
    arrays |= {f"support.{name}": group.values for name, group in process.support.items()}
    return arrays | {f"domain.{name}": np.clip(getattr(domain, name), -1e30, 1e30) for name in ("low", "high", "total")}


def _to_settings(adaptation: Adaptation) -> dict[str, Any]:
    process = adaptation.model.process
    return {
        "batch_size": adaptation.batch_size,
        "quantile": adaptation.model.quantile,
        "factors": dict(adaptation.model.factors.log_factor),
        "mean": process.mean,
        "smooth": list(process.smooth),
        # A list, since the groups' order is that of the amplitudes.
        "groups": [[name, list(group.columns)] for name, group in process.support.items()],
    }


def _from_arrays(prefix: str, arrays: Arrays, entry: dict[str, Any]) -> Adaptation:
    support, centre = {}, {}
    target = take(arrays, f"{prefix}target")
    for name, columns in entry["groups"]:
        support[name] = FeatureGroup(tuple(columns), take(arrays, f"{prefix}support.{name}", (len(target), len(columns))))
        centre[name] = take(arrays, f"{prefix}centre.{name}", (len(columns),))
    process = EvidenceGp(support, centre, tuple(entry["smooth"]), take(arrays, f"{prefix}log_amplitude"), target, float(entry["mean"]))
    domain = Domain("support set", *(take(arrays, f"{prefix}domain.{name}") for name in ("low", "high", "total")))
    # Adaptations of older releases know no factors.
    factors = VariantFactors({str(name): float(value) for name, value in entry.get("factors", {}).items()})
    return Adaptation(FewShotModel(process, float(entry["quantile"]), factors), int(entry["batch_size"]), domain)
