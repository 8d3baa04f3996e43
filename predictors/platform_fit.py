"""Fits one more platform to a trained network, from few measurements and what other platforms are like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from .kernel_gnn_network import N_RATES, ColourBatch, KernelGnnNetwork

NOISE = 0.05
"""Standard deviation of log latency around the fit."""

_SPREAD = 1.5
_LEVEL_SPREAD = 2.0


@dataclass(frozen=True, eq=False)
class PlatformPrior:
    """What platforms are like: a normal distribution of their parameters, from the trained ones.

    Attributes:
        mean: float64, shape (parameters,): embedding, log rates, log overhead.
        root: float64, shape (parameters, latent): ``mean + root @ z``, z standard normal, is a platform.
    """

    mean: NDArray[np.float64]
    root: NDArray[np.float64]

    @classmethod
    def of(cls, network: KernelGnnNetwork, without: int | None = None) -> PlatformPrior:
        """Return the distribution of the network's platforms, but for one.

        One more direction moves all rates together: a device may be slower or faster than any known.
        """
        rows = torch.cat([network.platforms, network.rates, network.overhead[:, None]], 1).detach().double().numpy()
        if without is not None:
            rows = np.delete(rows, without, 0)
        away = rows - rows.mean(0)
        root = _SPREAD * away.T / np.sqrt(max(len(rows) - 1, 1))
        level = np.concatenate([np.zeros(network.platforms.shape[1]), np.full(N_RATES + 1, _LEVEL_SPREAD)])
        own = np.diag(0.1 * away.std(0) + 1e-3)
        return cls(rows.mean(0), np.column_stack([root, level, own]))


def fit_platform(
    prior: PlatformPrior,
    batch: ColourBatch,
    factors: Tensor,
    log_ms: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the most probable parameters of a platform, given the log latencies of some graphs.

    Args:
        prior: What platforms are like.
        batch: n graphs.
        factors: float32, shape (colours, width), of ``network.embed_colours(batch)``.
        log_ms: float64, shape (n,), natural logarithm of milliseconds.
        rows: int64, positions of the graphs to fit to.
    """
    mean, root = torch.from_numpy(prior.mean), torch.from_numpy(prior.root)
    target, chosen = torch.from_numpy(log_ms[rows]), torch.from_numpy(rows)
    fixed = factors.double()

    def loss(z: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        latent = torch.from_numpy(z).requires_grad_()
        predicted = platform_log_ms(mean + root @ latent, batch, fixed)[chosen]
        error = (predicted - target) / NOISE
        value = torch.nn.functional.huber_loss(error, torch.zeros_like(error), delta=3.0, reduction="sum") + 0.5 * latent @ latent
        (slope,) = torch.autograd.grad(value, latent)
        return float(value), slope.numpy()

    end = minimize(loss, np.zeros(prior.root.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return prior.mean + prior.root @ end.x


def platform_log_ms(parameters: Tensor, batch: ColourBatch, factors: Tensor) -> Tensor:
    """Return float64, shape (graphs,): log milliseconds on a platform of these parameters."""
    width = factors.shape[1]
    embedding, rates, overhead = parameters[:width], parameters[width : width + N_RATES], parameters[-1]
    price = (batch.work[batch.first].double() @ rates.exp()) * (factors @ embedding).clamp(-8.0, 8.0).exp()
    spread = price[batch.colour_of] * batch.count_of
    total = torch.zeros(batch.n_graphs, dtype=torch.float64).index_add(0, batch.graph_of, spread)
    return torch.log(total + overhead.exp())
