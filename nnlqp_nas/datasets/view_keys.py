"""The keys of a network, which differ with what of it a platform executes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from ..core import GraphView, ModelGraph
from ..graphs import viewed


class ViewKeys(dict[GraphView, str]):
    """The key of a network in each view, made when it is first asked for.

    Args:
        load: Returns the network as written; is called when a key is needed that is not known, and once.
        known: Keys that are known already.
    """

    def __init__(self, load: Callable[[], ModelGraph], known: Mapping[GraphView, str] | None = None) -> None:
        super().__init__(known or {})
        self._load = load

    def __missing__(self, view: GraphView) -> str:
        self[view] = viewed(self.written, view).key
        return self[view]

    @cached_property
    def written(self) -> ModelGraph:
        """The network as written."""
        return self._load()
