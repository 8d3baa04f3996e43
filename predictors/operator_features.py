"""Numbers that describe one operator to a predictor."""

from __future__ import annotations

import math
from functools import lru_cache

from nnlqp_nas.core import INPUT, Operator, Shape
from nnlqp_nas.graphs import operator_cost

KINDS = (
    "conv",
    "conv_3x3",
    "conv_5x5",
    "conv_strided",
    "conv_large_strided",
    "conv_stem",
    "conv_large_stem",
    "conv_pointwise",
    "conv_pointwise_strided",
    "conv_depthwise",
    "conv_depthwise_5x5",
    "conv_depthwise_large",
    "conv_depthwise_strided",
    "conv_depthwise_5x5_strided",
    "conv_depthwise_large_strided",
    "conv_grouped",
    "linear",
    "matmul",
    "normalise",
    "relu",
    "clip",
    "sigmoid",
    "hard_sigmoid",
    "hard_swish",
    "gelu",
    "softmax",
    "add",
    "mul",
    "elementwise",
    "concat",
    "max_pool",
    "avg_pool",
    "global_pool",
    "copy",
    "move",
    "input",
    "other",
)
"""What kinds of operator the features tell apart; a ``move`` costs nothing where it is a view, a ``copy`` never is one."""

GROUPS = {
    "convolution": tuple(kind for kind in KINDS if kind.startswith("conv")),
    "product": ("linear", "matmul"),
    "activation": ("relu", "clip", "sigmoid", "hard_sigmoid", "hard_swish", "gelu"),
    "bounding": ("relu", "clip"),
    "arithmetic": ("add", "mul", "elementwise", "normalise"),
    "pooling": ("max_pool", "avg_pool", "global_pool"),
    "layout": ("concat", "copy", "move", "input"),
}
"""Kinds that engines treat alike: what is learned of one holds, until told otherwise, for one that was never seen."""

KIN = (
    {"conv", "conv_3x3", "conv_5x5", "conv_grouped"},
    {"conv_strided", "conv_large_strided"},
    {"conv_stem", "conv_large_stem"},
    {"conv_pointwise", "conv_pointwise_strided"},
    {"conv_depthwise", "conv_depthwise_5x5", "conv_depthwise_large"},
    {"conv_depthwise_strided", "conv_depthwise_5x5_strided", "conv_depthwise_large_strided"},
    {"linear", "matmul"},
    {"relu", "clip", "sigmoid", "hard_sigmoid", "hard_swish", "gelu"},
    {"add", "mul", "elementwise", "normalise"},
    {"max_pool", "avg_pool", "global_pool"},
)
"""Kinds whose rates are alike until much is seen of each; what is not named is like nothing."""

MEASURES = (
    "log2_flops",
    "log2_read_bytes",
    "log2_write_bytes",
    "log2_weight_bytes",
    "log2_moved_bytes",
    "log2_intensity",
    "log2_channels_in",
    "log2_channels_out",
    "log2_pixels_in",
    "log2_pixels",
    "log2_window",
    "log2_stride",
    "log2_groups",
    "log2_batch",
)
"""What is measured of every operator, each a base-2 logarithm."""

ALIGNMENTS = (4, 8, 16, 32)
"""Vector widths; engines choose another kernel where channels are no multiple of theirs."""

TRAITS = (
    *(f"channels_in_fill_{width}" for width in ALIGNMENTS),
    *(f"channels_out_fill_{width}" for width in ALIGNMENTS),
    "is_broadcast",
    "is_map",
    "has_bias",
)
"""Further traits, each from 0 to 1."""

N_KINDS = len(KINDS) + len(GROUPS)
N_FEATURES = N_KINDS + len(MEASURES) + len(TRAITS)

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
    "HardSwish": "hard_swish",
    "HardSigmoid": "hard_sigmoid",
    "Sigmoid": "sigmoid",
    "Tanh": "sigmoid",
    "Gelu": "gelu",
    "Erf": "gelu",
    "Exp": "gelu",
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
    "Transpose": "copy",
    "Slice": "copy",
    "Gather": "copy",
    "Split": "copy",
    "Pad": "copy",
    "Identity": "move",
    "Flatten": "move",
    "Reshape": "move",
    "Squeeze": "move",
    "Unsqueeze": "move",
    "Part": "move",
    "Pow": "elementwise",
    "Sqrt": "elementwise",
    INPUT: "input",
    "Zero": "input",
}
_ON_LAST_AXIS = frozenset({"MatMul", "Gemm", "Softmax", "LayerNormalization", "Gelu"})


LEAST_FILLED = 8
"""Input channels below which a convolution is a network's first one: no engine fills its vectors with them."""

SMALLEST_TUNED, LARGEST_TUNED = 3, 5
"""Depthwise windows that engines have kernels of their own for; beyond, some fall back to one that is many times slower."""


@lru_cache(maxsize=1 << 16)
def kind_of(operator: Operator) -> str:
    """Return the kind of an operator, one of :data:`KINDS`."""
    if operator.op_type in ("Conv", "ConvTranspose"):
        return _conv_kind(operator)
    return _KIND_OF.get(operator.op_type, "other")


def _conv_kind(operator: Operator) -> str:
    groups = operator.attribute("group", 1)
    kernel = operator.weights[0][2:] if operator.weights else ()
    is_strided = max(strides_of(operator)) > 1
    if groups != 1:
        return _depthwise_kind(kernel, is_strided) if groups == operator.inputs[0][1] else "conv_grouped"
    size = max(kernel, default=1)
    if operator.inputs[0][1] < LEAST_FILLED:
        return "conv_large_stem" if size > LARGEST_TUNED else "conv_stem"
    if is_pointwise(operator):
        return "conv_pointwise_strided" if is_strided else "conv_pointwise"
    if is_strided:
        return "conv_large_strided" if size > SMALLEST_TUNED else "conv_strided"
    if max(_sizes(operator, "dilations")) > 1 or len(set(kernel)) != 1:
        return "conv"
    return {3: "conv_3x3", 5: "conv_5x5"}.get(size, "conv")


def _depthwise_kind(kernel: Shape, is_strided: bool) -> str:
    size = max(kernel, default=1)
    window = "_large" if size > LARGEST_TUNED else "_5x5" if size > SMALLEST_TUNED else ""
    return f"conv_depthwise{window}" + ("_strided" if is_strided else "")


def is_pointwise(operator: Operator) -> bool:
    """Whether an operator is an ungrouped convolution of single pixels, strided or not."""
    is_ungrouped = operator.op_type == "Conv" and operator.attribute("group", 1) == 1
    return is_ungrouped and bool(operator.weights) and all(size == 1 for size in operator.weights[0][2:])


def strides_of(operator: Operator) -> tuple[int, ...]:
    """Return the strides of an operator, (1,) of one that has none."""
    return _sizes(operator, "strides")


def _log2(value: float) -> float:
    return math.log2(1.0 + value)


def _sizes(operator: Operator, name: str) -> tuple[int, ...]:
    value = operator.attribute(name)
    return tuple(int(size) for size in value) if isinstance(value, tuple) else (1,)


def _source(operator: Operator) -> Shape:
    return operator.inputs[0] if operator.inputs else operator.output


def _channels(operator: Operator, shape: Shape) -> int:
    """Channels stand on axis 1 of a map, on the last axis of tokens and of what a matrix product reads."""
    if len(shape) < 2:
        return 1
    return shape[-1] if len(shape) < 4 or operator.op_type in _ON_LAST_AXIS else shape[1]


@lru_cache(maxsize=1 << 17)
def measures(operator: Operator, batch_size: int) -> tuple[float, ...]:
    """Return :data:`MEASURES` of an operator at a batch size."""
    cost = operator_cost(operator, batch_size)
    source = _source(operator)
    channels_in, channels_out = _channels(operator, source), _channels(operator, operator.output)
    groups = operator.attribute("group", 1)
    return (
        _log2(cost.flops),
        _log2(cost.read_bytes),
        _log2(cost.write_bytes),
        _log2(cost.weight_bytes),
        _log2(cost.moved_bytes),
        _log2(cost.flops / max(cost.moved_bytes, 1)),
        _log2(channels_in),
        _log2(channels_out),
        _log2(math.prod(source) / max(channels_in, 1)),
        _log2(math.prod(operator.output) / max(channels_out, 1)),
        _log2(math.prod(_sizes(operator, "kernel_shape"))),
        _log2(strides_of(operator)[0]),
        _log2(groups if isinstance(groups, int) else 1),
        _log2(batch_size),
    )


def _traits(operator: Operator) -> tuple[float, ...]:
    source = _source(operator)
    channels = _channels(operator, source), _channels(operator, operator.output)
    fill = [n / (math.ceil(n / width) * width) if n else 0.0 for n in channels for width in ALIGNMENTS]
    is_broadcast = any(shape != source for shape in operator.inputs[1:]) and operator.op_type != "Concat"
    has_bias = operator.op_type in ("Conv", "Gemm") and len(operator.weights) > 1
    return *fill, float(is_broadcast), float(len(operator.output) == 4), float(has_bias)


@lru_cache(maxsize=len(KINDS))
def _one_hot(kind: str) -> tuple[float, ...]:
    """Return which of the kinds and groups a kind is."""
    return *(float(kind == name) for name in KINDS), *(float(kind in members) for members in GROUPS.values())


def features(operator: Operator, batch_size: int) -> tuple[float, ...]:
    """Return :data:`N_FEATURES` numbers of order 1: kind one-hot, its groups, measures over 10, traits."""
    return *_one_hot(kind_of(operator)), *(value / 10.0 for value in measures(operator, batch_size)), *_traits(operator)
