"""Training of the kernel GNN."""

from __future__ import annotations

import logging
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor
from torch.nn.functional import huber_loss
from tqdm import tqdm

from nnlqp_nas.core import InvalidSettingError, LatencyTable, ModelGraph, Platform

from .kernel_gnn_network import N_RATES, ColourBatch, KernelGnnNetwork

if TYPE_CHECKING:
    from .kernel_gnn import KernelGnnSettings

VALIDATED = 0.05
"""Share of every domain's networks that chooses the epoch whose weights are kept."""

CALIBRATED = 0.1
"""Share of every domain's networks that calibrates the intervals; they are not learned from."""

EPOCHS_A_CHECK = 4
RATE_DECAY = 1e-3
HUBER = 0.1
LEAST_SHARE = 0.03
"""Least share of the latency that a platform's roofline gives to launches, FLOPs and bytes each when training starts."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """Networks in one view at one batch size, described once, and what is known of them.

    Attributes:
        batch: All networks.
        graphs: The networks, in the order of the batch.
        batch_size: Inputs per run.
        domains: Domain of each.
        platforms: int64, shape (p,), positions of the platforms that know some of them.
        log_ms: float32, shape (graphs, p), natural logarithm of milliseconds; NaN where unknown.
        learned, validated, calibrated: int64, positions of the networks to learn from, to stop by, to calibrate on.
    """

    batch: ColourBatch
    graphs: Sequence[ModelGraph]
    batch_size: int
    domains: Sequence[str]
    platforms: Tensor
    log_ms: Tensor
    learned: NDArray[np.int64]
    validated: NDArray[np.int64]
    calibrated: NDArray[np.int64]

    def errors(self, network: KernelGnnNetwork, rows: NDArray[np.int64]) -> Tensor:
        """Return float32, shape (known values, members), log errors on some networks."""
        truth = self.log_ms[rows]
        error = network(self.batch.part(rows), self.platforms) - truth[:, None]
        return error.transpose(1, 2)[~truth.isnan()]


def split_tables(tables: Sequence[LatencyTable], known: Sequence[Platform], seed: int) -> list[Split]:
    """Return the networks of all tables by view and batch size; every network is in one part on all platforms.

    Raises:
        InvalidSettingError: If there is no network to learn from.
    """
    groups: dict[tuple[str, int], list[LatencyTable]] = defaultdict(list)
    for table in tables:
        if len(table):
            groups[str(table.platform.view), table.batch_size].append(table)
    if not groups:
        raise InvalidSettingError("expected at least 1 measured network to train on, got none; check the data set")
    return [_split(group, known, seed) for group in groups.values()]


def _split(group: Sequence[LatencyTable], known: Sequence[Platform], seed: int) -> Split:
    place: dict[str, int] = {}
    graphs: list[ModelGraph] = []
    domains: list[str] = []
    present = sorted({table.platform for table in group})
    entries: list[tuple[int, int, float]] = []
    for table in group:
        for graph, latency_ms in zip(table.graphs, table.latency_ms, strict=True):
            if place.setdefault(graph.key, len(graphs)) == len(graphs):
                graphs.append(graph)
                domains.append(table.domain)
            entries.append((place[graph.key], present.index(table.platform), float(np.log(latency_ms))))
    log_ms = torch.full((len(graphs), len(present)), torch.nan)
    rows, columns, values = zip(*entries, strict=True)
    log_ms[torch.tensor(rows), torch.tensor(columns)] = torch.tensor(values)
    platforms = torch.tensor([known.index(platform) for platform in present])
    batch_size = group[0].batch_size
    return Split(ColourBatch.of(graphs, batch_size), graphs, batch_size, domains, platforms, log_ms, *_parts(domains, seed))


def _parts(domains: Sequence[str], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return positions to learn from, to stop by and to calibrate on, drawn within every domain."""
    rng = np.random.default_rng(seed)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    names = np.array(domains)
    for domain in sorted(set(domains)):
        drawn = rng.permutation(np.flatnonzero(names == domain)).tolist()
        n_validated, n_calibrated = (round(share * len(drawn)) for share in (VALIDATED, CALIBRATED))
        parts[1].extend(drawn[:n_validated])
        parts[2].extend(drawn[n_validated : n_validated + n_calibrated])
        parts[0].extend(drawn[n_validated + n_calibrated :])
    learned, validated, calibrated = (np.array(sorted(part), dtype=np.int64) for part in parts)
    return learned, validated if len(validated) else learned, calibrated


def train_network(settings: KernelGnnSettings, splits: Sequence[Split], n_platforms: int, seed: int) -> KernelGnnNetwork:
    """Return a trained network; of the checked epochs the one with the least validation error counts."""
    torch.manual_seed(seed)
    network = KernelGnnNetwork(n_platforms, settings.n_members, settings.width, settings.platform_width, settings.dropout)
    _set_scales(network, splits)
    _start_rates(network, splits)
    start = network.rates.detach().clone()
    optimiser = torch.optim.AdamW(_parameter_groups(network, settings.weight_decay), settings.learning_rate)
    n_steps = sum(-(-len(split.learned) // settings.n_graphs) for split in splits)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=settings.n_epochs * n_steps, pct_start=0.15
    )
    rng = np.random.default_rng(seed)
    best, least = _weights(network), np.inf
    bar = tqdm(range(settings.n_epochs), desc="train", file=sys.stderr, disable=None)
    for epoch in bar:
        network.train()
        for split, rows in _steps(splits, settings.n_graphs, rng):
            optimiser.zero_grad()
            error = split.errors(network, rows)
            loss = huber_loss(error, torch.zeros_like(error), delta=HUBER) * settings.n_members
            (loss + RATE_DECAY * (network.rates - start).square().mean()).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        if epoch % EPOCHS_A_CHECK == EPOCHS_A_CHECK - 1 or epoch == settings.n_epochs - 1:
            now = _mean_error(network.eval(), splits)
            bar.set_postfix(validation=f"{now:.4f}")
            if now < least:
                best, least = _weights(network), now
    _LOG.info("least validation error %.4f", least)
    network.load_state_dict(best)
    return network.eval()


def _parameter_groups(network: KernelGnnNetwork, weight_decay: float) -> list[dict[str, Any]]:
    """Only the perceptron's weights decay: rates of 0 would be a platform of another world."""
    decayed = [network.first, network.second, network.third]
    rest = [parameter for parameter in network.parameters() if not any(parameter is weight for weight in decayed)]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def _steps(splits: Sequence[Split], n_graphs: int, rng: np.random.Generator) -> Iterator[tuple[Split, NDArray[np.int64]]]:
    steps = []
    for split in splits:
        order = rng.permutation(split.learned)
        steps += [(split, order[start : start + n_graphs]) for start in range(0, len(order), n_graphs)]
    for i in rng.permutation(len(steps)):
        yield steps[i]


def _weights(network: KernelGnnNetwork) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


@torch.no_grad()
def _mean_error(network: KernelGnnNetwork, splits: Sequence[Split]) -> float:
    """Return the mean absolute log error of the members' mean on the networks to stop by."""
    errors = torch.cat([split.errors(network, split.validated).mean(-1).abs() for split in splits])
    return float(errors.mean())


def _set_scales(network: KernelGnnNetwork, splits: Sequence[Split]) -> None:
    """Standardise what varies among the training colours; what does not vary is unknown and left out."""
    numbers = torch.cat([split.batch.part(split.learned).surroundings for split in splits])
    spread = numbers.std(0)
    network.centre.copy_(numbers.mean(0))
    network.scale.copy_(torch.where(spread > 1e-4, 1.0 / spread.clamp(min=0.05), 0.0))


@torch.no_grad()
def _start_rates(network: KernelGnnNetwork, splits: Sequence[Split]) -> None:
    """Start every platform at its non-negative least-squares roofline, so that the residual starts small."""
    work: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    for split in splits:
        by_graph = split.batch.work_by_graph()
        for column, platform in enumerate(split.platforms.tolist()):
            rows = split.learned[~split.log_ms[split.learned, column].isnan().numpy()]
            latency_ms = split.log_ms[rows, column].double().exp().numpy()
            work[platform].append(np.column_stack([by_graph[rows], latency_ms]))
    for platform, parts in work.items():
        known = np.vstack(parts)
        relative = known[:, :-1] / known[:, -1:]
        scale = relative.mean(0)
        share = np.maximum(nnls(relative / scale, np.ones(len(known)))[0], LEAST_SHARE)
        network.rates[:, platform] = torch.from_numpy(np.log(share / scale)).float().expand(1, N_RATES)
        network.overhead[:, platform] = float(np.log(LEAST_SHARE * np.median(known[:, -1])))
