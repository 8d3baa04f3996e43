"""The keys of a network, which differ with what of it a platform executes."""

from __future__ import annotations

from ..core import GraphView, ModelGraph
from ..graphs import viewed


class ViewKeys(dict[GraphView, str]):
    """The key of a network in each view, made when it is first asked for.

    Args:
        written: The network as written.
    """

    def __init__(self, written: ModelGraph) -> None:
        super().__init__()
        self._written = written

    def __missing__(self, view: GraphView) -> str:
        self[view] = viewed(self._written, view).key
        return self[view]
