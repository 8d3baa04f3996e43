"""Features of a network that follow from its graph alone, for any search space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..core import ModelGraph, Operator
from ..graphs import operator_cost
from .feature_group import FeatureGroup, Matrix

TOTAL, KINDS, KIND_WORK, VARIANTS = "total", "kinds", "kind_work", "variants"
OPERATORS, OPERATOR_FLOPS, OPERATOR_BYTES = "operators", "operator_flops", "operator_bytes"
GRAPH_GROUPS = (TOTAL, KINDS, KIND_WORK, VARIANTS, OPERATORS, OPERATOR_FLOPS, OPERATOR_BYTES)


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
    counts, operators = _count(graphs)
    cost = [operator_cost(operator, batch_size) for operator in operators]
    work = np.array([[float(c.write_bytes > 0), c.flops, c.moved_bytes] for c in cost]).reshape(-1, 3)
    total = np.maximum(counts @ work, 1.0)
    shares = [counts * work[:, i] / total[:, [i]] for i in range(3)]
    kinds, is_kind = _sort([_kind(operator) for operator in operators])
    variants, is_variant = _sort([_variant(operator) for operator in operators])
    named = tuple(f"{operator.digest:016x}" for operator in operators)
    by_work = tuple(f"{kind} {work}" for work in ("flops", "bytes") for kind in kinds)
    by_variant = tuple(f"{variant} {work}" for work in ("launches", "flops", "bytes") for variant in variants)
    groups = {
        TOTAL: FeatureGroup(("launches", "flops", "bytes"), np.log(total)),
        KINDS: FeatureGroup(kinds, shares[0] @ is_kind),
        KIND_WORK: FeatureGroup(by_work, np.hstack([shares[1] @ is_kind, shares[2] @ is_kind])),
        VARIANTS: FeatureGroup(by_variant, np.hstack([share @ is_variant for share in shares])),
    }
    single = (OPERATORS, OPERATOR_FLOPS, OPERATOR_BYTES)
    return groups | {name: FeatureGroup(named, share) for name, share in zip(single, shares, strict=True)}


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
