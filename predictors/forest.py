"""Regression trees as arrays: what a checkpoint can hold and a reader can check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import CheckpointError

from .checkpoint import Arrays, take

_Vector = NDArray[np.float64]
_Positions = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Forest:
    """A sum of binary regression trees and a constant.

    Guarantees: a child stands behind its parent, so that walking down ends.

    Attributes:
        baseline: The constant.
        roots: int32, shape (trees,), where each tree begins.
        feature: int32, shape (nodes,), the feature that a node compares.
        threshold: float64, shape (nodes,); a value up to it goes left, any other, NaN too, right.
        left: int32, shape (nodes,), the child; a leaf is its own.
        right: int32, shape (nodes,).
        value: float64, shape (nodes,), what a leaf adds.
    """

    baseline: float
    roots: _Positions
    feature: _Positions
    threshold: _Vector
    left: _Positions
    right: _Positions
    value: _Vector

    @classmethod
    def constant(cls, value: float) -> Forest:
        """Return the forest without trees."""
        none, nothing = np.zeros(0, dtype=np.int32), np.zeros(0)
        return cls(value, none, none, nothing, none, none, nothing)

    def predict(self, features: _Vector) -> _Vector:
        """Return float64, shape (n,), for features of shape (n, features)."""
        if not len(self.roots):
            return np.full(len(features), self.baseline)
        row = np.arange(len(features))[:, None]
        node = np.broadcast_to(self.roots, (len(features), len(self.roots)))
        while True:
            goes_left = features[row, self.feature[node]] <= self.threshold[node]
            below = np.where(goes_left, self.left[node], self.right[node])
            if np.array_equal(below, node):
                return self.baseline + self.value[node].sum(1)
            node = below

    def grown(self, features: _Vector, target: _Vector, n_trees: int, settings: Mapping[str, Any], seed: int) -> Forest:
        """Return the forest with trees that were boosted on what it leaves of ``target`` (squared error)."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        model = HistGradientBoostingRegressor(max_iter=n_trees, early_stopping=False, random_state=seed, **settings)
        model.fit(features, target - self.predict(features))
        parts = [predictors[0].nodes for predictors in model._predictors]
        baseline = self.baseline + float(np.ravel(model._baseline_prediction)[0])
        return self._with(
            [part for part in parts if len(part) > 1], baseline + sum(float(part["value"][0]) for part in parts if len(part) == 1)
        )

    def _with(self, trees: list[NDArray[Any]], baseline: float) -> Forest:
        forest = self
        columns: dict[str, list[NDArray[Any]]] = {name: [getattr(self, name)] for name in _COLUMNS}
        start = len(self.feature)
        for tree in trees:
            own = np.arange(len(tree))
            is_leaf = tree["is_leaf"].astype(bool)
            columns["roots"].append(np.array([start]))
            columns["feature"].append(np.where(is_leaf, 0, tree["feature_idx"]))
            columns["threshold"].append(np.where(is_leaf, 0.0, tree["num_threshold"]))
            columns["left"].append(start + np.where(is_leaf, own, tree["left"]))
            columns["right"].append(start + np.where(is_leaf, own, tree["right"]))
            columns["value"].append(np.where(is_leaf, tree["value"], 0.0))
            start += len(tree)
        joined = {name: np.concatenate(parts).astype(getattr(forest, name).dtype) for name, parts in columns.items()}
        return Forest(baseline, **joined)

    def to_arrays(self, prefix: str) -> Arrays:
        """Return the forest as a checkpoint holds it."""
        return {f"{prefix}baseline": np.array([self.baseline]), **{f"{prefix}{name}": getattr(self, name) for name in _COLUMNS}}

    @classmethod
    def from_arrays(cls, prefix: str, arrays: Arrays, n_features: int) -> Forest:
        """Read what :meth:`to_arrays` returned.

        Raises:
            CheckpointError: If something is missing, points outside, or would walk in a circle.
        """
        baseline = float(take(arrays, f"{prefix}baseline", (1,))[0])
        columns = {name: take(arrays, f"{prefix}{name}") for name in _COLUMNS}
        n_nodes = len(columns["feature"])
        if any(array.dtype != dtype or array.ndim != 1 for array, dtype in zip(columns.values(), _COLUMNS.values(), strict=True)):
            raise CheckpointError(f"expected vectors of whole numbers and doubles as trees '{prefix}', got others; train it again")
        forest = cls(baseline, **columns)
        own = np.arange(n_nodes)
        is_sound = (
            all(len(columns[name]) == n_nodes for name in _COLUMNS if name != "roots")
            and _is_within(forest.roots, n_nodes)
            and _is_within(forest.feature, n_features)
            and all(_is_within(side, n_nodes) and np.all(side >= own) for side in (forest.left, forest.right))
            and np.all((forest.left == own) == (forest.right == own))
        )
        if not is_sound:
            raise CheckpointError(f"expected trees '{prefix}' whose children stand behind them, got others; train it again")
        return forest


_COLUMNS = {"roots": np.int32, "feature": np.int32, "threshold": np.float64, "left": np.int32, "right": np.int32, "value": np.float64}


def _is_within(positions: _Positions, n: int) -> bool:
    return bool(np.all((positions >= 0) & (positions < n)))
