"""Features of a NAS-Bench-201 cell for predicting its accuracy: what is live of it, and its paths."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

CELL_CHOICES = (5,) * 6
_NONE, _SKIP = 0, 1
_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
_PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))
_WORDS = tuple(word for length in range(4) for word in product((2, 3, 4), repeat=length))
_PLACE = {word: place for place, word in enumerate(_WORDS)}
_PAIRS = tuple((i, j) for i in range(6) for j in range(i))


def prune_cell(code: tuple[int, ...]) -> tuple[int, ...]:
    """Return the cell with ``none`` on every edge that no path from input to output uses."""
    live = {edge for path in _PATHS if all(code[edge] != _NONE for edge in path) for edge in path}
    return tuple(digit if edge in live else _NONE for edge, digit in enumerate(code))


@lru_cache(maxsize=1 << 14)
def _describe(code: tuple[int, ...]) -> NDArray[np.float32]:
    features = np.zeros(30 + 25 * len(_PAIRS) + len(_WORDS), dtype=np.float32)
    pruned = prune_cell(code)
    for edge, digit in enumerate(pruned):
        features[5 * edge + digit] = 1
    for pair, (i, j) in enumerate(_PAIRS):
        features[30 + 25 * pair + 5 * pruned[i] + pruned[j]] = 1
    for path in _PATHS:
        if all(pruned[edge] != _NONE for edge in path):
            word = tuple(pruned[edge] for edge in path if pruned[edge] != _SKIP)
            features[30 + 25 * len(_PAIRS) + _PLACE[word]] += 1
    return features


def describe_cells(codes: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
    """Return the features of n cells.

    One-hot operations of the pruned cell, one-hot pairs of them, and the path encoding (White et
    al., AAAI 2021, arXiv 1910.11858, section 3) with identities left out, as counts.

    Args:
        codes: n codes of NAS-Bench-201, six digits each: none, skip, 1x1, 3x3, average pooling.

    Returns:
        float32, shape (n, 445).
    """
    return np.stack([_describe(code) for code in codes])
