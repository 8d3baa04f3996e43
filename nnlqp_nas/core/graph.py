"""Model graphs: a network as operators and edges, without weights and names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidModelError
from .operator import INPUT, Operator

_MASK = (1 << 64) - 1
_FACTOR = 0x9E3779B97F4A7C15
_COMMUTATIVE = frozenset({"Add", "Mul", "Max", "Min", "Sum", "Mean"})


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread the bits of 64-bit numbers (the finaliser of SplitMix64, Steele et al. 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


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
        reread: Reads the network once more, see :attr:`filed`; None where it comes from no file.
    """

    operators: tuple[Operator, ...]
    sources: tuple[tuple[int, ...], ...]
    outputs: tuple[int, ...]
    reread: Callable[[], ModelGraph | None] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if len(self.operators) != len(self.sources):
            raise InvalidModelError(f"expected as many source lists as operators, got {len(self.sources)} for {len(self.operators)}")
        for node, sources in enumerate(self.sources):
            for source in sources:
                if not 0 <= source < node:
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
    def filed(self) -> ModelGraph | None:
        """The network node for node as its ONNX file has it, constants included.

        None where the network comes from no file, or the file's shapes cannot be told without
        folding constants. The key does not depend on it.
        """
        return self.reread() if self.reread is not None else None

    @cached_property
    def key(self) -> str:
        """Structural key: 32 hexadecimal digits, the same on every machine.

        Every node is coloured from what it reads (operator and colours of its sources, in
        argument order, or in any order where the operator is commutative) and from what reads
        it; the key is a digest of the multiset of the pairs of colours.
        """
        forward = np.array(self._colour_forward(), dtype=np.uint64)
        backward = np.array(self._colour_backward(), dtype=np.uint64)
        pairs = np.sort(_mix(forward * np.uint64(_FACTOR) ^ backward))
        return hashlib.blake2b(pairs.astype("<u8").tobytes(), digest_size=16).hexdigest()

    # The finaliser of SplitMix64 stands in both loops as text: a call a node would double their time.

    def _colour_forward(self) -> list[int]:
        colours: list[int] = []
        for operator, sources in zip(self.operators, self.sources, strict=True):
            value = operator.digest
            if len(sources) > 1 and operator.op_type in _COMMUTATIVE:
                value += sum([colours[source] for source in sources]) * _FACTOR
            else:
                for source in sources:
                    value = value * _FACTOR + colours[source]
            value &= _MASK
            value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
            value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
            colours.append(value ^ (value >> 31))
        return colours

    def _colour_backward(self) -> list[int]:
        gathered = [0] * len(self.operators)
        for node in self.outputs:
            gathered[node] += 0xD1B54A32D192ED03
        colours = gathered[:]
        for node in range(len(self.operators) - 1, -1, -1):
            operator, sources = self.operators[node], self.sources[node]
            value = (operator.digest + gathered[node]) & _MASK
            value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
            value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
            colours[node] = value = value ^ (value >> 31)
            if len(sources) == 1:
                gathered[sources[0]] += value
            elif operator.op_type in _COMMUTATIVE:
                for source in sources:
                    gathered[source] += value
            else:
                for position, source in enumerate(sources):
                    gathered[source] += value * (_FACTOR + 2 * position)
        return colours
