"""BRP-NAS's network: graph convolutions over operator kinds, read out at a node that sees all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric.utils import scatter

from nnlqp_nas.core import ModelGraph, Operator
from nnlqp_nas.core.graph_keys import mix

from .colouring import edges_of
from .operator_features import KINDS, kind_of

_Ints = NDArray[np.int64]

GLOBAL = len(KINDS)
"""The kind of the node that reads all others."""

N_KINDS = len(KINDS) + 1
DROPOUT = 2e-3


@dataclass(frozen=True)
class Gathering:
    """What one graph convolution sums up.

    Attributes:
        source: int64, shape (sums,): what is gathered, by its place before the convolution ...
        target: int64, shape (sums,): ... by whom, by its place behind it ...
        count: float32, shape (sums, 1): ... and how many times.
        n_before: Number of places before the convolution.
        n_behind: Number of places behind it.
    """

    source: Tensor
    target: Tensor
    count: Tensor
    n_before: int
    n_behind: int

    def sums(self, x: Tensor) -> Tensor:
        """Return float32, shape (n_behind, channels), of ``x``, shape (n_before, channels)."""
        return scatter(x[self.source] * self.count, self.target, dim=0, dim_size=self.n_behind, reduce="sum")


@dataclass(frozen=True)
class BrpBatch:
    """Several networks, each with one more node that reads all of its nodes; what gathers the same is computed once.

    Nodes that gather equal nodes have equal embeddings, and networks repeat their cells: of the 188 nodes of a
    network of NAS-Bench-201 some 30 differ at a time. Behind the last convolution the nodes that read all others
    alone are computed. (In training, dropout is drawn once for nodes that are computed once.)

    Attributes:
        kinds: int64, shape (places,), of the nodes that differ.
        gatherings: What each convolution sums up. A node gathers itself and those that read it.
        globals: int64, shape (networks,), the place of each network's answer behind the last convolution.
    """

    kinds: Tensor
    gatherings: tuple[Gathering, ...]
    globals: Tensor

    @classmethod
    def of(cls, graphs: Sequence[ModelGraph], n_layers: int, device: torch.device | str = "cpu") -> BrpBatch:
        """Return the batch of these networks, at least one, for so many convolutions."""
        sizes = np.fromiter(map(len, graphs), np.int64, len(graphs))
        read, reader = edges_of(graphs, sizes)
        n_nodes = int(sizes.sum())
        nodes, reading_all = np.arange(n_nodes), n_nodes + np.arange(len(graphs))
        every = np.arange(n_nodes + len(graphs))
        source = np.concatenate([reader, every, nodes])
        target = np.concatenate([read, every, np.repeat(reading_all, sizes)])
        own = np.array([*map(_kind, chain.from_iterable(graph.operators for graph in graphs)), *[GLOBAL] * len(graphs)])
        kinds, places = np.unique(own, return_inverse=True)
        gatherings: list[Gathering] = []
        n_places = len(kinds)
        for layer in range(n_layers):
            asked = every if layer < n_layers - 1 else reading_all
            gathering, places = _gather(places, n_places, asked, source, target, device)
            gatherings.append(gathering)
            n_places = gathering.n_behind
        return cls(torch.from_numpy(kinds).to(device), tuple(gatherings), torch.from_numpy(places).to(device))


def _gather(
    places: _Ints, n_before: int, asked: _Ints, source: _Ints, target: _Ints, device: torch.device | str
) -> tuple[Gathering, _Ints]:
    """Give the nodes ``asked`` for places, the same one where they gather the same; return what is summed up, and those places.

    Args:
        places: int64, shape (nodes,), of every node before the convolution.
        n_before: Number of places there.
        asked: int64, shape (asked,), nodes.
        source: int64, shape (edges,), a node is gathered ...
        target: int64, shape (edges,), ... by this one.
        device: Where to sum.
    """
    names = np.zeros(len(places), dtype=np.uint64)
    np.add.at(names, target, mix(places[source].astype(np.uint64) + np.uint64(1)))
    _, first, behind = np.unique(names[asked], return_index=True, return_inverse=True)
    place_of = np.full(len(places), -1)
    place_of[asked[first]] = np.arange(len(first))
    told = place_of[target] >= 0
    pairs, count = np.unique(place_of[target[told]] * n_before + places[source[told]], return_counts=True)
    gathering = Gathering(
        source=torch.from_numpy(pairs % n_before).to(device),
        target=torch.from_numpy(pairs // n_before).to(device),
        count=torch.from_numpy(count).float()[:, None].to(device),
        n_before=n_before,
        n_behind=len(first),
    )
    return gathering, behind


class BrpNetwork(nn.Module):
    """Graph convolutions (Kipf and Welling, ICLR 2017) over one-hot operator kinds, and one linear layer.

    As in BRP-NAS, the adjacency has self-loops and is not normalised, each convolution is followed by
    layer normalisation, and the last layer reads the global node alone.

    Args:
        width: Size of a node's embedding.
        n_layers: Number of graph convolutions.
    """

    def __init__(self, width: int = 600, n_layers: int = 4) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Linear(N_KINDS if not i else width, width) for i in range(n_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(n_layers))
        self.dropout = nn.Dropout(DROPOUT)
        self.price = nn.Linear(width, 1)
        for layer in self.convolutions:
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -(width**-0.5), width**-0.5)

    def forward(self, batch: BrpBatch) -> Tensor:
        """Return float32, shape (networks,), latencies in a unit of their own."""
        x = nn.functional.one_hot(batch.kinds, N_KINDS).float()
        for layer, norm, gathering in zip(self.convolutions, self.norms, batch.gatherings, strict=True):
            assert isinstance(layer, nn.Linear)
            # Sums of products are products of sums: the fewer rows are multiplied.
            if gathering.n_before < gathering.n_behind:
                gathered = gathering.sums(x @ layer.weight.T) + layer.bias
            else:
                gathered = layer(gathering.sums(x))
            x = self.dropout(nn.functional.relu(norm(gathered)))
        return self.price(x[batch.globals])[:, 0]


@lru_cache(maxsize=1 << 16)
def _kind(operator: Operator) -> int:
    return KINDS.index(kind_of(operator))
