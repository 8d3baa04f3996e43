"""BRP-NAS's network: graph convolutions over operator kinds, read out at a node that sees all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.utils import scatter

from nnlqp_nas.core import ModelGraph, Operator

from .operator_features import KINDS, kind_of

GLOBAL = len(KINDS)
"""The kind of the node that reads all others."""

N_KINDS = len(KINDS) + 1
DROPOUT = 2e-3


@dataclass(frozen=True)
class BrpBatch:
    """Several networks behind each other; the first node of each reads all of its nodes.

    Attributes:
        kinds: int64, shape (nodes,).
        source: int64, shape (edges,): what is gathered ...
        target: int64, shape (edges,): ... by whom. A node gathers itself and those that read it.
        globals: int64, shape (networks,), the node that reads all others of its network.
    """

    kinds: Tensor
    source: Tensor
    target: Tensor
    globals: Tensor

    @classmethod
    def of(cls, graphs: Sequence[ModelGraph], device: torch.device | str = "cpu") -> BrpBatch:
        """Return the batch of these networks."""
        sizes = np.array([1 + len(graph) for graph in graphs])
        first = np.cumsum(sizes) - sizes
        kinds = np.concatenate([[GLOBAL, *map(_kind, graph.operators)] for graph in graphs])
        lists = [(start, node, sources) for graph, start in zip(graphs, first, strict=True) for node, sources in enumerate(graph.sources)]
        degree = np.array([len(sources) for _, _, sources in lists])
        begin = np.repeat([start + 1 for start, _, _ in lists], degree)
        read = begin + np.fromiter(chain.from_iterable(sources for _, _, sources in lists), np.int64, int(degree.sum()))
        reader = begin + np.repeat([node for _, node, _ in lists], degree)
        every = np.arange(len(kinds))
        inner = kinds != GLOBAL
        source = np.concatenate([reader, every, every[inner]])
        target = np.concatenate([read, every, np.repeat(first, sizes)[inner]])
        return cls(*(torch.from_numpy(part.astype(np.int64)).to(device) for part in (kinds, source, target, first)))


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
        for layer, norm in zip(self.convolutions, self.norms, strict=True):
            assert isinstance(layer, nn.Linear)
            gathered = scatter((x @ layer.weight.T)[batch.source], batch.target, dim=0, dim_size=len(x), reduce="sum")
            x = self.dropout(nn.functional.relu(norm(gathered + layer.bias)))
        return self.price(x[batch.globals])[:, 0]


@lru_cache(maxsize=1 << 16)
def _kind(operator: Operator) -> int:
    return KINDS.index(kind_of(operator))
