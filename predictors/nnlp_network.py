"""NNLP's network: GraphSAGE over operators, sum pooling, one head a platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, relu
from torch_geometric.nn import SAGEConv
from torch_geometric.utils import scatter

from .nnlp_features import N_STATIC, NnlpFeatures
from .nnlp_node import N_FEATURES

DROPOUT = 0.05


@dataclass(frozen=True)
class NnlpBatch:
    """Features of several networks, as tensors.

    Attributes:
        nodes: float32, shape (nodes, N_FEATURES), of all networks behind each other.
        edges: int64, shape (2, edges).
        graph_of: int64, shape (nodes,), the network of each node.
        static: float32, shape (networks, N_STATIC).
    """

    nodes: Tensor
    edges: Tensor
    graph_of: Tensor
    static: Tensor

    @classmethod
    def of(cls, networks: Sequence[NnlpFeatures], device: torch.device | str = "cpu") -> NnlpBatch:
        """Return the batch of these networks."""
        sizes = [len(network.nodes) for network in networks]
        starts = accumulate(sizes[:-1], initial=0)
        tensors = (
            np.concatenate([network.nodes for network in networks]),
            np.concatenate([network.edges + start for network, start in zip(networks, starts, strict=True)], axis=1),
            np.repeat(np.arange(len(networks)), sizes),
            np.stack([network.static for network in networks]),
        )
        return cls(*(torch.from_numpy(tensor).to(device) for tensor in tensors))


class NnlpHead(nn.Module):
    """Three linear layers from the pooled network to one platform's latency."""

    def __init__(self, n_inputs: int, width: int) -> None:
        super().__init__()
        self.fc_1 = nn.Linear(n_inputs, width)
        self.fc_2 = nn.Linear(width, width)
        self.predictor = nn.Linear(width, 1)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """Return float32, shape (networks, 1)."""
        for layer in (self.fc_1, self.fc_2):
            x = self.dropout(relu(layer(x)))
        return self.predictor(x)


class NnlpNetwork(nn.Module):
    """Embeds every node with two SAGE layers, sums them up, and prices the sum and four static features.

    Args:
        n_heads: Number of platforms.
        width: Size of a node's embedding.
        head_width: Size of the heads' hidden layers.
        norm_static: Whether a learned layer brings the static features to the embedding's size
            (``norm_sf`` in NNLQP's code).

    References:
        Liu et al., NNLQP, ICPP 2022, section 6; Hamilton et al., Inductive Representation Learning
        on Large Graphs, NeurIPS 2017.
    """

    def __init__(self, n_heads: int, width: int = 512, head_width: int = 512, norm_static: bool = False) -> None:
        super().__init__()
        self.graph_conv_1 = SAGEConv(N_FEATURES, width, normalize=True)
        self.graph_conv_2 = SAGEConv(width, width, normalize=True)
        self.norm_sf_linear = nn.Linear(N_STATIC, width) if norm_static else None
        self.heads = nn.ModuleList(NnlpHead(width + (width if norm_static else N_STATIC), head_width) for _ in range(n_heads))
        self.dropout = nn.Dropout(DROPOUT)
        self.apply(_draw_uniform)

    def forward(self, batch: NnlpBatch) -> Tensor:
        """Return float32, shape (networks, heads), milliseconds, above 0."""
        x = batch.nodes
        for layer in (self.graph_conv_1, self.graph_conv_2):
            x = self.dropout(relu(layer(x, batch.edges)))
        pooled = scatter(x, batch.graph_of, dim=0, dim_size=len(batch.static), reduce="sum")
        static = batch.static
        if self.norm_sf_linear is not None:
            static = relu(self.dropout(self.norm_sf_linear(static)))
        features = torch.cat([pooled, static], dim=1)
        return -logsigmoid(torch.cat([head(features) for head in self.heads], dim=1))

    @property
    def sizes(self) -> dict[str, int | bool]:
        """The arguments that make a network of this shape."""
        first = self.heads[0].fc_1
        assert isinstance(first, nn.Linear)
        return {
            "n_heads": len(self.heads),
            "width": int(self.graph_conv_1.out_channels),
            "head_width": first.out_features,
            "norm_static": self.norm_sf_linear is not None,
        }


def _draw_uniform(module: nn.Module) -> None:
    """Draw from ±1/sqrt(last dimension), biases too."""
    if isinstance(module, nn.Linear):
        for parameter in module.parameters():
            nn.init.uniform_(parameter, -(parameter.shape[-1] ** -0.5), parameter.shape[-1] ** -0.5)
