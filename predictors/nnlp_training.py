"""Training of NNLP, as NNLQP's scripts do it: Adam on the squared relative error, a fixed number of epochs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from nnlqp_nas.core import LatencyTable, Platform

from .nnlp_features import NnlpFeatures, nnlp_features
from .nnlp_network import NnlpBatch, NnlpNetwork

if TYPE_CHECKING:
    from .nnlp import NnlpSettings

COVERAGE = 0.9
N_PREDICTED = 256
"""Networks a batch where nothing is learned."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Measured networks; a network measured on several platforms is described once.

    Attributes:
        networks: The features of each network.
        network: int64, shape (n,), which network a measurement is of.
        head: int64, shape (n,), the head of its platform.
        latency_ms: float64, shape (n,).
    """

    networks: Sequence[NnlpFeatures]
    network: NDArray[np.int64]
    head: NDArray[np.int64]
    latency_ms: NDArray[np.float64]

    @classmethod
    def of(cls, tables: Sequence[LatencyTable], platforms: Sequence[Platform]) -> Samples:
        """Return the samples of all tables; ``platforms`` are the heads in order."""
        place: dict[tuple[int, int], int] = {}
        networks: list[NnlpFeatures] = []
        network, head = [], []
        for table in tables:
            for graph in table.graphs:
                at = (id(graph), table.batch_size)
                if at not in place:
                    place[at] = len(networks)
                    networks.append(nnlp_features(graph, table.batch_size))
                network.append(place[at])
                head.append(platforms.index(table.platform))
        latency_ms = np.concatenate([table.latency_ms for table in tables])
        return cls(networks, np.array(network), np.array(head), latency_ms)

    def part(self, rows: NDArray[np.int64]) -> Samples:
        """Return some of the measurements."""
        return Samples(self.networks, self.network[rows], self.head[rows], self.latency_ms[rows])

    def split(self, share: float, seed: int) -> tuple[Samples, Samples]:
        """Return the samples to learn from, and those of a share of the networks, drawn from ``seed``, held out."""
        n_held_out = min(round(share * len(self.networks)), len(self.networks) - 1)
        drawn = np.random.default_rng(seed).permutation(len(self.networks))[:n_held_out]
        is_held_out = np.isin(self.network, drawn)
        return self.part(np.flatnonzero(~is_held_out)), self.part(np.flatnonzero(is_held_out))

    def __len__(self) -> int:
        return len(self.latency_ms)


def train(network: NnlpNetwork, samples: Samples, settings: NnlpSettings, n_epochs: int, seed: int) -> None:
    """Train a network in place; nothing is held out and no epoch is chosen: the last one counts."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device).train()
    optimiser = torch.optim.Adam(network.parameters(), settings.learning_rate)
    rng = np.random.default_rng(seed)
    for _ in tqdm(range(n_epochs), desc="train", file=sys.stderr, disable=None):
        order = rng.permutation(len(samples))
        for start in range(0, len(order), settings.n_graphs):
            part = samples.part(order[start : start + settings.n_graphs])
            batch = NnlpBatch.of([samples.networks[i] for i in part.network], device)
            latency_ms = torch.from_numpy(part.latency_ms).float().to(device)
            predicted = network(batch).gather(1, torch.from_numpy(part.head)[:, None].to(device))[:, 0]
            optimiser.zero_grad()
            ((predicted / latency_ms - 1.0) ** 2).mean().backward()
            optimiser.step()
    network.cpu().eval()


@torch.no_grad()
def predict_ms(network: NnlpNetwork, networks: Sequence[NnlpFeatures]) -> NDArray[np.float64]:
    """Return float64, shape (networks, heads), milliseconds."""
    chunks = [network(NnlpBatch.of(networks[start : start + N_PREDICTED])) for start in range(0, len(networks), N_PREDICTED)]
    return torch.cat(chunks).double().clamp(min=1e-6).numpy()


def calibrate(network: NnlpNetwork, held_out: Samples, n_heads: int, otherwise: float) -> tuple[float, ...]:
    """Return, for each head, the split-conformal 0.9 quantile of |log error| (Lei et al., JASA 2018, section 2.2).

    ``otherwise`` stands where too few networks are held out to tell it.
    """
    if not len(held_out):
        return (otherwise,) * n_heads
    predicted = predict_ms(network, [held_out.networks[i] for i in held_out.network])[np.arange(len(held_out)), held_out.head]
    error = np.abs(np.log(predicted / held_out.latency_ms))
    margins = []
    for head in range(n_heads):
        own = np.sort(error[held_out.head == head])
        rank = int(np.ceil((len(own) + 1) * COVERAGE))
        margins.append(float(own[rank - 1]) if rank <= len(own) else otherwise)
    return tuple(margins)
