"""Features of a network that follow from its graph alone, for any search space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..core import ModelGraph, Operator
from ..graphs import operator_cost
from .feature_group import FeatureGroup, Matrix

TOTAL, KINDS, KIND_WORK, VARIANTS = "total", "kinds", "kind_work", "variants"
OPERATORS, OPERATOR_FLOPS, OPERATOR_BYTES = "operators", "operator_flops", "operator_bytes"
GRAPH_GROUPS = (TOTAL, KINDS, KIND_WORK, VARIANTS, OPERATORS, OPERATOR_FLOPS, OPERATOR_BYTES)
WORK = ("launches", "flops", "bytes")


@dataclass(frozen=True, eq=False)
class GraphWork:
    """What n networks have to do, operator by operator; operators that cost nothing are left out.

    Attributes:
        counts: float64, shape (n, operators): how often each network holds each operator.
        work: float64, shape (operators, 3): launches, FLOPs and bytes of each.
        operators: The distinct operators.
    """

    counts: Matrix
    work: Matrix
    operators: tuple[Operator, ...]

    @classmethod
    def of(cls, graphs: Sequence[ModelGraph], batch_size: int = 1) -> Self:
        """Count the operators of n networks, run on so many inputs at once."""
        counts, operators = _count(graphs)
        cost = [operator_cost(operator, batch_size) for operator in operators]
        work = np.array([[float(c.write_bytes > 0), c.flops, c.moved_bytes] for c in cost]).reshape(-1, 3)
        return cls(counts, work, tuple(operators))

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, rows: Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        """Return some of the networks."""
        return replace(self, counts=self.counts[rows])

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """A name of each operator that tells its type, attributes and shapes."""
        return tuple(f"{operator.digest:016x}" for operator in self.operators)

    @cached_property
    def total(self) -> Matrix:
        """Launches, FLOPs and bytes of each network, at least 1, float64, shape (n, 3)."""
        return np.maximum(self.counts @ self.work, 1.0)

    @cached_property
    def variants(self) -> tuple[tuple[str, ...], Matrix]:
        """The distinct variants, and which of them each operator is, float64, shape (operators, variants)."""
        return _sort([_variant(operator) for operator in self.operators])

    @cached_property
    def kinds(self) -> tuple[tuple[str, ...], Matrix]:
        """The distinct kinds, and which of them each operator is, float64, shape (operators, kinds)."""
        return _sort([_kind(operator) for operator in self.operators])

    def features(self) -> dict[str, FeatureGroup]:
        """Return what :func:`describe_graphs` does."""
        shares = [self.counts * self.work[:, i] / self.total[:, [i]] for i in range(3)]
        (kinds, is_kind), (variants, is_variant) = self.kinds, self.variants
        by_work = tuple(f"{kind} {work}" for work in WORK[1:] for kind in kinds)
        by_variant = tuple(f"{variant} {work}" for work in WORK for variant in variants)
        groups = {
            TOTAL: FeatureGroup(WORK, np.log(self.total)),
            KINDS: FeatureGroup(kinds, shares[0] @ is_kind),
            KIND_WORK: FeatureGroup(by_work, np.hstack([shares[1] @ is_kind, shares[2] @ is_kind])),
            VARIANTS: FeatureGroup(by_variant, np.hstack([share @ is_variant for share in shares])),
        }
        single = (OPERATORS, OPERATOR_FLOPS, OPERATOR_BYTES)
        return groups | {name: FeatureGroup(self.columns, share) for name, share in zip(single, shares, strict=True)}


def describe_graphs(graphs: Sequence[ModelGraph], batch_size: int = 1) -> dict[str, FeatureGroup]:
    """Describe n networks by their work and by how it is shared among operators.

    ``total`` holds the logarithms of launches, FLOPs and bytes. The others are shares of them, which is what the logarithm
    of a latency changes by where one operator's cost does: ``kinds``, of the launches, by kind of
    operator; ``kind_work``, of FLOPs and of bytes; ``variants``, of launches, FLOPs and bytes, by kind, window and stride, which is
    what engines have kernels for; ``operators``, ``operator_flops`` and ``operator_bytes``, by
    distinct operator (type, attributes and shapes), which tells stages of a network apart.

    Args:
        graphs: n networks.
        batch_size: Inputs per run.

    Returns:
        The groups :data:`GRAPH_GROUPS`, n rows each.
    """
    return GraphWork.of(graphs, batch_size).features()


def _sort(labels: Sequence[str]) -> tuple[tuple[str, ...], Matrix]:
    """Return the distinct labels, and which of them each is, float64, shape (labels, distinct)."""
    distinct = tuple(sorted(set(labels)))
    place = {label: i for i, label in enumerate(distinct)}
    return distinct, np.eye(len(distinct))[[place[label] for label in labels]]


def _count(graphs: Sequence[ModelGraph]) -> tuple[Matrix, list[Operator]]:
    """Return how often each graph holds each operator, float64, shape (n, operators), and the operators that cost anything."""
    place: dict[Operator, int] = {}
    rows, columns, times = [], [], []
    for row, graph in enumerate(graphs):
        for operator, n in Counter(graph.operators).items():
            rows.append(row)
            columns.append(place.setdefault(operator, len(place)))
            times.append(n)
    counts = np.zeros((len(graphs), len(place)))
    counts[rows, columns] = times
    operators = list(place)
    costly = [i for i, operator in enumerate(operators) if operator_cost(operator).moved_bytes > 0]
    return counts[:, costly], [operators[i] for i in costly]


def _kind(operator: Operator) -> str:
    """Return the operator's type, and how its channels are connected where it is a convolution."""
    if operator.op_type != "Conv" or not operator.weights:
        return operator.op_type
    groups = operator.attribute("group", 1)
    if groups != 1:
        return "Conv depthwise" if groups == operator.inputs[0][1] else "Conv grouped"
    return "Conv pointwise" if all(size == 1 for size in operator.weights[0][2:]) else "Conv"


def _variant(operator: Operator) -> str:
    """Return the operator's kind with its window and stride where it has them."""
    window = operator.weights[0][2:] if operator.op_type == "Conv" and operator.weights else operator.attribute("kernel_shape", ())
    strides = operator.attribute("strides", ())
    if not isinstance(window, tuple) or not window:
        return _kind(operator)
    return f"{_kind(operator)} {'x'.join(map(str, window))} by {'x'.join(map(str, strides if isinstance(strides, tuple) else ()))}"
