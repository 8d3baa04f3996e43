"""Cutting a network at the operators that its engine refuses."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core import UnsupportedError

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a network that runs at one go.

    Attributes:
        is_refused: Whether ONNX Runtime runs it, and not the engine.
        operators: ONNX types of its operators, each once.
        inputs: Names of the values that it reads, in the order in which it takes them.
        outputs: Names of the values that it leaves to other parts, or to the caller.
    """

    is_refused: bool
    operators: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def named_operators(complaint: str, model: onnx.ModelProto) -> set[str]:
    """Return the operator types of a model that a text names, as a word or in the name of a node such as ``Erf_12``."""
    return {node.op_type for node in model.graph.node} & set(re.findall(r"[A-Za-z0-9]+", complaint))


def partition(model: onnx.ModelProto, refused: Collection[str]) -> list[Part]:
    """Return the parts of a network in the order in which they run, as few as possible.

    No part waits for one that waits for it. Only floats pass from the engine to ONNX Runtime or back: an operator
    that would exchange integers with a refused one runs beside it.

    Args:
        model: Its nodes in topological order, the types of all values known.
        refused: Operator types that the engine does not run.

    Raises:
        UnsupportedError: If nothing is left for the engine.
    """
    graph = _Graph(model)
    is_refused = graph.sides(refused)
    if all(is_refused[node] for node in graph.nodes):
        raise UnsupportedError(f"expected something beside {', '.join(sorted(refused))} to run, got nothing; run it on another engine")
    levels = min((graph.levels(is_refused, begin) for begin in (False, True)), key=lambda one: len(set(one.values())))
    members: dict[int, list[int]] = {}
    for node, level in levels.items():
        members.setdefault(level, []).append(node)
    return [graph.part(is_refused[nodes[0]], nodes) for _, nodes in sorted(members.items())]


class _Graph:
    """Who makes and who reads what; nodes that read no input, not even through others, belong to all that read them."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = graph = model.graph
        weights = {one.name for one in graph.initializer}
        varying = {one.name for one in graph.input} - weights
        self.nodes: list[int] = []
        for node, proto in enumerate(graph.node):
            if varying.intersection(proto.input):
                varying.update(proto.output)
                self.nodes.append(node)
        self._reads = {node: [name for name in dict.fromkeys(graph.node[node].input) if name in varying] for node in self.nodes}
        self._maker = {name: node for node in self.nodes for name in graph.node[node].output if name}
        self._leaving = {one.name for one in graph.output}
        known = [*graph.value_info, *graph.output, *graph.input]
        self._is_float = {one.name: one.type.tensor_type.elem_type == 1 for one in known}

    def sides(self, refused: Collection[str]) -> dict[int, bool]:
        """Return for each node whether ONNX Runtime runs it."""
        sides = {node: self._graph.node[node].op_type in refused for node in self.nodes}
        has_changed = True
        while has_changed:
            has_changed = False
            for maker, name, reader in self._edges():
                if sides[maker] != sides[reader] and not self._is_float.get(name, False):
                    sides[maker] = sides[reader] = has_changed = True
        return sides

    def levels(self, sides: dict[int, bool], begin: bool) -> dict[int, int]:
        """Return a level for each node: a step up wherever the side changes; level 0 is on side ``begin``.

        Values go up or stay, so that the nodes of one level are a part that waits for lower levels only.
        """
        levels: dict[int, int] = {}
        for node in self.nodes:
            makers = [self._maker[name] for name in self._reads[node] if name in self._maker]
            steps = (levels[maker] + (sides[maker] != sides[node]) for maker in makers)
            levels[node] = max(steps, default=0 if sides[node] == begin else 1)
            levels[node] = max(levels[node], int(sides[node] != begin))
        return levels

    def part(self, is_refused: bool, nodes: list[int]) -> Part:
        """Return the part that some nodes are."""
        made = {name for node in nodes for name in self._graph.node[node].output if name}
        within = set(nodes)
        read_elsewhere = {name for node in self.nodes if node not in within for name in self._reads[node]}
        return Part(
            is_refused=is_refused,
            operators=tuple(sorted({self._graph.node[node].op_type for node in nodes})),
            inputs=tuple(dict.fromkeys(name for node in nodes for name in self._reads[node] if name not in made)),
            outputs=tuple(
                name for node in nodes for name in self._graph.node[node].output if name and name in read_elsewhere | self._leaving
            ),
        )

    def _edges(self) -> Iterator[tuple[int, str, int]]:
        for reader in self.nodes:
            for name in self._reads[reader]:
                if name in self._maker:
                    yield self._maker[name], name, reader
