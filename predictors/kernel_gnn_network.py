"""The network of the kernel GNN: latency as a sum over kernels, each priced in its surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import silu

from nnlqp_nas.core import ModelGraph, Operator

from .colouring import Colouring, colour
from .operator_features import KINDS
from .operator_numbers import FEATURES, PLACE, WORK, WORK_NAMES, operator_numbers
from .surroundings import N_ROUNDS, N_SURROUNDINGS, follows_alone, surroundings

N_RATES = len(WORK_NAMES)
"""Rates of the roofline: a launch, a FLOP, a byte of activations, a byte of weights."""

LARGEST_RESIDUAL = 1.5
"""How far, in natural logarithms, surroundings may move a price from its roofline."""

N_SLOTS = 2 * len(KINDS)
"""Rooflines of a platform: one for every kind of operator, and one for the same kind right behind a convolution."""

FIRST_DRAW = 0.1
"""The first weights start small: a trait that few training networks have must not stir the residual of others by chance."""


@dataclass(frozen=True)
class ColourBatch:
    """The colours of some graphs at one batch size, as tensors.

    Attributes:
        operators: The distinct operators.
        first: int64, shape (colours,), the operator of each colour.
        surroundings: float32, shape (colours, N_SURROUNDINGS).
        slot: int64, shape (colours,), which roofline holds: the kind's position in ``KINDS``, plus their number behind a convolution.
        work: float32, shape (colours, N_RATES): launches, FLOPs, bytes of activations, of weights.
        graph_of: int64, shape (pairs,), sorted: a graph ...
        colour_of: int64, shape (pairs,): ... has this colour ...
        count_of: float32, shape (pairs,): ... so many times.
        n_graphs: Number of graphs.
    """

    operators: tuple[Operator, ...]
    first: Tensor
    surroundings: Tensor
    slot: Tensor
    work: Tensor
    graph_of: Tensor
    colour_of: Tensor
    count_of: Tensor
    n_graphs: int

    @classmethod
    def of(cls, graphs: Sequence[ModelGraph], batch_size: int) -> ColourBatch:
        """Colour graphs and describe the colours at a batch size."""
        colouring = colour(graphs, N_ROUNDS)
        first, around, slot, work = describe_colours(colouring, operator_numbers(colouring.operators, batch_size))
        return cls(
            colouring.operators,
            torch.from_numpy(first),
            torch.from_numpy(around),
            torch.from_numpy(slot),
            torch.from_numpy(work),
            torch.from_numpy(colouring.graph_of),
            torch.from_numpy(colouring.colour_of),
            torch.from_numpy(colouring.count_of.astype(np.float32)),
            colouring.n_graphs,
        )

    def part(self, graphs: NDArray[np.int64]) -> ColourBatch:
        """Return some of the graphs, with their colours alone."""
        ends = torch.searchsorted(self.graph_of, torch.arange(self.n_graphs), right=True).numpy()
        starts = np.concatenate([[0], ends[:-1]])[graphs]
        sizes = ends[graphs] - starts
        pairs = np.repeat(starts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
        kept, colour_of = torch.unique(self.colour_of[pairs], return_inverse=True)
        return ColourBatch(
            self.operators,
            self.first[kept],
            self.surroundings[kept],
            self.slot[kept],
            self.work[kept],
            torch.from_numpy(np.repeat(np.arange(len(graphs)), sizes)),
            colour_of,
            self.count_of[pairs],
            len(graphs),
        )

    def to(self, device: torch.device) -> ColourBatch:
        """Return the tensors on a device."""
        if device.type == "cpu":
            return self
        tensors: dict[str, Any] = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)

    @property
    def kind(self) -> Tensor:
        """The kind of each colour, int64, shape (colours,), positions in ``KINDS``."""
        return self.slot % len(KINDS)

    def work_by_slot(self) -> NDArray[np.float64]:
        """Return float64, shape (graphs, N_SLOTS, N_RATES): the work of each graph by roofline."""
        index = self.graph_of * N_SLOTS + self.slot[self.colour_of]
        spread = (self.work[self.colour_of] * self.count_of[:, None]).double()
        return torch.zeros(self.n_graphs * N_SLOTS, N_RATES).double().index_add(0, index, spread).reshape(-1, N_SLOTS, N_RATES).numpy()

    def work_by_graph(self) -> NDArray[np.float64]:
        """Return float64, shape (graphs, N_RATES): launches, FLOPs, bytes of activations and of weights of each graph."""
        return self.sum_by_graph(self.work.double()).numpy()

    def sum_by_graph(self, values: Tensor) -> Tensor:
        """Return the sum over each graph's nodes of values by colour, shape (graphs, ...)."""
        counts = self.count_of.reshape(-1, *(1,) * (values.dim() - 1)).to(values.dtype)
        total = values.new_zeros(self.n_graphs, *values.shape[1:])
        return total.index_add(0, self.graph_of, values[self.colour_of] * counts)


def describe_colours(
    colouring: Colouring, numbers: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Return ``first``, ``surroundings``, ``slot`` and ``work`` of :class:`ColourBatch`.

    Args:
        colouring: Of :data:`N_ROUNDS` rounds.
        numbers: :func:`operator_numbers` of its operators.
    """
    first = colouring.last_to_first()
    around = surroundings(colouring, numbers[:, FEATURES].astype(np.float32))
    kind = numbers[first, PLACE.start].astype(np.int64)
    return first, around, kind + len(KINDS) * follows_alone(around), numbers[first, WORK].astype(np.float32)


class KernelGnnNetwork(nn.Module):
    """An ensemble that prices every node in its surroundings on every platform.

    Each member says that a graph takes ``exp(o_p) + sum_v base_p(v) * exp(bounded(f(s_v) . e_p))`` on
    platform p: ``base_p`` is a roofline with rates learned for every kind of operator (a launch, a FLOP, a byte),
    ``s_v`` describes the node and its neighbours (:mod:`.surroundings`), ``f`` is a perceptron, ``e_p`` the
    platform's embedding. Sums over kernels extrapolate in size, the exponential keeps prices positive, and the
    bound (a scaled tanh) keeps what no training network resembles near its roofline.

    Args:
        n_platforms: Number of platforms.
        n_members: Members of the ensemble.
        width: Size of the perceptron's hidden layers.
        platform_width: Size of a platform's embedding.
        dropout: Share of hidden numbers that a training step leaves out.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, n_platforms: int, n_members: int = 4, width: int = 64, platform_width: int = 16, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(N_SURROUNDINGS))
        self.register_buffer("scale", torch.ones(N_SURROUNDINGS))
        self.first = nn.Parameter(FIRST_DRAW * _drawn(n_members, N_SURROUNDINGS, width))
        self.first_bias = nn.Parameter(torch.zeros(n_members, 1, width))
        self.second = nn.Parameter(_drawn(n_members, width, width))
        self.second_bias = nn.Parameter(torch.zeros(n_members, 1, width))
        self.third = nn.Parameter(_drawn(n_members, width, platform_width))
        self.platforms = nn.Parameter(torch.randn(n_members, platform_width, n_platforms) * 0.3)
        self.rates = nn.Parameter(torch.zeros(n_members, n_platforms, N_SLOTS, N_RATES))
        self.overhead = nn.Parameter(torch.full((n_members, n_platforms), -6.0))
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: ColourBatch, platforms: Tensor) -> Tensor:
        """Return the logarithms of the latencies.

        Args:
            batch: The graphs.
            platforms: int64, shape (p,), positions of platforms.

        Returns:
            float32, shape (graphs, members, p), natural logarithm of milliseconds.
        """
        return self.log_total(batch, self.price(batch, platforms), platforms)

    def log_total(self, batch: ColourBatch, price: Tensor, platforms: Tensor) -> Tensor:
        """Return what :meth:`forward` does, from the prices of the colours."""
        total = batch.sum_by_graph(price.transpose(0, 1))
        return torch.log(total + self.overhead[:, platforms].exp())

    def price(self, batch: ColourBatch, platforms: Tensor) -> Tensor:
        """Return float32, shape (members, colours, p): milliseconds of one kernel of each colour."""
        return self.base(batch, platforms) * self.residual(batch, platforms).exp()

    def base(self, batch: ColourBatch, platforms: Tensor) -> Tensor:
        """Return float32, shape (members, colours, p): milliseconds by the rooflines alone."""
        rates = self.rates[:, platforms].exp()
        return torch.einsum("cr,mpcr->mcp", batch.work, rates[:, :, batch.slot])

    def residual(self, batch: ColourBatch, platforms: Tensor) -> Tensor:
        """Return float32, shape (members, colours, p): logarithm of what the surroundings do to a price."""
        unbounded = self.factors(batch) @ self.platforms[:, :, platforms]
        return LARGEST_RESIDUAL * torch.tanh(unbounded / LARGEST_RESIDUAL)

    def factors(self, batch: ColourBatch) -> Tensor:
        """Return float32, shape (members, colours, platform_width): what the platforms' embeddings are held against."""
        # Standardising the weights instead of the numbers saves a pass over the largest array.
        weights = self.first * self.scale[:, None]
        x = torch.matmul(batch.surroundings, weights) + (self.first_bias - self.centre @ weights[:, None])
        x = self.dropout(silu(x))
        x = self.dropout(silu(torch.baddbmm(self.second_bias, x, self.second)))
        return x @ self.third


def _drawn(n_members: int, n_inputs: int, n_outputs: int) -> Tensor:
    return torch.randn(n_members, n_inputs, n_outputs) * n_inputs**-0.5
