"""The project's own predictor: a graph neural network that prices kernels in their surroundings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from nnlqp_nas.core import CheckpointError, LatencyPredictor, LatencyTable, ModelGraph, Platform, Prediction

from .checkpoint import Arrays, read_checkpoint, write_checkpoint
from .colouring import Colouring, colour
from .familiarity import UNFAMILIAR_SHARE, Domain, domain_arrays, read_domains
from .kernel_gnn_network import ColourBatch, KernelGnnNetwork

COVERAGE = 0.9
PLATFORM_CHUNK = 16


@dataclass(frozen=True)
class KernelGnnSettings:
    """Sizes and training settings of the kernel GNN.

    Attributes:
        width: Size of a node's embedding.
        n_rounds: Rounds of message passing.
        platform_width: Size of a platform's embedding.
        n_epochs: Passes over the training tables.
        learning_rate: Peak step size of Adam (cosine schedule).
        n_graphs: Graphs a training step.
    """

    width: int = 64
    n_rounds: int = 2
    platform_width: int = 16
    n_epochs: int = 40
    learning_rate: float = 4e-3
    n_graphs: int = 64


@dataclass(frozen=True, eq=False)
class KernelGnn(LatencyPredictor):
    """One network for many platforms; see :class:`KernelGnnNetwork` for what it computes.

    Attributes:
        settings: Sizes and training settings.
        network: The trained network; None before :meth:`fit`.
        known: Platforms, in the order of the network's platform embeddings.
        error: The 0.9 quantile of |log error| on held-out networks of seen domains, by platform,
            batch size and domain.
        far_error: The same on networks of unseen domains.
        domains: What was seen, by domain.
        seen: For each platform, positions of the domains seen there.
    """

    settings: KernelGnnSettings = field(default_factory=KernelGnnSettings)
    network: KernelGnnNetwork | None = None
    known: tuple[Platform, ...] = ()
    error: Mapping[tuple[Platform, int, str], float] = field(default_factory=dict)
    far_error: float = 1.0
    domains: tuple[Domain, ...] = ()
    seen: tuple[tuple[int, ...], ...] = ()

    name = "kernel_gnn"

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(sorted(self.known))

    def log_latency(self, graphs: Sequence[ModelGraph], platforms: Sequence[Platform], batch_size: int = 1) -> NDArray[np.float64]:
        """Return float64, shape (graphs, platforms): natural logarithm of milliseconds."""
        batch = ColourBatch.of(colour(graphs, self.settings.n_rounds), batch_size)
        return self._log_latency(batch, platforms)

    @torch.no_grad()
    def _log_latency(self, batch: ColourBatch, platforms: Sequence[Platform]) -> NDArray[np.float64]:
        network = self._trained()
        index = torch.tensor([self.known.index(platform) for platform in platforms])
        chunks = [network(batch, part) for part in torch.split(index, PLATFORM_CHUNK)]
        return torch.cat(chunks, 1).double().numpy()

    def _trained(self) -> KernelGnnNetwork:
        if self.network is None:
            raise CheckpointError("expected a trained predictor, got one without weights; call fit() or load()")
        return self.network

    def _predict(self, graphs: Sequence[ModelGraph], platform: Platform, batch_size: int) -> Prediction:
        colouring = colour(graphs, self.settings.n_rounds)
        batch = ColourBatch.of(colouring, batch_size)
        log_ms = self._log_latency(batch, [platform])[:, 0]
        margin = self._margin(graphs, colouring, batch, platform, batch_size)
        is_far = margin >= self.far_error
        return Prediction(np.exp(log_ms), np.exp(log_ms - margin), np.exp(log_ms + margin), is_far, COVERAGE)

    def _near_error(self, platform: Platform, batch_size: int, domain: str) -> float:
        """Return the calibrated error at the nearest batch size."""
        sizes = [size for known, size, name in self.error if (known, name) == (platform, domain)]
        if not sizes:
            return self.far_error
        return self.error[platform, min(sizes, key=lambda size: abs(np.log(size / batch_size))), domain]

    @torch.no_grad()
    def _margin(
        self, graphs: Sequence[ModelGraph], colouring: Colouring, batch: ColourBatch, platform: Platform, batch_size: int
    ) -> NDArray[np.float64]:
        """Return float64, shape (graphs,): how far the interval reaches to each side, in log milliseconds.

        It is the error calibrated on a domain seen on ``platform`` that holds the network, and ``far_error``
        where none does. A domain holds a network if its size lies in the domain's range, and kernels
        outside the domain's ranges make up at most a tenth of its predicted latency.
        """
        network = self._trained()
        at = self.known.index(platform)
        price = network.price(batch, network.embed_colours(batch), torch.tensor([at]))[:, 0].double().numpy()
        spread = price[colouring.colour_of] * colouring.count_of
        total = np.bincount(colouring.graph_of, spread, colouring.n_graphs)
        operator = batch.first.numpy()[colouring.colour_of]
        margin = np.full(len(graphs), self.far_error)
        for domain in (self.domains[i] for i in self.seen[at]):
            strange = ~domain.knows(colouring.operators)[operator]
            share = np.bincount(colouring.graph_of, spread * strange, colouring.n_graphs) / np.maximum(total, 1e-12)
            fits = np.array([domain.knows_size(graph) for graph in graphs])
            near = min(self._near_error(platform, batch_size, domain.name), 0.99 * self.far_error)
            margin = np.where(fits & (share <= UNFAMILIAR_SHARE), np.minimum(margin, near), margin)
        return margin

    def fit(self, tables: Sequence[LatencyTable], seed: int = 0) -> Self:
        from .kernel_gnn_training import train

        return replace(self, **train(self.settings, tables, seed))

    def adapt(self, platform: Platform, graphs: Sequence[ModelGraph], latency_ms: ArrayLike, batch_size: int = 1) -> LatencyPredictor:
        from .adapted import AdaptedPredictor

        return AdaptedPredictor.of(self, platform, graphs, latency_ms, batch_size)

    def save(self, path: Path) -> None:
        arrays, settings = self.to_arrays()
        write_checkpoint(path, self.name, arrays, settings, self.platforms)

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls.from_arrays(*read_checkpoint(path, cls.name))

    def to_arrays(self) -> tuple[Arrays, dict[str, Any]]:
        """Return weights and settings, as a checkpoint holds them."""
        arrays: Arrays = {f"network.{name}": tensor.numpy() for name, tensor in self._trained().state_dict().items()}
        arrays |= domain_arrays(self.domains)
        settings = {
            "settings": vars(self.settings),
            "platforms": [str(platform) for platform in self.known],
            "domains": [domain.name for domain in self.domains],
            "seen": [list(seen) for seen in self.seen],
            "error": [[str(platform), size, name, error] for (platform, size, name), error in sorted(self.error.items())],
            "far_error": self.far_error,
        }
        return arrays, settings

    @classmethod
    def from_arrays(cls, arrays: Arrays, settings: dict[str, Any]) -> Self:
        """Read what :meth:`to_arrays` returned.

        Raises:
            CheckpointError: If something is missing or does not fit together.
        """
        try:
            sizes = KernelGnnSettings(**settings["settings"])
            known = tuple(Platform.parse(name) for name in settings["platforms"])
            network = KernelGnnNetwork(len(known), sizes.width, sizes.n_rounds, sizes.platform_width)
            weights = {
                name.removeprefix("network."): torch.from_numpy(a.copy()) for name, a in arrays.items() if name.startswith("network.")
            }
            network.load_state_dict(weights)
            domains = read_domains(arrays, settings["domains"])
            seen = tuple(tuple(positions) for positions in settings["seen"])
            error = {(Platform.parse(name), int(size), str(domain)): float(value) for name, size, domain, value in settings["error"]}
            return cls(sizes, network.eval(), known, error, float(settings["far_error"]), domains, seen)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"expected a kernel_gnn checkpoint, got one that does not fit: {str(error).splitlines()[0]}") from error
