"""Training of the kernel GNN's network."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import huber_loss

from nnlqp_nas.core import InvalidSettingError, LatencyTable, ModelGraph, Platform
from nnlqp_nas.transfer.rate_fit import fit_rates

from .kernel_gnn_network import ColourBatch, KernelGnnNetwork
from .operator_features import KIN, KINDS
from .torch_training import TorchTraining

if TYPE_CHECKING:
    from .kernel_gnn import KernelGnn

WARMING = 0.15
"""Share of the epochs in which the step size rises; then it falls to 0 along a cosine."""

LEAST_SPREAD = 0.3
"""Rare traits are not blown up to unit variance."""

OVERHEAD_SHARE = 0.3
"""Share of the shortest latency of a platform that every run is taken to cost, whatever it computes; it is learned from there."""

RATE_DECAY = 1e-2
HUBER = 0.1


def _kin_of_slots() -> NDArray[np.int64]:
    """Return int64, shape (N_SLOTS,): which rooflines are kin; behind a convolution they are others."""
    kin_of = {kind: min(kin) for kin in KIN for kind in kin}
    names = [kin_of.get(kind, kind) for kind in KINDS]
    kin = np.unique(names, return_inverse=True)[1]
    return np.concatenate([kin, kin + kin.max() + 1])


KIN_OF_SLOTS = _kin_of_slots()


@dataclass(frozen=True)
class Lesson:
    """Networks in one view at one batch size, described once, and what is known of them.

    Attributes:
        batch: The networks.
        batch_size: Inputs per run.
        domains: Domain of each.
        platforms: int64, shape (p,), positions of the platforms that know some of them.
        log_ms: float32, shape (graphs, p), natural logarithm of milliseconds; NaN where unknown.
    """

    batch: ColourBatch
    batch_size: int
    domains: Sequence[str]
    platforms: Tensor
    log_ms: Tensor

    def __len__(self) -> int:
        return len(self.domains)

    def errors(self, network: KernelGnnNetwork, rows: NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Judge some networks.

        Returns:
            Log errors, float32, shape (known values, members); the platform of each value, int64, shape (known values,);
            and the mean square of the residuals, a scalar.
        """
        truth = self.log_ms[rows].to(device)
        batch, platforms = self.batch.part(rows).to(device), self.platforms.to(device)
        residual = network.residual(batch, platforms)
        predicted = network.log_total(batch, network.base(batch, platforms) * residual.exp(), platforms)
        error, is_known = predicted - truth[:, None], ~truth.isnan()
        return error.transpose(1, 2)[is_known], platforms.expand(len(rows), -1)[is_known], residual.square().mean()


def lessons_of(tables: Sequence[LatencyTable], known: Sequence[Platform]) -> list[Lesson]:
    """Return the networks of all tables by view and batch size; ``known`` gives the platforms their positions."""
    groups: dict[tuple[str, int], list[LatencyTable]] = defaultdict(list)
    for table in tables:
        if len(table):
            groups[str(table.platform.view), table.batch_size].append(table)
    return [_lesson(group, known) for group in groups.values()]


def _lesson(group: Sequence[LatencyTable], known: Sequence[Platform]) -> Lesson:
    place: dict[str, int] = {}
    graphs: list[ModelGraph] = []
    domains: list[str] = []
    present = sorted({table.platform for table in group})
    entries: list[tuple[int, int, float]] = []
    for table in group:
        column = present.index(table.platform)
        for graph, latency_ms in zip(table.graphs, table.latency_ms, strict=True):
            if place.setdefault(graph.key, len(graphs)) == len(graphs):
                graphs.append(graph)
                domains.append(table.domain)
            entries.append((place[graph.key], column, float(np.log(latency_ms))))
    log_ms = torch.full((len(graphs), len(present)), torch.nan)
    rows, columns, values = zip(*entries, strict=True)
    log_ms[torch.tensor(rows), torch.tensor(columns)] = torch.tensor(values)
    platforms = torch.tensor([known.index(platform) for platform in present])
    return Lesson(ColourBatch.of(graphs, group[0].batch_size), group[0].batch_size, domains, platforms, log_ms)


class KernelGnnTraining(TorchTraining):
    """Trains the network on the logarithms of latencies.

    Args:
        start: Its settings count; and its network, where ``from_scratch`` is False.
        tables: Training networks.
        seed: Of initial weights, shuffling and dropout.
        from_scratch: Whether to start from random weights and least-squares rooflines.
        device: Where to train.

    Raises:
        InvalidSettingError: If there is no network to learn from.
    """

    def __init__(self, start: KernelGnn, tables: Sequence[LatencyTable], seed: int, from_scratch: bool, device: str) -> None:
        if not any(len(table) for table in tables):
            raise InvalidSettingError("expected at least 1 measured network to train on, got none; check the data set")
        learned = {table.platform for table in tables if len(table)}
        self.known = tuple(sorted(learned if from_scratch else learned | set(start.known)))
        self._start = start
        self._tables = tables
        self._lessons = lessons_of(tables, self.known)
        self._firsts = np.cumsum([0, *map(len, self._lessons)])
        settings = start.settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._gnn = KernelGnnNetwork(len(self.known), settings.n_members, settings.width, settings.platform_width, settings.dropout)
        if from_scratch:
            _set_scales(self._gnn, self._lessons)
        start_rates(self._gnn, self._lessons)
        if not from_scratch and start.network is not None:
            _take_over(self._gnn, start.network, [self.known.index(platform) for platform in start.known])
        self._gnn.to(device)
        self._rates = self._gnn.rates.detach().clone()
        self._weights = _platform_weights(self._lessons, len(self.known)).to(device)
        optimiser = torch.optim.AdamW(_parameter_groups(self._gnn, settings.weight_decay), settings.learning_rate)
        super().__init__(self._gnn, optimiser, int(self._firsts[-1]), settings.n_graphs, settings.n_epochs, seed, device)
        self._finish_epoch(0.0)

    def _loss(self, rows: NDArray[np.int64]) -> Tensor:
        told = [lesson.errors(self._gnn, part, self.device) for lesson, part in self._by_lesson(rows)]
        errors, platforms, residuals = zip(*told, strict=True)
        error, weight = torch.cat(errors), self._weights[torch.cat(platforms)]
        # A sum over members: each descends as it would alone, however many there are.
        loss = (huber_loss(error, torch.zeros_like(error), delta=HUBER, reduction="none").sum(1) * weight).mean()
        moved = RATE_DECAY * (self._gnn.rates - self._rates).square().mean()
        corrected = self._start.settings.residual_decay * torch.stack(residuals).mean()
        return loss + (moved + corrected) * error.shape[1]

    def _by_lesson(self, rows: NDArray[np.int64]) -> Iterator[tuple[Lesson, NDArray[np.int64]]]:
        lesson_of = np.searchsorted(self._firsts, rows, side="right") - 1
        for at in np.unique(lesson_of):
            yield self._lessons[at], rows[lesson_of == at] - self._firsts[at]

    def _finish_epoch(self, loss: float) -> None:  # noqa: ARG002 - the schedule follows the epochs alone
        n_warm = max(1, round(WARMING * self.n_epochs))
        done = max(0.0, (self.epoch - n_warm) / max(1, self.n_epochs - n_warm))
        share = min(1.0, (self.epoch + 1) / (n_warm + 1)) * 0.5 * (1.0 + np.cos(np.pi * min(done, 1.0)))
        for group in self.optimiser.param_groups:
            group["lr"] = self._start.settings.learning_rate * max(share, 1e-3)

    def predictor(self) -> KernelGnn:
        from .kernel_gnn_fit import seen_domains

        network = copy.deepcopy(self._gnn).cpu().requires_grad_(False).eval()
        domains, seen = seen_domains(self._start, self._tables, self.known)
        return replace(self._start, network=network, known=self.known, domains=domains, seen=seen)


def _platform_weights(lessons: Sequence[Lesson], n_platforms: int) -> Tensor:
    """Return float32, shape (platforms,): what a value counts, so that a platform of many values does not drown one of few."""
    n_values = torch.zeros(n_platforms)
    for lesson in lessons:
        n_values.index_add_(0, lesson.platforms, (~lesson.log_ms.isnan()).sum(0).float())
    weights = n_values.clamp(min=1.0).rsqrt()
    return weights * n_values.sum() / (weights * n_values).sum()


def _parameter_groups(network: KernelGnnNetwork, weight_decay: float) -> list[dict[str, Any]]:
    """Only the perceptron's weights decay: rates of 0 would be a platform of another world."""
    decayed = [network.first, network.second, network.third]
    rest = [parameter for parameter in network.parameters() if not any(parameter is weight for weight in decayed)]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def _set_scales(network: KernelGnnNetwork, lessons: Sequence[Lesson]) -> None:
    """Standardise what varies among the training colours; what does not vary is unknown and left out."""
    numbers = torch.cat([lesson.batch.surroundings for lesson in lessons])
    spread = numbers.std(0)
    network.centre.copy_(numbers.mean(0))
    network.scale.copy_(torch.where(spread > 1e-4, 1.0 / spread.clamp(min=LEAST_SPREAD), 0.0))


@torch.no_grad()
def start_rates(network: KernelGnnNetwork, lessons: Sequence[Lesson]) -> None:
    """Start every platform at rooflines that fit its latencies, so that the residual starts small."""
    work: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    latency_ms: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    for lesson in lessons:
        by_slot = lesson.batch.work_by_slot()
        for column, platform in enumerate(lesson.platforms.tolist()):
            rows = np.flatnonzero(~lesson.log_ms[:, column].isnan().numpy())
            work[platform].append(by_slot[rows])
            latency_ms[platform].append(lesson.log_ms[rows, column].double().exp().numpy())
    for platform, parts in work.items():
        rates, overhead_ms = roofline(np.concatenate(parts), np.concatenate(latency_ms[platform]))
        network.rates[:, platform] = torch.from_numpy(np.log(rates)).float()
        network.overhead[:, platform] = float(np.log(overhead_ms))


def roofline(work: NDArray[np.float64], latency_ms: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Fit launch, FLOP and byte rates for every slot; see :func:`nnlqp_nas.transfer.fit_rates`.

    Args:
        work: Shape (graphs, N_SLOTS, N_RATES).
        latency_ms: Shape (graphs,).

    Returns:
        Rates, shape (N_SLOTS, N_RATES), milliseconds a unit, and what a run costs besides, milliseconds; all above 0.
    """
    common, factors = fit_rates(work / latency_ms[:, None, None], KIN_OF_SLOTS)
    return common * factors, OVERHEAD_SHARE * float(latency_ms.min())


@torch.no_grad()
def _take_over(network: KernelGnnNetwork, source: KernelGnnNetwork, positions: Sequence[int]) -> None:
    """Start from a trained network; a platform that it does not know starts at the mean of those that it knows and at its own rates."""
    network.platforms.copy_(source.platforms.mean(-1, keepdim=True).expand_as(network.platforms))
    network.platforms[:, :, positions] = source.platforms
    network.rates[:, positions] = source.rates
    network.overhead[:, positions] = source.overhead
    shared = {name: tensor for name, tensor in source.state_dict().items() if name not in ("platforms", "rates", "overhead")}
    network.load_state_dict(shared, strict=False)
