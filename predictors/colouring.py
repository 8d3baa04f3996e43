"""Colour refinement: nodes that a message-passing network cannot tell apart, found before it runs.

After k rounds of message passing a node's embedding depends on its neighbourhood of k hops
alone, and nodes with equal neighbourhoods have equal embeddings: they share a colour of the
one-dimensional Weisfeiler-Leman test (Morris et al., AAAI 2019; Xu et al., ICLR 2019). Networks of a
search space repeat a few thousand neighbourhoods millions of times, so the network runs on
colours and the graphs only count them. Nothing is approximated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import ModelGraph, Operator
from nnlqp_nas.core.graph_keys import mix

from .subsampling import subsampling

_Ints = NDArray[np.int64]
_Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Round:
    """One round of message passing between colours.

    Attributes:
        own: int64, shape (colours,), the colour of the round before that each colour refines.
        reads: int64, shape (2, edges), (colour before of what is read, colour that reads it).
        read_by: int64, shape (2, edges), (colour before of the reader, colour that is read).
    """

    own: _Ints
    reads: _Ints
    read_by: _Ints


@dataclass(frozen=True)
class Colouring:
    """The colours of a batch of graphs.

    Attributes:
        operators: One operator a colour of round 0 ...
        strides: int64, shape (operators,): ... and the stride at which its readers read it, see :mod:`.subsampling`.
        rounds: The rounds of message passing, first to last.
        graph_of: int64, shape (pairs,), sorted: a graph ...
        colour_of: int64, shape (pairs,): ... has this colour of the last round ...
        count_of: int64, shape (pairs,): ... so many times.
        n_graphs: Number of graphs.
    """

    operators: tuple[Operator, ...]
    strides: _Ints
    rounds: tuple[Round, ...]
    graph_of: _Ints
    colour_of: _Ints
    count_of: _Ints
    n_graphs: int

    def last_to_first(self) -> _Ints:
        """Return int64, shape (colours of the last round,): the operator of each."""
        index = np.arange(len(self.rounds[-1].own)) if self.rounds else np.arange(len(self.operators))
        for step in reversed(self.rounds):
            index = step.own[index]
        return index


def colour(graphs: Sequence[ModelGraph], n_rounds: int) -> Colouring:
    """Refine the colours of all nodes of ``graphs`` together, ``n_rounds`` times."""
    sizes = np.fromiter(map(len, graphs), np.int64, len(graphs))
    source, target = edges_of(graphs, sizes)
    operators, strides, colours = _distinct_operators(graphs, source, target)
    rounds = []
    n_colours = len(operators)
    for _ in range(n_rounds):
        step, colours, n_colours = _refine(colours, n_colours, source, target)
        rounds.append(step)
    graph_of_node = np.repeat(np.arange(len(graphs)), sizes)
    pairs, count = np.unique(graph_of_node * n_colours + colours, return_counts=True)
    return Colouring(operators, strides, tuple(rounds), pairs // n_colours, pairs % n_colours, count, len(graphs))


def _distinct_operators(graphs: Sequence[ModelGraph], source: _Ints, target: _Ints) -> tuple[tuple[Operator, ...], _Ints, _Ints]:
    """Return what differs among the nodes of all graphs, each once, in the order in which it comes, and each node's place there.

    Returns:
        The operators, int64, shape (operators,), the strides at which they are read, and int64, shape (nodes,), the places.
    """
    nodes = list(chain.from_iterable([graph.operators for graph in graphs]))
    digests = np.concatenate([graph.digests for graph in graphs])
    strides = subsampling(digests, nodes, source, target)
    _, first, place = np.unique(names_of(digests, strides), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return tuple([nodes[node] for node in first[order].tolist()]), strides[first[order]], rank[place]


def names_of(digests: _Hashes, strides: _Ints) -> _Hashes:
    """Return uint64, shape (nodes,): equal where operator and stride of the readers are."""
    return digests ^ mix((strides - 1).astype(np.uint64))


def edges_of(graphs: Sequence[ModelGraph], sizes: _Ints) -> tuple[_Ints, _Ints]:
    """Return which node is read and which reads it, int64, shape (edges,) each, the graphs' nodes numbered behind each other."""
    degree = np.concatenate([graph.reads[0] for graph in graphs])
    target = np.repeat(np.arange(len(degree)), degree)
    offset = np.repeat(np.cumsum(sizes) - sizes, sizes)
    source = np.concatenate([graph.reads[1] for graph in graphs]) + offset[target]
    return source, target


def signatures(names: _Hashes, source: _Ints, target: _Ints) -> _Hashes:
    """Return uint64, shape (nodes,): equal where a node and its neighbours, read and reading, have equal names."""
    own = mix(names)
    signature = mix(own)
    np.add.at(signature, target, mix(own[source] ^ np.uint64(0x5851F42D4C957F2D)))
    np.add.at(signature, source, mix(own[target] ^ np.uint64(0x14057B7EF767814F)))
    return signature


def _refine(colours: _Ints, n_colours: int, source: _Ints, target: _Ints) -> tuple[Round, _Ints, int]:
    signature = signatures(np.arange(1, n_colours + 1, dtype=np.uint64)[colours], source, target)
    _, first, refined = np.unique(signature, return_index=True, return_inverse=True)
    is_first = np.zeros(len(colours), dtype=bool)
    is_first[first] = True
    reads, read_by = is_first[target], is_first[source]
    step = Round(
        own=colours[first],
        reads=np.stack([colours[source[reads]], refined[target[reads]]]),
        read_by=np.stack([colours[target[read_by]], refined[source[read_by]]]),
    )
    return step, refined.astype(np.int64), len(first)
