"""What a node is among its neighbours, as numbers: means of features along and against the edges.

Messages are averaged before anything is learned, as in SIGN (Frasca et al., Scalable Inception
Graph Neural Networks, 2020): a network over these numbers sees what message passing of two
rounds carries, and training never touches an edge. Which kinds of operator read a node, and what else
they read, is what decides whether an engine fuses them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .colouring import Colouring
from .operator_features import GROUPS, KINDS, N_FEATURES, N_KINDS

N_ROUNDS = 2
"""Rounds of colouring that the numbers need."""

N_DEGREES = 2
_N_FAR = N_KINDS + 1
N_OWN = N_FEATURES + 1
"""An operator's own features, and the logarithm of the stride at which its readers read it."""

N_SURROUNDINGS = 3 * N_OWN + N_DEGREES + 4 * _N_FAR
"""Own features; means over what is read and over the readers; how many of both; kinds and number two edges away, in all four directions."""

_CONVOLUTION = len(KINDS) + list(GROUPS).index("convolution")
_Numbers = NDArray[np.float32]


def surroundings(colouring: Colouring, features: _Numbers) -> _Numbers:
    """Return float32, shape (colours of the last round, N_SURROUNDINGS), of a colouring of ``N_ROUNDS`` rounds.

    Args:
        colouring: Of some networks.
        features: float32, shape (operators of the colouring, N_FEATURES).
    """
    own = np.column_stack([features, np.log2(colouring.strides, dtype=np.float32)])
    first, second = colouring.rounds
    n = len(first.own)
    (read, n_read), (reader, n_readers) = _mean(own, first.reads, n), _mean(own, first.read_by, n)
    degrees = np.log2(1.0 + np.stack([n_read, n_readers], 1), dtype=np.float32)
    near = np.hstack([own[first.own], read, reader, degrees])
    kinds = np.hstack([read[:, :N_KINDS], degrees[:, :1], reader[:, :N_KINDS], degrees[:, 1:]])
    n = len(second.own)
    return np.hstack([near[second.own], _mean(kinds, second.reads, n)[0], _mean(kinds, second.read_by, n)[0]])


def follows_alone(numbers: _Numbers) -> NDArray[np.bool_]:
    """Return bool, shape (colours,): whether a node reads convolutions alone, and is the only one that reads them.

    Engines compute such an activation or sum with the convolution before it, and it costs next to nothing.
    """
    reads_convolutions = numbers[:, N_OWN + _CONVOLUTION] > 0.0
    n_readers_of_read = numbers[:, 3 * N_OWN + N_DEGREES + 2 * _N_FAR - 1]
    return np.asarray(reads_convolutions & (n_readers_of_read <= 1.0 + 1e-6))


def _mean(values: _Numbers, edges: NDArray[np.int64], n: int) -> tuple[_Numbers, _Numbers]:
    """Return the means of ``values`` of sources by target, float32, shape (n, columns), and how many there are, shape (n,)."""
    source, target = edges
    degree = np.bincount(target, minlength=n)
    means = np.zeros((n, values.shape[1]), dtype=np.float32)
    # Most nodes read one node and are read by one: a copy, and not a sum, is their mean.
    is_alone = degree[target] == 1
    means[target[is_alone]] = values[source[is_alone]]
    source, target = source[~is_alone], target[~is_alone]
    reader = np.flatnonzero(degree > 1)
    if len(reader):
        order = np.argsort(target, kind="stable")
        starts = np.cumsum(degree[reader]) - degree[reader]
        means[reader] = np.add.reduceat(values[source[order]], starts, axis=0) / degree[reader, None].astype(np.float32)
    return means, degree.astype(np.float32)
