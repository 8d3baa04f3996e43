"""Features whose columns have names, so that sets of networks with different operators can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FeatureGroup:
    """Features of n networks; a column that a set of networks lacks is zero there.

    Attributes:
        columns: Names of the d columns, distinct.
        values: float64, shape (n, d).
    """

    columns: tuple[str, ...]
    values: Matrix

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]) -> FeatureGroup:
        """Return some of the networks."""
        return FeatureGroup(self.columns, self.values[rows])

    def without_zeros(self) -> FeatureGroup:
        """Return the columns in which some network is not zero."""
        used = np.flatnonzero(np.any(self.values != 0.0, axis=0))
        return FeatureGroup(tuple(self.columns[i] for i in used), self.values[:, used])

    def aligned(self, columns: tuple[str, ...]) -> tuple[Matrix, Matrix]:
        """Return the values in other columns, and what they leave out.

        Returns:
            float64, shape (n, len(columns)), and float64, shape (n,): the sum of squares in all other columns.
        """
        if columns == self.columns:
            return self.values, np.zeros(len(self))
        place = {name: i for i, name in enumerate(self.columns)}
        kept = [i for i, name in enumerate(columns) if name in place]
        source = [place[columns[i]] for i in kept]
        values = np.zeros((len(self), len(columns)))
        values[:, kept] = self.values[:, source]
        rest = np.ones(len(self.columns), dtype=bool)
        rest[source] = False
        return values, (self.values[:, rest] ** 2).sum(1)


Features = Mapping[str, FeatureGroup]
"""Groups of features by name, all of the same networks."""


def take(features: Features, rows: Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]) -> dict[str, FeatureGroup]:
    """Return the features of some of the networks."""
    return {name: group.take(rows) for name, group in features.items()}
