"""What operators and networks cost: multiply-accumulates, FLOPs, parameters, bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from itertools import chain
from math import prod

import numpy as np
from numpy.typing import NDArray

from ..core import INPUT, PART, ModelGraph, Operator
from .layer_builder import ZERO

NUMBER_BYTES = 4

_VIEWS = frozenset({INPUT, PART, ZERO, "Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Constant"})
_COPIES = frozenset({"Concat", "Transpose", "Slice", "Split", "Gather", "Pad", "Expand", "Tile", "DepthToSpace", "SpaceToDepth", "Cast"})
_WORK_PER_RESULT = {
    "BatchNormalization": 2,
    "LayerNormalization": 8,
    "InstanceNormalization": 8,
    "GroupNormalization": 8,
    "Softmax": 5,
    "LogSoftmax": 5,
    "Sigmoid": 4,
    "Tanh": 4,
    "HardSigmoid": 4,
    "HardSwish": 5,
    "Gelu": 8,
    "Erf": 8,
    "Clip": 2,
    "Resize": 4,
}


@dataclass(frozen=True, slots=True)
class OperatorCost:
    """Cost of one run of an operator or of a network, for the whole batch, 4 bytes a number.

    Attributes:
        macs: Multiply-accumulates of convolutions and matrix products, biases not counted.
        flops: ``2 * macs`` and the arithmetic of all other operators.
        params: Trainable numbers; two a channel for a batch normalisation.
        read_bytes: Bytes of activations read.
        write_bytes: Bytes of results written; 0 where the result is a view of what is read.
        weight_bytes: Bytes of constant tensors read; they do not grow with the batch size.
    """

    macs: int = 0
    flops: int = 0
    params: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    weight_bytes: int = 0

    @property
    def moved_bytes(self) -> int:
        """All bytes read and written."""
        return self.read_bytes + self.write_bytes + self.weight_bytes


@lru_cache(maxsize=1 << 16)
def operator_cost(operator: Operator, batch_size: int = 1) -> OperatorCost:
    """Return the cost of an operator at a batch size, in constant time for one seen before."""
    macs = _macs(operator) * batch_size
    is_view = operator.op_type in _VIEWS
    vectors = operator.weights[:2] if operator.op_type == "BatchNormalization" else operator.weights
    return OperatorCost(
        macs=macs,
        flops=2 * macs + _elementwise_work(operator) * batch_size,
        params=sum(map(prod, vectors)),
        read_bytes=0 if is_view else NUMBER_BYTES * batch_size * sum(map(prod, operator.inputs)),
        write_bytes=0 if is_view else NUMBER_BYTES * batch_size * prod(operator.output),
        weight_bytes=NUMBER_BYTES * sum(map(prod, operator.weights)),
    )


def graph_cost(graph: ModelGraph, batch_size: int = 1) -> OperatorCost:
    """Return the cost of a network at a batch size: the sum over its nodes."""
    return OperatorCost(*map(sum, zip(*[_numbers(operator, batch_size) for operator in graph.operators], strict=True)))


@lru_cache(maxsize=1 << 16)
def _numbers(operator: Operator, batch_size: int) -> tuple[int, ...]:
    return astuple(operator_cost(operator, batch_size))


def graph_costs(graphs: Sequence[ModelGraph], batch_size: int = 1) -> NDArray[np.int64]:
    """Return int64, shape (graphs, fields of :class:`OperatorCost`): :func:`graph_cost` of each network, many at once."""
    operators = list(chain.from_iterable([graph.operators for graph in graphs]))
    if not operators:
        return np.zeros((0, len(fields(OperatorCost))), dtype=np.int64)
    _, first, distinct = np.unique(np.concatenate([graph.digests for graph in graphs]), return_index=True, return_inverse=True)
    costs = np.array([_numbers(operators[node], batch_size) for node in first.tolist()], dtype=np.int64)
    sizes = np.fromiter(map(len, graphs), np.int64, len(graphs))
    return np.add.reduceat(costs[distinct], np.cumsum(sizes) - sizes, axis=0)


def _macs(operator: Operator) -> int:
    op_type = operator.op_type
    weight = max(operator.weights, key=prod, default=())
    if op_type in ("Conv", "QLinearConv", "ConvInteger"):
        return prod(operator.output) * prod(weight[1:])
    if op_type == "ConvTranspose":
        return prod(operator.inputs[0]) * prod(weight[1:])
    if op_type == "Gemm":
        first = operator.inputs[0]
        return prod(operator.output) * (first[0] if operator.attribute("transA") == 1 else first[-1])
    if op_type in ("MatMul", "QLinearMatMul", "MatMulInteger"):
        return prod(operator.output) * _contracted(operator)
    if op_type in ("LSTM", "GRU", "RNN"):
        return operator.inputs[0][0] * sum(map(prod, operator.weights[:2]))
    return 0


def _contracted(operator: Operator) -> int:
    """Length of the dimension that a matrix product sums over."""
    is_weight_first = operator.attribute("positions") is not None and bool(operator.weights)
    shape = operator.weights[0] if is_weight_first else operator.inputs[0]
    return shape[-1]


def _elementwise_work(operator: Operator) -> int:
    op_type, n_results = operator.op_type, prod(operator.output)
    if op_type in _VIEWS or op_type in _COPIES:
        return 0
    if op_type in ("Conv", "ConvTranspose", "Gemm"):
        return n_results if len(operator.weights) > 1 else 0
    if op_type in ("MatMul", "QLinearMatMul", "MatMulInteger", "QLinearConv", "ConvInteger"):
        return 0
    if op_type in ("MaxPool", "AveragePool", "LpPool"):
        kernel = operator.attribute("kernel_shape", ())
        return n_results * prod(int(size) for size in (kernel if isinstance(kernel, tuple) else ()))
    if op_type.startswith(("Global", "Reduce")):
        return sum(map(prod, operator.inputs))
    return n_results * _WORK_PER_RESULT.get(op_type, 1)
