"""A trained kernel GNN on some platforms as arrays: the same formula without what only training needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from .kernel_gnn_network import LARGEST_RESIDUAL, KernelGnnNetwork

_Floats = NDArray[np.float32]
_FEWEST_ROWS, _FEWEST_COLUMNS = 16, 8


class NetworkArrays:
    """Prices colours as :meth:`KernelGnnNetwork.price` does; what does not depend on them is computed once.

    A search asks for a few dozen colours at a time, of which a call of PyTorch costs more than the arithmetic.

    Args:
        network: Trained; what happens to its weights later does not count.
        platforms: Positions of p platforms.
    """

    @torch.no_grad()
    def __init__(self, network: KernelGnnNetwork, platforms: Sequence[int]) -> None:
        at = torch.tensor(platforms)
        first = network.first * network.scale[:, None]
        first_bias = network.first_bias - network.centre @ first[:, None]
        self._first = torch.cat(tuple(first), 1)
        self._first_bias = first_bias.numpy().reshape(-1)
        self._second, self._second_bias = network.second.clone(), network.second_bias.numpy().copy()
        self._third = network.third @ network.platforms[:, :, at] / LARGEST_RESIDUAL
        # (members, slots, platforms, rates)
        self._rates: _Floats = network.rates[:, at].exp().transpose(1, 2).contiguous().numpy()
        self.overhead_ms: NDArray[np.float64] = network.overhead[:, at].double().exp().numpy()

    def price(self, around: _Floats, slot: NDArray[np.int64], work: _Floats) -> _Floats:
        """Return float32, shape (members, colours, p): milliseconds of one kernel of each colour.

        Args:
            around: Shape (colours, N_SURROUNDINGS).
            slot: Shape (colours,), which roofline holds.
            work: Shape (colours, N_RATES).
        """
        n_members, width = self._second.shape[:2]
        hidden = _silu(_product(around, self._first) + self._first_bias)
        hidden = np.ascontiguousarray(hidden.reshape(-1, n_members, width).transpose(1, 0, 2))
        hidden = _silu(_product(hidden, self._second) + self._second_bias)
        residual = LARGEST_RESIDUAL * np.tanh(_product(hidden, self._third))
        base = (self._rates[:, slot] * work[:, None]).sum(-1)
        return np.asarray(base * np.exp(residual), dtype=np.float32)


def _product(x: _Floats, weights: torch.Tensor) -> _Floats:
    # PyTorch's: a row is the same to the last bit whichever rows stand beside it, so that a price does not depend on the company; but for
    # products of very few rows, or (on some CPUs) of very few columns, which are computed in another order.
    n_rows, n_columns = x.shape[-2], weights.shape[-1]
    if n_rows < _FEWEST_ROWS:
        x = np.concatenate([x, np.zeros((*x.shape[:-2], _FEWEST_ROWS - n_rows, x.shape[-1]), dtype=np.float32)], axis=-2)
    if n_columns < _FEWEST_COLUMNS:
        weights = torch.nn.functional.pad(weights, (0, _FEWEST_COLUMNS - n_columns))
    return torch.matmul(torch.from_numpy(x), weights).numpy()[..., :n_rows, :n_columns]


def _silu(x: _Floats) -> _Floats:
    with np.errstate(over="ignore"):  # of what is so far below 0 that nothing is left of it
        return np.asarray(x / (1.0 + np.exp(-x)), dtype=np.float32)
