"""What every node of some networks sees around it, as one number, and the colouring of some nodes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import ModelGraph, Operator

from .colouring import Colouring, Round, edges_of, names_of, signatures
from .subsampling import subsampling

_Ints = NDArray[np.int64]
_NONE: _Ints = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Neighbourhoods:
    """The nodes of some graphs behind each other, and which reads which.

    Attributes:
        operators: Of the nodes.
        strides: int64, shape (nodes,), at which the readers of each read it, see :mod:`.subsampling`.
        starts: int64, shape (graphs,), the first node of each graph.
        sizes: int64, shape (graphs,), its number of nodes.
        source: int64, shape (edges,), a node ...
        target: int64, shape (edges,), ... that this one reads.
        names: uint64, shape (nodes,): equal where a message-passing network of ``n_rounds`` rounds cannot tell two nodes
            apart, in whichever networks they stand.
        n_rounds: Rounds that the names see.
    """

    operators: Sequence[Operator]
    strides: _Ints
    starts: _Ints
    sizes: _Ints
    source: _Ints
    target: _Ints
    names: NDArray[np.uint64]
    n_rounds: int

    @classmethod
    def of(cls, graphs: Sequence[ModelGraph], n_rounds: int) -> Neighbourhoods:
        """Name the nodes of at least one graph."""
        sizes = np.fromiter(map(len, graphs), np.int64, len(graphs))
        source, target = edges_of(graphs, sizes)
        operators = graphs[0].operators if len(graphs) == 1 else list(chain.from_iterable([graph.operators for graph in graphs]))
        digests = np.concatenate([graph.digests for graph in graphs])
        strides = subsampling(digests, operators, source, target)
        names = names_of(digests, strides)
        for _ in range(n_rounds):
            names = signatures(names, source, target)
        return cls(operators, strides, np.cumsum(sizes) - sizes, sizes, source, target, names, n_rounds)

    def colouring(self, nodes: _Ints) -> Colouring:
        """Return a colouring whose last round has one colour a node of ``nodes``, in their order, and counts no graph.

        Rounds before hold what the later ones need and no more; nodes that look alike are not merged.
        """
        rounds: list[Round] = []
        for _ in range(self.n_rounds):
            is_needed = np.zeros(len(self.names), dtype=bool)
            is_needed[nodes] = True
            reads, read_by = is_needed[self.target], is_needed[self.source]
            is_needed[self.source[reads]] = True
            is_needed[self.target[read_by]] = True
            before = np.flatnonzero(is_needed)
            old, new = np.empty(len(self.names), np.int64), np.empty(len(self.names), np.int64)
            old[before], new[nodes] = np.arange(len(before)), np.arange(len(nodes))
            rounds.append(
                Round(
                    own=old[nodes],
                    reads=np.stack([old[self.source[reads]], new[self.target[reads]]]),
                    read_by=np.stack([old[self.target[read_by]], new[self.source[read_by]]]),
                )
            )
            nodes = before
        operators = tuple([self.operators[node] for node in nodes.tolist()])
        return Colouring(operators, self.strides[nodes], tuple(reversed(rounds)), _NONE, _NONE, _NONE, 0)
