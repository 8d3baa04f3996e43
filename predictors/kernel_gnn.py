"""The project's own predictor: a graph neural network that prices kernels in their surroundings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from nnlqp_nas.core import CheckpointError, InvalidSettingError, LatencyPredictor, LatencyTable, ModelGraph, Platform, Prediction
from nnlqp_nas.transfer import TypicalTimes, VariantSpread

from .checkpoint import Arrays, read_checkpoint, take, write_checkpoint
from .conformal import COVERAGE, deviation
from .familiarity import Domain, domain_arrays, read_domains
from .kernel_gnn_network import KernelGnnNetwork
from .kernel_prices import KernelPrices, Reach

if TYPE_CHECKING:
    from .kernel_gnn_training import KernelGnnTraining

FAR_ERROR = 1.0
"""Reach of an interval on networks of unseen domains where nothing was left out to tell it, log milliseconds."""

GENERATION = 4
"""Of the network's form; a checkpoint of another one is refused."""


@dataclass(frozen=True)
class KernelGnnSettings:
    """Sizes and training settings of the kernel GNN.

    Attributes:
        n_members: Members of the ensemble.
        width: Size of the hidden layers.
        platform_width: Size of a platform's embedding.
        dropout: Share of hidden numbers that a training step leaves out.
        n_epochs: Passes over the training tables.
        learning_rate: Peak step size of Adam (one-cycle schedule).
        weight_decay: Of the perceptron's weights.
        residual_decay: What the square of the surroundings' correction costs.
        n_graphs: Graphs a training step.
        n_far_folds: Trainings without a part of the domains that tell the error on unseen domains; 0 leaves
            ``far_errors`` as they are.
    """

    n_members: int = 3
    width: int = 32
    platform_width: int = 16
    dropout: float = 0.05
    n_epochs: int = 24
    learning_rate: float = 4e-3
    weight_decay: float = 0.3
    residual_decay: float = 0.02
    n_graphs: int = 32
    n_far_folds: int = 0

    def __post_init__(self) -> None:
        sizes = self.n_members, self.width, self.platform_width, self.n_epochs, self.n_graphs
        if (
            min(sizes) < 1
            or self.learning_rate <= 0
            or min(self.weight_decay, self.residual_decay) < 0
            or not 0 <= self.dropout < 1
            or self.n_far_folds < 0
        ):
            raise InvalidSettingError(f"expected sizes and a learning rate above 0, shares below 1, got {self}")


@dataclass(frozen=True, eq=False)
class KernelGnn(LatencyPredictor):
    """One ensemble for many platforms; see :class:`KernelGnnNetwork` for what it computes.

    Attributes:
        settings: Sizes and training settings.
        network: The trained network; None before :meth:`fit`.
        known: Platforms, in the order of the network's platform embeddings.
        quantiles: How many deviations an interval reaches, by platform, batch size and domain, see :mod:`.conformal`.
        far_errors: Least reach of the interval on networks of unseen domains, log milliseconds, by platform.
        domains: What was seen, by domain.
        seen: For each platform, positions of the domains seen there.
        spread: In which variants of operators the platforms differ: a prior for platforms to come. None where fewer than
            two platforms are known.
        times: What operators take on a typical one of the platforms, likewise.
    """

    settings: KernelGnnSettings = field(default_factory=KernelGnnSettings)
    network: KernelGnnNetwork | None = None
    known: tuple[Platform, ...] = ()
    quantiles: Mapping[tuple[str, int, str], float] = field(default_factory=dict)
    far_errors: Mapping[Platform, float] = field(default_factory=dict)
    domains: tuple[Domain, ...] = ()
    seen: tuple[tuple[int, ...], ...] = ()
    spread: VariantSpread | None = None
    times: TypicalTimes | None = None

    name = "kernel_gnn"

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(sorted(self.known))

    def log_latency(self, graphs: Sequence[ModelGraph], platforms: Sequence[Platform], batch_size: int = 1) -> NDArray[np.float64]:
        """Return float64, shape (graphs, platforms): natural logarithm of milliseconds."""
        asked = tuple(platforms), batch_size
        if asked not in self._memories_of_all:
            positions = [self.known.index(platform) for platform in platforms]
            self._memories_of_all[asked] = KernelPrices(self.trained(), positions, batch_size)
        return self._memories_of_all[asked].sum_over(graphs).log_ms.mean(1)

    def far_error(self, platform: Platform) -> float:
        """Return the least reach of an interval on networks of unseen domains, log milliseconds.

        A platform of which a single domain was seen tells none; the largest of the others stands for it.
        """
        return self.far_errors.get(platform, max(self.far_errors.values(), default=FAR_ERROR))

    def trained(self) -> KernelGnnNetwork:
        """Return the network.

        Raises:
            CheckpointError: If there is none yet.
        """
        if self.network is None:
            raise CheckpointError("expected a trained predictor, got one without weights; call fit() or load()")
        return self.network

    def _predict(self, graphs: Sequence[ModelGraph], platform: Platform, batch_size: int) -> Prediction:
        prices, reach = self._priced_at(platform, batch_size)
        totals = prices.sum_over(graphs)
        members = totals.log_ms[:, :, 0]
        log_ms = members.mean(1)
        n_deviations, is_far = reach.judge(totals)
        margin = n_deviations * deviation(members)
        margin = np.where(is_far, np.maximum(margin, self.far_error(platform)), margin)
        return Prediction(np.exp(log_ms), np.exp(log_ms - margin), np.exp(log_ms + margin), is_far, COVERAGE)

    def _priced_at(self, platform: Platform, batch_size: int) -> tuple[KernelPrices, Reach]:
        """Return what prices networks on a platform, and what tells their intervals; the same ones each time."""
        if (platform, batch_size) not in self._memories:
            at = self.known.index(platform)
            domains = [self.domains[i] for i in self.seen[at]]
            prices = KernelPrices(self.trained(), [at], batch_size, domains)
            self._memories[platform, batch_size] = prices, Reach.of(domains, self.quantiles, str(platform), batch_size)
        return self._memories[platform, batch_size]

    @cached_property
    def _memories(self) -> dict[tuple[Platform, int], tuple[KernelPrices, Reach]]:
        return {}

    @cached_property
    def _memories_of_all(self) -> dict[tuple[tuple[Platform, ...], int], KernelPrices]:
        return {}

    def fit(self, tables: Sequence[LatencyTable], seed: int = 0) -> Self:
        from .kernel_gnn_fit import fitted

        found = fitted(self._untrained(), tables, seed)
        return replace(self, **{one.name: getattr(found, one.name) for one in fields(self)})

    def _untrained(self) -> Self:
        return replace(self, network=None, known=(), quantiles={}, domains=(), seen=(), spread=None, times=None)

    def start_training(
        self, tables: Sequence[LatencyTable], seed: int = 0, from_scratch: bool = True, device: str = "cpu"
    ) -> KernelGnnTraining:
        from .kernel_gnn_training import KernelGnnTraining

        start = self._untrained() if from_scratch else self
        return KernelGnnTraining(start, tables, seed, from_scratch, device)

    def calibrated(self, tables: Sequence[LatencyTable]) -> Self:
        from .kernel_gnn_fit import quantiles_of, spread_of, times_of

        told = quantiles_of(self, tables)
        at = {key[:2] for key in told}
        kept = {key: value for key, value in self.quantiles.items() if key[:2] not in at}
        spread, times = self.spread or spread_of(self, tables), self.times or times_of(self, tables)
        return replace(self, quantiles={**kept, **told}, spread=spread, times=times)

    def adapt(self, platform: Platform, graphs: Sequence[ModelGraph], latency_ms: ArrayLike, batch_size: int = 1) -> LatencyPredictor:
        from .adapted import AdaptedPredictor

        return AdaptedPredictor.of(self, platform, graphs, latency_ms, batch_size)

    def save(self, path: Path) -> None:
        arrays, settings = self.to_arrays()
        write_checkpoint(path, self.name, arrays, settings, self.platforms)

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls.from_arrays(*read_checkpoint(path, cls.name))

    def to_arrays(self) -> tuple[Arrays, dict[str, Any]]:
        """Return weights and settings, as a checkpoint holds them."""
        arrays: Arrays = {f"network.{name}": tensor.numpy() for name, tensor in self.trained().state_dict().items()}
        arrays |= domain_arrays(self.domains)
        if self.spread is not None:
            arrays["spread"] = self.spread.scale
        if self.times is not None:
            arrays |= {
                "times.rates": self.times.rates,
                "times.common": self.times.common,
                "times.spread": self.times.spread.scale,
                "times.kind_spread": self.times.kind_spread.scale,
            }
        settings = {
            "generation": GENERATION,
            "settings": asdict(self.settings),
            "platforms": [str(platform) for platform in self.known],
            "domains": [domain.name for domain in self.domains],
            "seen": [list(seen) for seen in self.seen],
            "spread": None if self.spread is None else list(self.spread.columns),
            "times": None if self.times is None else list(self.times.variants),
            "time_kinds": None if self.times is None else list(self.times.kind_spread.columns),
            "quantiles": [[*key, quantile] for key, quantile in sorted(self.quantiles.items())],
            "far_errors": {str(platform): error for platform, error in sorted(self.far_errors.items())},
        }
        return arrays, settings

    @classmethod
    def from_arrays(cls, arrays: Arrays, settings: dict[str, Any]) -> Self:
        """Read what :meth:`to_arrays` returned.

        Raises:
            CheckpointError: If something is missing or does not fit together, or an older release wrote it.
        """
        if settings.get("generation", 1) != GENERATION:
            raise CheckpointError(
                f"expected a kernel_gnn checkpoint of generation {GENERATION}, got generation {settings.get('generation', 1)} of another "
                "release; train it again, or install the release that wrote it"
            )
        try:
            sizes = KernelGnnSettings(**settings["settings"])
            known = tuple(Platform.parse(name) for name in settings["platforms"])
            with torch.device("meta"):  # weights of other sizes than stated are refused before memory is taken
                network = KernelGnnNetwork(len(known), sizes.n_members, sizes.width, sizes.platform_width, sizes.dropout)
            weights = {
                name.removeprefix("network."): torch.from_numpy(a.copy()) for name, a in arrays.items() if name.startswith("network.")
            }
            network.load_state_dict(weights, assign=True)
            domains = read_domains(arrays, settings["domains"])
            seen = tuple(tuple(positions) for positions in settings["seen"])
            quantiles = {(str(name), int(size), str(domain)): float(value) for name, size, domain, value in settings["quantiles"]}
            spread, times = _read_spread(arrays, settings.get("spread")), _read_times(arrays, settings)
            far_errors = {Platform.parse(name): float(error) for name, error in settings["far_errors"].items()}
            return cls(sizes, network.eval(), known, quantiles, far_errors, domains, seen, spread, times)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"expected a kernel_gnn checkpoint, got one that does not fit: {str(error).splitlines()[0]}") from error


def _read_spread(arrays: Arrays, columns: Sequence[str] | None) -> VariantSpread | None:
    return None if columns is None else VariantSpread(tuple(columns), take(arrays, "spread", (len(columns),)))


def _read_times(arrays: Arrays, settings: Mapping[str, Any]) -> TypicalTimes | None:
    if settings.get("times") is None:
        return None
    variants, kinds = tuple(settings["times"]), tuple(settings["time_kinds"])
    rates, common = take(arrays, "times.rates", (len(variants), 3)), take(arrays, "times.common", (3,))
    spread = VariantSpread(variants, take(arrays, "times.spread", (len(variants),)))
    return TypicalTimes(variants, rates, common, spread, VariantSpread(kinds, take(arrays, "times.kind_spread", (len(kinds),))))
