"""The network of the kernel GNN: latency as a sum over kernels, each priced in its surroundings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric.nn import SAGEConv
from torch_geometric.utils import scatter

from nnlqp_nas.core import Operator
from nnlqp_nas.graphs import operator_cost

from .colouring import Colouring
from .operator_features import N_FEATURES, features, kind_of

N_RATES = 3
"""Rates of the roofline: a launch, a flop, a byte."""


@dataclass(frozen=True)
class ColourBatch:
    """A colouring at one batch size, as tensors.

    Attributes:
        features: float32, shape (operators, N_FEATURES).
        work: float32, shape (operators, N_RATES): launches, FLOPs, bytes moved.
        rounds: (own, reads, read_by) of each round, int64.
        first: int64, shape (colours,), the operator of each last colour.
        graph_of, colour_of: int64, shape (pairs,).
        count_of: float32, shape (pairs,).
        n_graphs: Number of graphs.
    """

    features: Tensor
    work: Tensor
    rounds: tuple[tuple[Tensor, Tensor, Tensor], ...]
    first: Tensor
    graph_of: Tensor
    colour_of: Tensor
    count_of: Tensor
    n_graphs: int

    @classmethod
    def of(cls, colouring: Colouring, batch_size: int) -> ColourBatch:
        """Return the tensors of a colouring at a batch size."""
        described = np.array([features(operator, batch_size) for operator in colouring.operators], dtype=np.float32)
        rounds = tuple((torch.from_numpy(r.own), torch.from_numpy(r.reads), torch.from_numpy(r.read_by)) for r in colouring.rounds)
        return cls(
            torch.from_numpy(described),
            torch.from_numpy(np.array([_work(operator, batch_size) for operator in colouring.operators], dtype=np.float32)),
            rounds,
            torch.from_numpy(colouring.last_to_first()),
            torch.from_numpy(colouring.graph_of),
            torch.from_numpy(colouring.colour_of),
            torch.from_numpy(colouring.count_of.astype(np.float32)),
            colouring.n_graphs,
        )

    def work_by_graph(self) -> NDArray[np.float64]:
        """Return float64, shape (graphs, N_RATES): launches, FLOPs and bytes of each graph."""
        work = self.work[self.first][self.colour_of] * self.count_of[:, None]
        return scatter(work.double(), self.graph_of, dim_size=self.n_graphs).numpy()


def _work(operator: Operator, batch_size: int) -> tuple[float, float, float]:
    cost = operator_cost(operator, batch_size)
    is_launched = kind_of(operator) not in ("input", "move")
    return float(is_launched), float(cost.flops), float(cost.read_bytes + cost.write_bytes + cost.weight_bytes)


class KernelGnnNetwork(nn.Module):
    """Embeds every node in its surroundings and prices it on every platform.

    The latency of a graph on platform p is ``exp(overhead_p) + sum_v base_p(v) * exp(h_v . V e_p + b_p)``:
    ``base_p`` is an additive roofline with learned rates (launch, FLOP, byte), ``h_v`` the node's
    embedding after rounds of GraphSAGE (Hamilton et al., NeurIPS 2017) along and against the
    edges, ``e_p`` the platform's embedding. Sums over kernels extrapolate in size; the
    exponential keeps every price positive.

    Args:
        n_platforms: Number of platforms.
        width: Size of a node's embedding.
        n_rounds: Rounds of message passing.
        platform_width: Size of a platform's embedding.
    """

    def __init__(self, n_platforms: int, width: int = 64, n_rounds: int = 2, platform_width: int = 16) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(N_FEATURES, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.reads = nn.ModuleList(SAGEConv((width, width), width, aggr="mean") for _ in range(n_rounds))
        self.read_by = nn.ModuleList(SAGEConv((width, width), width, aggr="mean") for _ in range(n_rounds))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(n_rounds))
        self.factors = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, platform_width))
        self.platforms = nn.Parameter(torch.randn(n_platforms, platform_width) * 0.3)
        self.rates = nn.Parameter(torch.zeros(n_platforms, N_RATES))
        self.overhead = nn.Parameter(torch.full((n_platforms,), -6.0))

    def embed_colours(self, batch: ColourBatch) -> Tensor:
        """Return float32, shape (colours, platform_width): what the platform embeddings are held against."""
        h = self.embed(batch.features)
        for (own, reads, read_by), conv_in, conv_out, norm in zip(batch.rounds, self.reads, self.read_by, self.norms, strict=True):
            near = conv_in((h, h[own]), reads) + conv_out((h, h[own]), read_by)
            h = norm(h[own] + torch.nn.functional.silu(near))
        return self.factors(h)

    def forward(self, batch: ColourBatch, platforms: Tensor) -> Tensor:
        """Return the log of the latencies.

        Args:
            batch: The graphs.
            platforms: int64, shape (p,), positions of platforms.

        Returns:
            float32, shape (graphs, p), natural logarithm of milliseconds.
        """
        price = self.price(batch, self.embed_colours(batch), platforms)
        spread = price[batch.colour_of] * batch.count_of[:, None]
        total = scatter(spread, batch.graph_of, dim=0, dim_size=batch.n_graphs, reduce="sum")
        return torch.log(total + self.overhead[platforms].exp())

    def price(self, batch: ColourBatch, factors: Tensor, platforms: Tensor) -> Tensor:
        """Return float32, shape (colours, p): milliseconds of one kernel of each colour."""
        base = batch.work[batch.first] @ self.rates[platforms].exp().T
        residual = factors @ self.platforms[platforms].T
        return base * residual.clamp(-8.0, 8.0).exp()
