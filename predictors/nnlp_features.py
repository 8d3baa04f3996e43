"""What NNLP sees of a network: 44 numbers a node, who reads whom, 4 numbers of the whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import PART, ModelGraph, Operator, Shape
from nnlqp_nas.graphs.batch_axis import at_batch_size, batch_axes

from .nnlp_node import node_features, node_work

N_STATIC = 4

_OWNS_WEIGHTS = frozenset({"Conv", "ConvTranspose", "BatchNormalization", "Gemm", "InstanceNormalization", "Reshape"})
_OWNS_CONSTANTS = frozenset({"Clip", "Slice", "ReduceMean", "Pad", "Resize", "Dropout", "Split", "TopK", "Gather"})


@dataclass(frozen=True, eq=False)
class NnlpFeatures:
    """One network at one batch size.

    Attributes:
        nodes: float32, shape (nodes, N_FEATURES).
        edges: int64, shape (2, edges): every connection in both directions, sorted.
        static: float32, shape (N_STATIC,): batch size, 1e9 FLOPs, 1e9 parameters, 1e9 numbers accessed.
    """

    nodes: NDArray[np.float32]
    edges: NDArray[np.int64]
    static: NDArray[np.float32]


def nnlp_features(graph: ModelGraph, batch_size: int) -> NnlpFeatures:
    """Return the features of a network, those of its file node for node where it was read from one."""
    network = _spelt_out(graph.filed or graph)
    shapes = [
        at_batch_size(operator.output, axis, batch_size) for operator, axis in zip(network.operators, batch_axes(network), strict=True)
    ]
    order = _level_order(network.sources) or list(range(len(network)))
    place = {node: at for at, node in enumerate(order)}
    work = [node_work(operator, shape) for operator, shape in zip(network.operators, shapes, strict=True)]
    flops, params, access = (sum(column) / 1e9 for column in zip(*work, strict=True))
    return NnlpFeatures(
        np.stack([node_features(network.operators[node], shapes[node]) for node in order]),
        _edges(network.sources, place),
        np.array([batch_size, flops, params, access], dtype=np.float32),
    )


def _spelt_out(graph: ModelGraph) -> ModelGraph:
    """Return the network with a node for every constant that no layer owns, and one for every part of a split."""
    owners = {read[0] for operator, read in zip(graph.operators, graph.sources, strict=True) if operator.op_type == PART}
    if not owners and not any(map(_constants, set(graph.operators))):
        return graph
    operators: list[Operator] = []
    sources: list[tuple[int, ...]] = []
    place: list[int] = []
    for node, (operator, read) in enumerate(zip(graph.operators, graph.sources, strict=True)):
        place.append(-1)
        if node in owners:
            continue
        if operator.op_type == PART:
            owner = graph.operators[read[0]]
            operator = Operator(owner.op_type, owner.attributes, owner.inputs, owner.weights, operator.output)
            read = graph.sources[read[0]]
        constants = range(len(operators), len(operators) + len(shapes := _constants(operator)))
        operators += [Operator("Constant", output=shape) for shape in shapes]
        sources += [()] * len(shapes)
        place[node] = len(operators)
        operators.append(operator)
        sources.append((*(place[source] for source in read), *constants))
    return ModelGraph(tuple(operators), tuple(sources), (len(operators) - 1,))


@lru_cache(maxsize=1 << 16)
def _constants(operator: Operator) -> tuple[Shape, ...]:
    """Return the shapes of the constants that are nodes of their own, as they are in a file."""
    shapes = () if operator.op_type in _OWNS_WEIGHTS else operator.weights
    if operator.op_type in _OWNS_CONSTANTS:
        return shapes
    values = (value for name, value in operator.attributes if name.startswith("input_"))
    return (*shapes, *((len(value),) if isinstance(value, tuple) else () for value in values))


def _level_order(sources: Sequence[tuple[int, ...]]) -> list[int]:
    """Return the nodes with an edge in breadth-first topological order, as NNLQP numbers them."""
    readers: list[list[int]] = [[] for _ in sources]
    missing = [len(set(read)) for read in sources]
    for node, read in enumerate(sources):
        for source in dict.fromkeys(read):
            readers[source].append(node)
    queue = deque(node for node, read in enumerate(sources) if not read and readers[node])
    order: list[int] = []
    while queue:
        node = queue.popleft()
        order.append(node)
        for reader in readers[node]:
            missing[reader] -= 1
            if not missing[reader]:
                queue.append(reader)
    return order


def _edges(sources: Sequence[tuple[int, ...]], place: dict[int, int]) -> NDArray[np.int64]:
    pairs = {(place[source], place[node]) for node, read in enumerate(sources) for source in read}
    both = sorted(pairs | {(b, a) for a, b in pairs})
    return np.array(both, dtype=np.int64).reshape(-1, 2).T
