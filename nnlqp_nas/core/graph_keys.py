"""Structural keys of many networks at once: node by node as :attr:`ModelGraph.key` has it, all networks side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .graph import ModelGraph

FACTOR = 0x9E3779B97F4A7C15
OUTPUT = 0xD1B54A32D192ED03
"""What being read from outside adds to a node."""

COMMUTATIVE = frozenset({"Add", "Mul", "Max", "Min", "Sum", "Mean"})

WORTHWHILE = 24
"""Networks side by side, on the mean over their lengths, above which arrays are faster than loops."""

_Hashes = NDArray[np.uint64]
_Ints = NDArray[np.int64]


def mix(value: _Hashes) -> _Hashes:
    """Spread the bits of 64-bit numbers (the finaliser of SplitMix64, Steele et al. 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def digest_of(pairs: _Hashes) -> str:
    """Return the key of a network whose nodes have these pairs of colours, in any order."""
    return hashlib.blake2b(np.sort(pairs).astype("<u8").tobytes(), digest_size=16).hexdigest()


def pairs_of(forward: _Hashes, backward: _Hashes) -> _Hashes:
    """Return one number for each pair of colours."""
    return mix(forward * np.uint64(FACTOR) ^ backward)


def is_worthwhile(graphs: Sequence[ModelGraph]) -> bool:
    """Whether so many networks are faster together than one after the other."""
    return sum(map(len, graphs)) > WORTHWHILE * max(map(len, graphs), default=0)


def keys_side_by_side(graphs: Sequence[ModelGraph]) -> list[str]:
    """Return the key of each network.

    The nodes at one position of all networks are coloured together: they read earlier positions only.
    """
    nodes = _Nodes.of(graphs)
    pairs = pairs_of(nodes.forward(), nodes.backward())
    return [digest_of(pairs[start:end]) for start, end in zip(nodes.starts[:-1], nodes.starts[1:], strict=True)]


@dataclass(frozen=True)
class _Nodes:
    """The nodes of several networks behind each other, and their edges, sorted by the reader's position and the argument.

    Attributes:
        digests: uint64, shape (nodes,).
        starts: int64, shape (networks + 1,), where each network begins.
        outputs: int64, shape (outputs,), nodes whose results leave a network.
        rows: For each position, the nodes that stand there.
        edges: For each position, a slice of the edges for each argument.
        reader, source: int64, shape (edges,).
        is_summed: bool, shape (edges,): whether the order of the reader's arguments does not matter.
        weight: uint64, shape (edges,), what the reader's colour counts on its way back.
    """

    digests: _Hashes
    starts: _Ints
    outputs: _Ints
    rows: list[_Ints]
    edges: list[list[slice]]
    reader: _Ints
    source: _Ints
    is_summed: NDArray[np.bool_]
    weight: _Hashes

    @classmethod
    def of(cls, graphs: Sequence[ModelGraph]) -> _Nodes:
        """Return the nodes of these networks."""
        operators = list(chain.from_iterable([graph.operators for graph in graphs]))
        sizes = np.fromiter(map(len, graphs), np.int64, len(graphs))
        starts = np.concatenate([[0], np.cumsum(sizes)])
        position = np.arange(len(operators)) - np.repeat(starts[:-1], sizes)
        degree = np.concatenate([graph.reads[0] for graph in graphs])
        reader = np.repeat(np.arange(len(operators)), degree)
        argument = np.arange(len(reader)) - np.repeat(np.cumsum(degree) - degree, degree)
        source = np.concatenate([graph.reads[1] for graph in graphs]) + (reader - position[reader])
        is_summed = np.zeros(len(operators), dtype=bool)
        several = np.flatnonzero(degree > 1)
        is_summed[several] = [operators[node].op_type in COMMUTATIVE for node in several.tolist()]
        is_plain = is_summed[reader] | (degree[reader] == 1)
        weight = np.where(is_plain, np.uint64(1), np.uint64(FACTOR) + np.uint64(2) * argument.astype(np.uint64))
        n_positions, n_arguments = int(sizes.max(initial=0)), int(degree.max(initial=0))
        place = position[reader] * n_arguments + argument
        order = np.argsort(place, kind="stable")
        ends = np.searchsorted(place[order], np.arange(n_positions * n_arguments), side="right").tolist()
        return cls(
            np.concatenate([graph.digests for graph in graphs]),
            starts,
            np.array(
                [start + node for graph, start in zip(graphs, starts.tolist(), strict=False) for node in graph.outputs], dtype=np.int64
            ),
            _by_position(position, n_positions),
            [list(_slices(ends, at * n_arguments, n_arguments)) for at in range(n_positions)],
            reader[order],
            source[order],
            is_summed[reader[order]],
            weight[order],
        )

    def forward(self) -> _Hashes:
        """Return each node's colour by what it computes and reads."""
        before = np.where(self.is_summed, np.uint64(1), np.uint64(FACTOR))
        share = np.where(self.is_summed, np.uint64(FACTOR), np.uint64(1))
        colours = self.digests.copy()
        for rows, edges in zip(self.rows, self.edges, strict=True):
            for at in edges:
                reader = self.reader[at]
                colours[reader] = colours[reader] * before[at] + colours[self.source[at]] * share[at]
            colours[rows] = mix(colours[rows])
        return colours

    def backward(self) -> _Hashes:
        """Return each node's colour by what it computes and by what reads it."""
        colours = self.digests.copy()
        np.add.at(colours, self.outputs, np.uint64(OUTPUT))
        for rows, edges in zip(reversed(self.rows), reversed(self.edges), strict=True):
            colours[rows] = mix(colours[rows])
            for at in edges:
                # One argument of one position: no two of these readers read the same node.
                colours[self.source[at]] += colours[self.reader[at]] * self.weight[at]
        return colours


def _by_position(position: _Ints, n_positions: int) -> list[_Ints]:
    order = np.argsort(position, kind="stable")
    ends = np.searchsorted(position[order], np.arange(n_positions), side="right")
    return np.split(order, ends[:-1]) if n_positions else []


def _slices(ends: Sequence[int], first: int, n: int) -> Iterator[slice]:
    """Yield the slices that are not empty among those that end at ``ends[first]``, ..., ``ends[first + n - 1]``."""
    for at in range(first, first + n):
        start = ends[at - 1] if at else 0
        if ends[at] > start:
            yield slice(start, ends[at])
