"""Training of the kernel GNN."""

from __future__ import annotations

import logging
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor
from tqdm import tqdm

from nnlqp_nas.core import LatencyTable, ModelGraph, Platform

from .colouring import colour
from .familiarity import Domain
from .kernel_gnn_network import ColourBatch, KernelGnnNetwork

if TYPE_CHECKING:
    from .kernel_gnn import KernelGnnSettings

HELD_OUT = 0.1
"""Share of every domain's networks that is held out, once to choose the stop and once to calibrate intervals."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Chunk:
    """Some graphs of one domain and view at one batch size, with all that is known of them."""

    domain: str
    batch: ColourBatch
    batch_size: int
    platforms: Tensor
    log_ms: Tensor
    is_known: Tensor

    def errors(self, network: KernelGnnNetwork) -> Tensor:
        """Return float32, shape (graphs, platforms): log error, 0 where the truth is unknown."""
        return torch.where(self.is_known, network(self.batch, self.platforms) - self.log_ms, 0.0)


def train(settings: KernelGnnSettings, tables: Sequence[LatencyTable], seed: int) -> dict[str, Any]:
    """Return the fields of a trained :class:`KernelGnn`.

    A tenth of the networks of each domain chooses the epoch whose weights are kept, another tenth
    calibrates the intervals.
    """
    torch.manual_seed(seed)
    known = tuple(sorted({table.platform for table in tables}))
    chunks, validation, calibration = _chunks(settings, tables, known, seed)
    network = KernelGnnNetwork(len(known), settings.width, settings.n_rounds, settings.platform_width)
    _start_rates(network, chunks)
    best = _run(settings, network, chunks, validation, seed)
    network.load_state_dict(best)
    network.eval()
    domains, seen = _domains(tables, known)
    error = _calibrate(network, calibration, known)
    return {"network": network, "known": known, "error": error, "domains": domains, "seen": seen}


def _groups(tables: Sequence[LatencyTable]) -> dict[tuple[str, str, int], list[LatencyTable]]:
    groups: dict[tuple[str, str, int], list[LatencyTable]] = defaultdict(list)
    for table in tables:
        groups[table.domain, str(table.platform.view), table.batch_size].append(table)
    return groups


def _chunks(
    settings: KernelGnnSettings, tables: Sequence[LatencyTable], known: tuple[Platform, ...], seed: int
) -> tuple[list[_Chunk], list[_Chunk], list[_Chunk]]:
    """Return the chunks to train on, to choose the stop on, and to calibrate on."""
    chunks: tuple[list[_Chunk], list[_Chunk], list[_Chunk]] = ([], [], [])
    for group in _groups(tables).values():
        graphs, log_ms = _matrix(group)
        order = np.random.default_rng(seed).permutation(len(graphs))
        n_held_out = max(1, round(HELD_OUT * len(graphs)))
        platforms = torch.tensor([known.index(table.platform) for table in group])
        parts = order[2 * n_held_out :], order[:n_held_out], order[n_held_out : 2 * n_held_out]
        for target, rows in zip(chunks, parts, strict=True):
            for start in range(0, len(rows), settings.n_graphs):
                part = rows[start : start + settings.n_graphs]
                batch = ColourBatch.of(colour([graphs[i] for i in part], settings.n_rounds), group[0].batch_size)
                values = torch.from_numpy(log_ms[part]).float()
                target.append(_Chunk(group[0].domain, batch, group[0].batch_size, platforms, torch.nan_to_num(values), ~values.isnan()))
    return chunks


def _matrix(group: Sequence[LatencyTable]) -> tuple[list[ModelGraph], NDArray[np.float64]]:
    place: dict[str, int] = {}
    graphs: list[ModelGraph] = []
    for table in group:
        for graph in table.graphs:
            if place.setdefault(graph.key, len(graphs)) == len(graphs):
                graphs.append(graph)
    log_ms = np.full((len(graphs), len(group)), np.nan)
    for column, table in enumerate(group):
        rows = [place[graph.key] for graph in table.graphs]
        log_ms[rows, column] = np.log(table.latency_ms)
    return graphs, log_ms


def _start_rates(network: KernelGnnNetwork, chunks: Sequence[_Chunk]) -> None:
    """Start every platform at its non-negative least-squares roofline, so that the residual starts small."""
    work: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    for chunk in chunks:
        by_graph = chunk.batch.work_by_graph()
        for column, platform in enumerate(chunk.platforms.tolist()):
            known = chunk.is_known[:, column].numpy()
            work[platform].append(np.column_stack([by_graph[known], chunk.log_ms[known, column].double().exp().numpy()]))
    with torch.no_grad():
        for platform, parts in work.items():
            rows = np.vstack(parts)
            relative = rows[:, :-1] / rows[:, -1:]
            scale = relative.mean(0)
            share = np.maximum(nnls(relative / scale, np.ones(len(rows)))[0], 0.03)
            network.rates[platform] = torch.from_numpy(np.log(share / scale)).float()
            network.overhead[platform] = float(np.log(0.03 * np.median(rows[:, -1])))


def _run(
    settings: KernelGnnSettings, network: KernelGnnNetwork, chunks: Sequence[_Chunk], held_out: Sequence[_Chunk], seed: int
) -> dict[str, Tensor]:
    optimiser = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=1e-4)
    n_steps = settings.n_epochs * len(chunks)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=n_steps, pct_start=0.1)
    rng = np.random.default_rng(seed)
    best, least = _weights(network), np.inf
    bar = tqdm(range(settings.n_epochs), desc="train", file=sys.stderr, disable=None)
    for _ in bar:
        network.train()
        for i in rng.permutation(len(chunks)):
            optimiser.zero_grad()
            error = chunks[i].errors(network)
            loss = torch.nn.functional.huber_loss(error, torch.zeros_like(error), delta=0.1, reduction="sum") / chunks[i].is_known.sum()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        network.eval()
        now = _mean_error(network, held_out)
        bar.set_postfix(held_out=f"{now:.4f}")
        if now < least:
            best, least = _weights(network), now
    _LOG.info("least held-out error %.4f", least)
    return best


def _weights(network: KernelGnnNetwork) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


@torch.no_grad()
def _mean_error(network: KernelGnnNetwork, chunks: Sequence[_Chunk]) -> float:
    total = sum(float(chunk.errors(network).abs().sum()) for chunk in chunks)
    return total / sum(int(chunk.is_known.sum()) for chunk in chunks)


@torch.no_grad()
def _calibrate(network: KernelGnnNetwork, chunks: Sequence[_Chunk], known: tuple[Platform, ...]) -> dict[tuple[Platform, int, str], float]:
    """Return the 0.9 quantile of |log error| by platform, batch size and domain."""
    errors: dict[tuple[Platform, int, str], list[float]] = defaultdict(list)
    for chunk in chunks:
        error = chunk.errors(network).abs()
        for column, platform in enumerate(chunk.platforms.tolist()):
            errors[known[platform], chunk.batch_size, chunk.domain] += error[chunk.is_known[:, column], column].tolist()
    return {key: _conformal_quantile(values) for key, values in errors.items() if values}


def _conformal_quantile(values: Sequence[float], coverage: float = 0.9) -> float:
    """The split-conformal quantile (Vovk et al. 2005; Lei et al., JASA 2018, section 2.2).

    Fewer than 9 values do not determine a 0.9 quantile; twice the largest stands for it then.
    """
    rank = int(np.ceil((len(values) + 1) * coverage))
    return sorted(values)[rank - 1] if rank <= len(values) else 2.0 * max(values)


def _domains(tables: Sequence[LatencyTable], known: tuple[Platform, ...]) -> tuple[tuple[Domain, ...], tuple[tuple[int, ...], ...]]:
    names: dict[tuple[str, str], dict[str, ModelGraph]] = defaultdict(dict)
    seen: dict[Platform, set[int]] = defaultdict(set)
    for table in tables:
        at = (table.domain, str(table.platform.view))
        names[at].update({graph.key: graph for graph in table.graphs})
        seen[table.platform].add(list(names).index(at))
    domains = tuple(Domain.of(domain, list(graphs.values())) for (domain, _), graphs in names.items())
    return domains, tuple(tuple(sorted(seen[platform])) for platform in known)
