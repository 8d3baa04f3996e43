"""Model graphs: a network as operators and edges, without weights and names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidModelError
from .graph_keys import COMMUTATIVE, FACTOR, OUTPUT, digest_of, is_worthwhile, keys_side_by_side, pairs_of
from .operator import INPUT, Operator

_MASK = (1 << 64) - 1


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
    def digests(self) -> NDArray[np.uint64]:
        """uint64, shape (nodes,): equal where two nodes compute the same."""
        return np.array([operator.digest for operator in self.operators], dtype=np.uint64)

    @cached_property
    def reads(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """int64, shape (nodes,), how many nodes each node reads, and int64, shape (edges,), which, one node after the other."""
        counts = np.fromiter(map(len, self.sources), np.int64, len(self.sources))
        return counts, np.fromiter(chain.from_iterable(self.sources), np.int64, int(counts.sum()))

    @cached_property
    def key(self) -> str:
        """Structural key: 32 hexadecimal digits, the same on every machine.

        Every node is coloured from what it reads (operator and colours of its sources, in
        argument order, or in any order where the operator is commutative) and from what reads
        it; the key is a digest of the multiset of the pairs of colours.
        """
        forward = np.array(self._colour_forward(), dtype=np.uint64)
        backward = np.array(self._colour_backward(), dtype=np.uint64)
        return digest_of(pairs_of(forward, backward))

    @staticmethod
    def keys_of(graphs: Sequence[ModelGraph]) -> list[str]:
        """Return the key of each network; many that have none yet get theirs together, a tenth of the time."""
        missing = [graph for graph in graphs if "key" not in graph.__dict__]
        if is_worthwhile(missing):
            for graph, key in zip(missing, keys_side_by_side(missing), strict=True):
                graph.__dict__["key"] = key  # where the cached property keeps it
        return [graph.key for graph in graphs]

    # The finaliser of SplitMix64 stands in both loops as text: a call a node would double their time.

    def _colour_forward(self) -> list[int]:
        colours: list[int] = []
        for operator, sources in zip(self.operators, self.sources, strict=True):
            value = operator.digest
            if len(sources) == 1:
                value = value * FACTOR + colours[sources[0]]
            elif operator.op_type in COMMUTATIVE:
                value += sum([colours[source] for source in sources]) * FACTOR
            else:
                for source in sources:
                    value = value * FACTOR + colours[source]
            value &= _MASK
            value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
            value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
            colours.append(value ^ (value >> 31))
        return colours

    def _colour_backward(self) -> list[int]:
        gathered = [0] * len(self.operators)
        for node in self.outputs:
            gathered[node] += OUTPUT
        colours = gathered[:]
        for node in range(len(self.operators) - 1, -1, -1):
            operator, sources = self.operators[node], self.sources[node]
            value = (operator.digest + gathered[node]) & _MASK
            value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
            value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
            colours[node] = value = value ^ (value >> 31)
            if len(sources) == 1:
                gathered[sources[0]] += value
            elif operator.op_type in COMMUTATIVE:
                for source in sources:
                    gathered[source] += value
            else:
                for position, source in enumerate(sources):
                    gathered[source] += value * (FACTOR + 2 * position)
        return colours
