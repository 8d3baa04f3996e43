"""Search spaces that write each network once, against the layer builder."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from ..core import Architecture, GraphView, ModelGraph, SearchSpace
from .layer_builder import LayerBuilder

if TYPE_CHECKING:
    import torch


class LayeredSpace(SearchSpace):
    """A space whose networks are written by :meth:`write`; graph and module follow from it."""

    @abstractmethod
    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        """Write the network of a member with ``net`` and return its output value."""

    def graph(self, architecture: Architecture, view: GraphView = GraphView.OPTIMISED) -> ModelGraph:
        """Return the network as a graph, in the view that a platform executes."""
        net = LayerBuilder(view)
        return net.finish(self.write(architecture, net))

    def module(self, architecture: Architecture) -> torch.nn.Module:
        """Return the network as a PyTorch module, randomly initialised.

        Raises:
            MissingExtraError: If torch is not installed.
        """
        from .torch_module import to_module

        return to_module(self.graph(architecture, GraphView.AS_WRITTEN))
