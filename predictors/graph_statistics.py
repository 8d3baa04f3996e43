"""Numbers that describe a whole network: what it costs in all and by kind of operator, and its form."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import log2, prod

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import ModelGraph, Operator
from nnlqp_nas.graphs import operator_cost

from .operator_features import KINDS, kind_of

WHOLE = (
    "log2_flops",
    "log2_read_bytes",
    "log2_write_bytes",
    "log2_weight_bytes",
    "log2_params",
    "log2_intensity",
    "log2_largest_result",
    "log2_input",
    "n_operators",
    "depth",
    "width",
    "n_joins",
    "log2_batch",
)
"""What is said of the network as a whole; ``width`` is operators a level of depth, ``n_joins`` operators that read several."""

BY_KIND = ("count", "log2_flops", "log2_bytes")
"""What is said of the operators of each kind together."""

STATISTICS = (*WHOLE, *(f"{kind}_{measure}" for kind in KINDS for measure in BY_KIND))
"""The name of every number, in order."""

N_STATISTICS = len(STATISTICS)


def graph_statistics(graphs: Sequence[ModelGraph], batch_size: int) -> NDArray[np.float64]:
    """Return float64, shape (graphs, N_STATISTICS): :data:`WHOLE`, then :data:`BY_KIND` kind by kind."""
    return np.array([_statistics(graph, batch_size) for graph in graphs]).reshape(-1, N_STATISTICS)


def _statistics(graph: ModelGraph, batch_size: int) -> NDArray[np.float64]:
    kinds, work = _work_of(graph, batch_size)
    flops, read, write, weight, params = (float(total) for total in work[:, :5].sum(0))
    by_kind = np.zeros((len(KINDS), len(BY_KIND)))
    np.add.at(by_kind, kinds, np.column_stack([np.ones(len(kinds)), work[:, 0], work[:, 1:4].sum(1)]))
    by_kind[:, 1:] = np.log2(1.0 + by_kind[:, 1:])
    depth = _depth(graph)
    sizes = (flops, read, write, weight, params, flops / max(read + write + weight, 1.0), float(work[:, 5].max()))
    form = [len(graph), depth, len(graph) / depth, sum(len(sources) > 1 for sources in graph.sources), log2(batch_size)]
    whole = [log2(1.0 + size) for size in (*sizes, float(sum(map(prod, graph.input_shapes))))]
    return np.concatenate([whole, form, by_kind.ravel()])


def _work_of(graph: ModelGraph, batch_size: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    described = [_describe(operator, batch_size) for operator in graph.operators]
    return np.array([kind for kind, _ in described]), np.array([work for _, work in described], dtype=np.float64)


@lru_cache(maxsize=1 << 16)
def _describe(operator: Operator, batch_size: int) -> tuple[int, tuple[int, ...]]:
    """Return the kind, and FLOPs, bytes read, written and of weights, parameters, and numbers in the result."""
    cost = operator_cost(operator, batch_size)
    work = (cost.flops, cost.read_bytes, cost.write_bytes, cost.weight_bytes, cost.params, batch_size * prod(operator.output))
    return KINDS.index(kind_of(operator)), work


def _depth(graph: ModelGraph) -> int:
    """Return the number of operators on the longest path."""
    depths: list[int] = []
    for sources in graph.sources:
        depths.append(1 + max((depths[source] for source in sources), default=0))
    return max(depths)
