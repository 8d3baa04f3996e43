"""Tables of known devices: a cost for each operator, fitted to sampled latencies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import ModelGraph, Operator

Matrix = NDArray[np.float64]

RIDGE = 1e-5
_LEAST_SHARE = 0.02


@dataclass(frozen=True, eq=False)
class OperatorCounts:
    """How often networks hold each operator; what a folded normalisation adds to a convolution does not make another operator.

    Attributes:
        columns: Place of each operator.
        counts: float64, shape (networks, operators).
    """

    columns: dict[tuple[object, ...], int]
    counts: Matrix

    @classmethod
    def of(cls, graphs: Sequence[ModelGraph]) -> OperatorCounts:
        """Count the operators of graphs."""
        columns: dict[tuple[object, ...], int] = {}
        held = [Counter(map(_identity, graph.operators)) for graph in graphs]
        for count in held:
            for key in count:
                columns.setdefault(key, len(columns))
        counts = np.zeros((len(graphs), len(columns)))
        for row, count in zip(counts, held, strict=True):
            row[[columns[key] for key in count]] = list(count.values())
        return cls(columns, counts)

    def aligned(self, columns: dict[tuple[object, ...], int]) -> Matrix:
        """Return the counts of other columns; operators that are not among them are left out."""
        counts = np.zeros((len(self.counts), len(columns)))
        for key, at in self.columns.items():
            if key in columns:
                counts[:, columns[key]] = self.counts[:, at]
        return counts


@dataclass(frozen=True, eq=False)
class SourceTable:
    """One device: latency is a constant and a sum over operators, by ridge regression of the relative error.

    Attributes:
        columns: Place of each operator.
        cost_ms: float64, shape (1 + operators,): the constant, and the cost of each operator.
        middle_ms: Mean latency of what it was fitted to.
    """

    columns: dict[tuple[object, ...], int]
    cost_ms: Matrix
    middle_ms: float

    @classmethod
    def fit(cls, known: OperatorCounts, latency_ms: Matrix, rows: NDArray[np.int64]) -> SourceTable:
        """Fit to the valid ones of ``rows``."""
        valid = rows[np.isfinite(latency_ms[rows])]
        counts, truth = known.counts[valid], latency_ms[valid]
        scale = np.sqrt((known.counts**2).mean(0)) + 1e-12
        relative = np.hstack([np.ones((len(truth), 1)), counts / scale]) / truth[:, None] * truth.mean()
        moment = relative.T @ relative + RIDGE * len(truth) * np.eye(relative.shape[1])
        solution = np.linalg.solve(moment, relative.sum(0)) * truth.mean()
        return cls(known.columns, solution / np.concatenate([[1.0], scale]), float(truth.mean()))

    def log_latency(self, counts: OperatorCounts) -> Matrix:
        """Return float64, shape (networks,): log milliseconds."""
        predicted = self.cost_ms[0] + counts.aligned(self.columns) @ self.cost_ms[1:]
        return np.log(np.maximum(predicted, _LEAST_SHARE * self.middle_ms))


def _identity(operator: Operator) -> tuple[object, ...]:
    return operator.op_type, operator.attributes, operator.inputs, operator.weights[:1], operator.output
