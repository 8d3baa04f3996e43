"""Model graphs: a network as operators and edges, without weights and names."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from functools import cached_property

from .errors import InvalidModelError
from .operator import INPUT, Operator

_MASK = (1 << 64) - 1
_COMMUTATIVE = frozenset({"Add", "Mul", "Max", "Min", "Sum", "Mean"})


def _mix(value: int) -> int:
    """Spread the bits of ``value`` over 64 (the finaliser of SplitMix64, Steele et al. 2014)."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


@dataclass(frozen=True, eq=False)
class ModelGraph:
    """A network as a directed acyclic graph of operators; the batch size is 1 in every shape.

    Guarantees: acyclic (a node reads only nodes before it); immutable; equal graphs have
    equal keys; :attr:`key` does not change with names, the order of nodes, or weights, and
    changes with any attribute, shape or edge.

    Attributes:
        operators: What each node computes, in a topological order.
        sources: For each node, the positions of the nodes it reads, in argument order.
        outputs: The positions of the nodes whose results leave the network.
    """

    operators: tuple[Operator, ...]
    sources: tuple[tuple[int, ...], ...]
    outputs: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.operators) != len(self.sources):
            raise InvalidModelError(f"expected as many source lists as operators, got {len(self.sources)} for {len(self.operators)}")
        for node, sources in enumerate(self.sources):
            if sources and not (0 <= min(sources) and max(sources) < node):
                raise InvalidModelError(f"expected node {node} to read earlier nodes only, got {sources}: the graph has a cycle")
        if not self.outputs or not all(0 <= node < len(self.operators) for node in self.outputs):
            raise InvalidModelError(f"expected at least one output among {len(self.operators)} nodes, got {self.outputs}")

    def __len__(self) -> int:
        return len(self.operators)

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, ModelGraph) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the network's inputs, batch dimension 1."""
        return tuple(operator.output for operator in self.operators if operator.op_type == INPUT)

    @cached_property
    def key(self) -> str:
        """Structural key: 32 hexadecimal digits, the same on every machine.

        Every node is coloured from what it reads (operator and colours of its sources, in
        argument order, or in any order where the operator is commutative) and from what reads
        it; the key is a digest of the multiset of the pairs of colours.
        """
        forward = self._colour_forward()
        backward = self._colour_backward()
        pairs = array("Q", sorted(_mix(f ^ _mix(b)) for f, b in zip(forward, backward, strict=True)))
        return hashlib.blake2b(pairs.tobytes(), digest_size=16).hexdigest()

    def _colour_forward(self) -> list[int]:
        colours: list[int] = []
        for operator, sources in zip(self.operators, self.sources, strict=True):
            value = operator.digest
            if len(sources) > 1 and operator.op_type in _COMMUTATIVE:
                value += sum(_mix(colours[source]) for source in sources)
            else:
                for source in sources:
                    value = value * 0x9E3779B97F4A7C15 + colours[source]
            colours.append(_mix(value & _MASK))
        return colours

    def _colour_backward(self) -> list[int]:
        gathered = [0] * len(self.operators)
        for node in self.outputs:
            gathered[node] += 0xD1B54A32D192ED03
        colours = [0] * len(self.operators)
        for node in range(len(self.operators) - 1, -1, -1):
            operator = self.operators[node]
            colour = colours[node] = _mix((operator.digest + gathered[node]) & _MASK)
            ordered = operator.op_type not in _COMMUTATIVE
            for position, source in enumerate(self.sources[node]):
                gathered[source] += _mix(colour + position if ordered else colour)
        return colours
