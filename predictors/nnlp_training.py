"""Training of NNLP, as NNLQP's scripts do it: Adam on the squared relative error, a fixed number of epochs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnlqp_nas.core import LatencyTable, Platform

from .familiarity import Domain
from .held_out import FAR_MARGIN
from .nnlp_features import NnlpFeatures, nnlp_features
from .nnlp_network import NnlpBatch, NnlpNetwork
from .torch_training import TorchTraining

if TYPE_CHECKING:
    from .nnlp import Nnlp

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

    def __len__(self) -> int:
        return len(self.latency_ms)


class NnlpTraining(TorchTraining):
    """Trains one network with a head for each platform of the tables.

    Args:
        start: Its settings count, and its parts stay: what is trained answers before them.
        network: To start from; it is left as it is.
        platforms: The platform of each head.
        tables: Training networks.
        n_epochs: Passes asked for.
        seed: Of the shuffling and of dropout.
        device: Where to train.
    """

    def __init__(
        self,
        start: Nnlp,
        network: NnlpNetwork,
        platforms: tuple[Platform, ...],
        tables: Sequence[LatencyTable],
        n_epochs: int,
        seed: int,
        device: str,
    ) -> None:
        self._start = start
        self._platforms = platforms
        self._tables = tables
        self._samples = Samples.of(tables, platforms)
        self._trained = copy.deepcopy(network).requires_grad_().to(device)
        optimiser = torch.optim.Adam(self._trained.parameters(), start.settings.learning_rate, fused=True)
        super().__init__(self._trained, optimiser, len(self._samples), start.settings.n_graphs, n_epochs, seed, device)

    def _loss(self, rows: NDArray[np.int64]) -> Tensor:
        part = self._samples.part(rows)
        batch = NnlpBatch.of([part.networks[i] for i in part.network], self.device)
        latency_ms = torch.from_numpy(part.latency_ms).float().to(self.device)
        predicted = self._trained(batch).gather(1, torch.from_numpy(part.head)[:, None].to(self.device))[:, 0]
        return torch.square(predicted / latency_ms - 1.0).mean()

    def predictor(self) -> Nnlp:
        from .nnlp import NnlpPart

        network = copy.deepcopy(self._trained).cpu().requires_grad_(False).eval()
        domains = tuple(_domain(platform, self._tables) for platform in self._platforms)
        part = NnlpPart(network, self._platforms, (FAR_MARGIN,) * len(self._platforms), domains)
        kept = tuple(part for part in self._start.parts if not set(part.platforms) <= set(self._platforms))
        return replace(self._start, parts=(*kept, part))


@torch.no_grad()
def predict_ms(network: NnlpNetwork, networks: Sequence[NnlpFeatures]) -> NDArray[np.float64]:
    """Return float64, shape (networks, heads), milliseconds."""
    chunks = [network(NnlpBatch.of(networks[start : start + N_PREDICTED])) for start in range(0, len(networks), N_PREDICTED)]
    return torch.cat(chunks).double().clamp(min=1e-6).numpy()


def _domain(platform: Platform, tables: Sequence[LatencyTable]) -> Domain:
    return Domain.of("training", [graph for table in tables if table.platform == platform for graph in table.graphs])
