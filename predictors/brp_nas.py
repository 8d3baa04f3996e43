"""Baseline: BRP-NAS's graph convolutional network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

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
)

from .brp_network import BrpBatch, BrpNetwork
from .brp_training import BrpTraining
from .checkpoint import Arrays, read_checkpoint, take, write_checkpoint
from .conformal import COVERAGE
from .epochs import run_epochs
from .familiarity import Domain, domain_arrays, read_domains
from .held_out import FAR_MARGIN, hold_out, margins
from .operator_features import KINDS

LEAST_SHARE = 1e-3
"""The network may say less than nothing; a prediction is at least this share of the mean training latency."""

N_PREDICTED = 64


@dataclass(frozen=True)
class BrpSettings:
    """Sizes and training settings; those of the paper and its code unless told otherwise.

    Attributes:
        width: Size of a node's embedding.
        n_layers: Number of graph convolutions.
        n_epochs: Most passes of :meth:`BrpNas.fit`.
        n_adapt_epochs: Passes of :meth:`BrpNas.adapt`.
        learning_rate: Step size of AdamW, halved after 10 epochs without progress.
        n_graphs: Networks a training step.
        held_out: Share of the networks that :meth:`BrpNas.fit` calibrates the intervals on.
    """

    width: int = 600
    n_layers: int = 4
    n_epochs: int = 250
    n_adapt_epochs: int = 50
    learning_rate: float = 4e-4
    n_graphs: int = 1
    held_out: float = 0.1

    def __post_init__(self) -> None:
        if min(self.width, self.n_layers, self.n_epochs, self.n_adapt_epochs, self.n_graphs) < 1 or self.learning_rate <= 0:
            raise InvalidSettingError(f"expected sizes, epochs and a learning rate above 0, got {self}")
        if not 0 <= self.held_out < 1:
            raise InvalidSettingError(f"expected a share held out of 0 to below 1, got {self.held_out}")


@dataclass(frozen=True, eq=False)
class BrpPart:
    """What was learned of one platform at one batch size.

    Attributes:
        network: Ready to predict.
        unit_ms: What its answers are multiplied by: the mean training latency, milliseconds.
        margin: How far the interval reaches to each side, log milliseconds.
        domain: What it was trained on.
    """

    network: BrpNetwork
    unit_ms: float
    margin: float
    domain: Domain


@dataclass(frozen=True, eq=False)
class BrpNas(LatencyPredictor):
    """BRP-NAS's latency predictor: four graph convolutions of 600, one network a platform and batch size.

    It sees which kinds of operator there are and who reads whom, and no shape: it applies within one
    space of cells at one resolution and width, such as NAS-Bench-201, for which it was made, and cannot
    tell networks apart that differ in width or input size. There it stood for the cell, one node an
    operation; here for the whole network, one node an operator.

    Attributes:
        settings: Sizes and training settings.
        parts: What was learned, by platform and batch size.

    References:
        Dudziak et al., BRP-NAS: Prediction-based NAS using GCNs, NeurIPS 2020, arXiv 2007.08668, section 3.
    """

    settings: BrpSettings = field(default_factory=BrpSettings)
    parts: Mapping[tuple[Platform, int], BrpPart] = field(default_factory=dict)

    name = "brp_nas"

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(sorted({platform for platform, _ in self.parts}))

    def _predict(self, graphs: Sequence[ModelGraph], platform: Platform, batch_size: int) -> Prediction:
        sizes = sorted(size for known, size in self.parts if known == platform)
        nearest = min(sizes, key=lambda size: abs(np.log(size / batch_size)))
        part = self.parts[platform, nearest]
        latency_ms = _latency_ms(part, graphs)
        is_far = np.array([nearest != batch_size or not part.domain.holds(graph) for graph in graphs])
        factor: NDArray[np.float64] = np.exp(np.where(is_far, max(FAR_MARGIN, part.margin), part.margin))
        return Prediction(latency_ms, latency_ms / factor, latency_ms * factor, is_far, COVERAGE)

    def fit(self, tables: Sequence[LatencyTable], seed: int = 0) -> Self:
        learned, held_out = hold_out(tables, self.settings.held_out, seed)
        fitted = self._trained(learned, seed, from_scratch=True, n_epochs=self.settings.n_epochs)
        return fitted.calibrated(held_out)

    def start_training(self, tables: Sequence[LatencyTable], seed: int = 0, from_scratch: bool = True, device: str = "cpu") -> BrpTraining:
        return self._training(tables, seed, from_scratch, self.settings.n_epochs, device)

    def calibrated(self, tables: Sequence[LatencyTable]) -> Self:
        parts = dict(self.parts)
        for key in parts:
            own = [table for table in tables if (table.platform, table.batch_size) == key]
            for margin in margins(self, own).values():
                parts[key] = replace(parts[key], margin=margin)
        return replace(self, parts=parts)

    def adapt(self, platform: Platform, graphs: Sequence[ModelGraph], latency_ms: ArrayLike, batch_size: int = 1) -> Self:
        table = LatencyTable(platform, batch_size, list(graphs), np.asarray(latency_ms, dtype=np.float64))
        if not len(table):
            return self
        if not self.parts:
            raise InvalidSettingError("expected a trained predictor, got one without weights; call fit() or load() first")
        ratios = {key: np.log(table.latency_ms / _latency_ms(part, graphs)) for key, part in sorted(self.parts.items())}
        nearest = min(ratios, key=lambda key: float(ratios[key].std()))
        start = self.parts[nearest]
        moved = replace(start, unit_ms=start.unit_ms * float(np.exp(np.median(ratios[nearest]))), margin=FAR_MARGIN)
        begun = replace(self, parts={(platform, batch_size): moved})
        adapted = begun._trained([table], 0, from_scratch=False, n_epochs=self.settings.n_adapt_epochs)
        return replace(self, parts={**self.parts, **adapted.parts})

    def _training(self, tables: Sequence[LatencyTable], seed: int, from_scratch: bool, n_epochs: int, device: str) -> BrpTraining:
        groups: dict[tuple[Platform, int], list[LatencyTable]] = {}
        for table in tables:
            if len(table):
                groups.setdefault((table.platform, table.batch_size), []).append(table)
        if not groups:
            raise InvalidSettingError("expected at least 1 measured network to train on, got none; check the data set")
        parts = {} if from_scratch else dict(self.parts)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for key, group in sorted(groups.items()):
                domain = _domain(group)
                if key in parts:
                    parts[key] = replace(parts[key], domain=domain)
                else:
                    parts[key] = BrpPart(BrpNetwork(self.settings.width, self.settings.n_layers), _mean_ms(group), FAR_MARGIN, domain)
        return BrpTraining(replace(self, parts=parts), [table for group in groups.values() for table in group], n_epochs, seed, device)

    def _trained(self, tables: Sequence[LatencyTable], seed: int, from_scratch: bool, n_epochs: int) -> Self:
        run = self._training(tables, seed, from_scratch, n_epochs, "cuda" if torch.cuda.is_available() else "cpu")
        run_epochs(run)
        return replace(self, parts=run.predictor().parts)

    def save(self, path: Path) -> None:
        parts = [self.parts[key] for key in sorted(self.parts)]
        arrays: Arrays = {"margin": np.array([part.margin for part in parts]), "unit_ms": np.array([part.unit_ms for part in parts])}
        arrays |= domain_arrays([part.domain for part in parts])
        for i, part in enumerate(parts):
            arrays |= {f"{i}.{name}": tensor.numpy() for name, tensor in part.network.state_dict().items()}
        fitted = [[str(platform), batch_size] for platform, batch_size in sorted(self.parts)]
        write_checkpoint(
            path, self.name, arrays, {"settings": asdict(self.settings), "fitted": fitted, "kinds": list(KINDS)}, self.platforms
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        arrays, stated = read_checkpoint(path, cls.name)
        try:
            if tuple(stated["kinds"]) != KINDS:
                raise CheckpointError(f"expected a network on this release's kinds of operator, got others in {path.name}; train it again")
            settings = BrpSettings(**stated["settings"])
            keys = [(Platform.parse(name), int(size)) for name, size in stated["fitted"]]
            networks = [_read_network(settings, f"{i}.", arrays) for i in range(len(keys))]
            numbers = [take(arrays, name, (len(keys),)).tolist() for name in ("unit_ms", "margin")]
            domains = read_domains(arrays, ["training"] * len(keys))
            return cls(settings, {key: BrpPart(*parts) for key, *parts in zip(keys, networks, *numbers, domains, strict=True)})
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"expected a {cls.name} checkpoint, got one that does not fit: {str(error).splitlines()[0]}") from error


@torch.no_grad()
def _latency_ms(part: BrpPart, graphs: Sequence[ModelGraph]) -> NDArray[np.float64]:
    n_layers = len(part.network.convolutions)
    chunks = [part.network(BrpBatch.of(graphs[start : start + N_PREDICTED], n_layers)) for start in range(0, len(graphs), N_PREDICTED)]
    return torch.cat(chunks).double().clamp(min=LEAST_SHARE).numpy() * part.unit_ms


def _mean_ms(tables: Sequence[LatencyTable]) -> float:
    return float(np.concatenate([table.latency_ms for table in tables]).mean())


def _domain(tables: Sequence[LatencyTable]) -> Domain:
    return Domain.of("training", [graph for table in tables for graph in table.graphs])


def _read_network(settings: BrpSettings, prefix: str, arrays: Arrays) -> BrpNetwork:
    with torch.device("meta"):  # weights of other sizes than stated are refused before memory is taken
        network = BrpNetwork(settings.width, settings.n_layers)
    weights = {name.removeprefix(prefix): torch.from_numpy(a.copy()) for name, a in arrays.items() if name.startswith(prefix)}
    network.load_state_dict(weights, assign=True)
    return network.eval()
