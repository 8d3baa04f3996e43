"""Numbers that describe one operator to a predictor."""

from __future__ import annotations

import math
from functools import lru_cache

from nnlqp_nas.core import INPUT, Operator
from nnlqp_nas.graphs import operator_cost

KINDS = (
    "conv",
    "conv_pointwise",
    "conv_depthwise",
    "conv_grouped",
    "linear",
    "matmul",
    "normalise",
    "relu",
    "clip",
    "gate",
    "softmax",
    "add",
    "mul",
    "elementwise",
    "concat",
    "max_pool",
    "avg_pool",
    "global_pool",
    "move",
    "input",
    "other",
)
"""What kinds of operator the features tell apart."""

MEASURES = (
    "log2_flops",
    "log2_read_bytes",
    "log2_write_bytes",
    "log2_weight_bytes",
    "log2_intensity",
    "log2_channels_in",
    "log2_channels_out",
    "log2_pixels",
    "log2_window",
    "log2_stride",
    "log2_batch",
)
"""What is measured of every operator, each a base-2 logarithm."""

N_FEATURES = len(KINDS) + len(MEASURES)

_KIND_OF = {
    "Gemm": "linear",
    "MatMul": "matmul",
    "BatchNormalization": "normalise",
    "LayerNormalization": "normalise",
    "InstanceNormalization": "normalise",
    "GroupNormalization": "normalise",
    "LRN": "normalise",
    "Relu": "relu",
    "LeakyRelu": "relu",
    "PRelu": "relu",
    "Clip": "clip",
    "HardSwish": "gate",
    "HardSigmoid": "gate",
    "Sigmoid": "gate",
    "Tanh": "gate",
    "Gelu": "gate",
    "Erf": "gate",
    "Exp": "gate",
    "Softmax": "softmax",
    "Add": "add",
    "Sub": "add",
    "Mul": "mul",
    "Div": "mul",
    "Concat": "concat",
    "MaxPool": "max_pool",
    "AveragePool": "avg_pool",
    "GlobalAveragePool": "global_pool",
    "GlobalMaxPool": "global_pool",
    "ReduceMean": "global_pool",
    "Identity": "move",
    "Flatten": "move",
    "Reshape": "move",
    "Transpose": "move",
    "Squeeze": "move",
    "Unsqueeze": "move",
    "Part": "move",
    "Slice": "move",
    "Gather": "move",
    "Split": "move",
    "Pad": "move",
    "Pow": "elementwise",
    "Sqrt": "elementwise",
    INPUT: "input",
    "Zero": "input",
}


def kind_of(operator: Operator) -> str:
    """Return the kind of an operator, one of :data:`KINDS`."""
    if operator.op_type in ("Conv", "ConvTranspose"):
        return _conv_kind(operator)
    return _KIND_OF.get(operator.op_type, "other")


def _conv_kind(operator: Operator) -> str:
    groups = operator.attribute("group", 1)
    if groups != 1:
        return "conv_depthwise" if groups == operator.inputs[0][1] else "conv_grouped"
    kernel = operator.weights[0][2:] if operator.weights else ()
    return "conv_pointwise" if all(size == 1 for size in kernel) else "conv"


def _log2(value: float) -> float:
    return math.log2(1.0 + value)


def _sizes(operator: Operator, name: str) -> tuple[int, ...]:
    value = operator.attribute(name)
    return tuple(int(size) for size in value) if isinstance(value, tuple) else (1,)


@lru_cache(maxsize=1 << 17)
def measures(operator: Operator, batch_size: int) -> tuple[float, ...]:
    """Return :data:`MEASURES` of an operator at a batch size."""
    cost = operator_cost(operator, batch_size)
    moved = cost.read_bytes + cost.write_bytes + cost.weight_bytes
    source = operator.inputs[0] if operator.inputs else operator.output
    window = _sizes(operator, "kernel_shape")
    strides = _sizes(operator, "strides")
    return (
        _log2(cost.flops),
        _log2(cost.read_bytes),
        _log2(cost.write_bytes),
        _log2(cost.weight_bytes),
        _log2(cost.flops / max(moved, 1)),
        _log2(source[1] if len(source) > 1 else 1),
        _log2(operator.output[1] if len(operator.output) > 1 else 1),
        _log2(math.prod(operator.output[2:])),
        _log2(math.prod(window)),
        _log2(strides[0]),
        _log2(batch_size),
    )


@lru_cache(maxsize=1 << 17)
def features(operator: Operator, batch_size: int) -> tuple[float, ...]:
    """Return :data:`N_FEATURES` numbers of order 1: kind one-hot, then measures over 10."""
    kind = kind_of(operator)
    one_hot = tuple(float(kind == name) for name in KINDS)
    return one_hot + tuple(value / 10.0 for value in measures(operator, batch_size))
