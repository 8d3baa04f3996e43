"""Operators of common layers: attributes in canonical form and output shapes, each made once.

Every function is cached, so that building thousands of networks of one space makes each
distinct operator once and compares by identity from then on. The canonical form: attributes
sorted by name, ONNX's defaults filled in, explicit pads, floats of six significant digits.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

from ..core import INPUT, PART, AttributeValue, InvalidModelError, Operator, Shape

_cached = lru_cache(maxsize=1 << 16)


def canonical_float(value: float) -> float:
    """Round to six significant digits, so that float32 and float64 texts of a number agree."""
    return float(f"{value:.6g}")


def _pool_size(size: int, kernel: int, stride: int, pad: int, dilation: int = 1) -> int:
    out = (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
    if out < 1:
        raise InvalidModelError(f"expected a map of at least {kernel} pixels for a kernel of {kernel}, got {size} with padding {pad}")
    return out


@_cached
def input_operator(shape: Shape) -> Operator:
    """A network input of this shape, batch dimension 1."""
    return Operator(INPUT, output=shape)


@_cached
def conv_operator(
    x: Shape, channels: int, kernel: tuple[int, int], stride: int, pads: tuple[int, int], groups: int, dilation: int, bias: bool
) -> Operator:
    """2-D convolution of an (1, C, H, W) map; ``pads`` at each side of height and width."""
    if x[1] % groups or channels % groups:
        raise InvalidModelError(f"expected channels divisible by {groups} groups, got {x[1]} -> {channels}")
    height, width = (_pool_size(x[2 + i], kernel[i], stride, pads[i], dilation) for i in (0, 1))
    attributes: tuple[tuple[str, AttributeValue], ...] = (
        ("dilations", (dilation, dilation)),
        ("group", groups),
        ("kernel_shape", kernel),
        ("pads", (*pads, *pads)),
        ("strides", (stride, stride)),
    )
    weight = (channels, x[1] // groups, *kernel)
    return Operator("Conv", attributes, (x,), (weight, (channels,)) if bias else (weight,), (1, channels, height, width))


@_cached
def batch_norm_operator(x: Shape, epsilon: float) -> Operator:
    """Batch normalisation at inference, with its four vectors of C."""
    return Operator("BatchNormalization", (("epsilon", epsilon),), (x,), ((x[1],),) * 4, x)


@_cached
def map_operator(op_type: str, x: Shape, attributes: tuple[tuple[str, AttributeValue], ...] = ()) -> Operator:
    """An operator of one input that keeps its shape, such as Relu."""
    return Operator(op_type, attributes, (x,), (), x)


@_cached
def binary_operator(op_type: str, x: Shape, y: Shape) -> Operator:
    """An elementwise operator of two inputs, with ONNX's broadcasting."""
    longer, shorter = (x, y) if len(x) >= len(y) else (y, x)
    padded = (1,) * (len(longer) - len(shorter)) + shorter
    if any(a != b and 1 not in (a, b) for a, b in zip(longer, padded, strict=True)):
        raise InvalidModelError(f"expected shapes that broadcast for {op_type}, got {x} and {y}")
    return Operator(op_type, (), (x, y), (), tuple(max(a, b) for a, b in zip(longer, padded, strict=True)))


def _pool_size_ceil(size: int, kernel: int, stride: int, pad: int) -> int:
    """A last window may stick out of the padded map, but not begin behind the map."""
    out = _pool_size(size + stride - 1, kernel, stride, pad)
    return out - 1 if (out - 1) * stride >= size + pad else out


@_cached
def pool_operator(op_type: str, x: Shape, kernel: int, stride: int, pad: int, ceil: bool = False) -> Operator:
    """``MaxPool`` or ``AveragePool`` with a square kernel; padding does not count in averages."""
    attributes: dict[str, AttributeValue] = {
        "ceil_mode": int(ceil),
        "dilations": (1, 1),
        "kernel_shape": (kernel, kernel),
        "pads": (pad,) * 4,
        "strides": (stride, stride),
    }
    if op_type == "AveragePool":
        attributes["count_include_pad"] = 0
    sizes = ((_pool_size_ceil if ceil else _pool_size)(size, kernel, stride, pad) for size in x[2:])
    return Operator(op_type, tuple(sorted(attributes.items())), (x,), (), (*x[:2], *sizes))


@_cached
def global_pool_operator(x: Shape) -> Operator:
    """Mean over height and width, kept as dimensions of 1."""
    return Operator("GlobalAveragePool", (), (x,), (), (*x[:2], 1, 1))


@_cached
def flatten_operator(x: Shape) -> Operator:
    """(1, ...) to (1, product)."""
    return Operator("Flatten", (("axis", 1),), (x,), (), (x[0], prod(x[1:])))


@_cached
def linear_operator(x: Shape, features: int, bias: bool) -> Operator:
    """A fully-connected layer: Gemm on (1, C), MatMul (and Add, where biased) on (..., C)."""
    if len(x) == 2:
        attributes: tuple[tuple[str, AttributeValue], ...] = (("alpha", 1.0), ("beta", 1.0), ("transA", 0), ("transB", 1))
        weights: tuple[Shape, ...] = ((features, x[1]), (features,)) if bias else ((features, x[1]),)
        return Operator("Gemm", attributes, (x,), weights, (x[0], features))
    return Operator("MatMul", (), (x,), ((x[-1], features),), (*x[:-1], features))


@_cached
def bias_operator(x: Shape, shape: Shape) -> Operator:
    """Addition of a learned tensor of ``shape``."""
    return Operator("Add", (), (x,), (shape,), x)


@_cached
def concat_operator(shapes: tuple[Shape, ...], axis: int) -> Operator:
    """Concatenation along ``axis``."""
    first = shapes[0]
    axis %= len(first)
    total = sum(shape[axis] for shape in shapes)
    return Operator("Concat", (("axis", axis),), shapes, (), (*first[:axis], total, *first[axis + 1 :]))


@_cached
def prepend_operator(x: Shape, n: int) -> Operator:
    """Concatenation of a learned (1, n, C) and (1, N, C): the weight stands first."""
    return Operator("Concat", (("axis", 1), ("positions", (1, 0))), (x,), ((1, n, x[2]),), (x[0], n + x[1], x[2]))


@_cached
def take_operator(x: Shape, index: int, axis: int) -> Operator:
    """Slice ``index`` of an axis, which goes."""
    if not 0 < axis < len(x) or not 0 <= index < x[axis]:
        raise InvalidModelError(f"expected an index and an axis behind the batch within {x}, got {index} of axis {axis}")
    return Operator("Gather", (("axis", axis), ("input_1", index)), (x,), (), (*x[:axis], *x[axis + 1 :]))


@_cached
def reshape_operator(x: Shape, output: Shape) -> Operator:
    """Reshape; the output's shape says all. To (batch, rest) it is a ``Flatten``."""
    if output == (x[0], prod(x[1:])):
        return flatten_operator(x)
    return Operator("Reshape", (), (x,), (), output)


@_cached
def transpose_operator(x: Shape, order: tuple[int, ...]) -> Operator:
    """Permutation of dimensions."""
    return Operator("Transpose", (("perm", order),), (x,), (), tuple(x[i] for i in order))


@_cached
def matmul_operator(x: Shape, y: Shape) -> Operator:
    """Batched product of (..., M, K) and (..., K, N)."""
    return Operator("MatMul", (), (x, y), (), (*x[:-1], y[-1]))


@_cached
def layer_norm_operator(x: Shape, epsilon: float) -> Operator:
    """Normalisation over the last dimension, with scale and bias."""
    attributes: tuple[tuple[str, AttributeValue], ...] = (("axis", len(x) - 1), ("epsilon", epsilon), ("stash_type", 1))
    return Operator("LayerNormalization", attributes, (x,), ((x[-1],), (x[-1],)), x)


@_cached
def part_operator(owner: Operator, index: int, shape: Shape) -> Operator:
    """Output ``index`` of an operator with several."""
    return Operator(PART, (("index", index),), (owner.output,), (), shape)


@_cached
def with_bias(conv: Operator) -> Operator:
    """The convolution with the batch normalisation behind it folded in: it has a bias then."""
    return Operator(conv.op_type, conv.attributes, conv.inputs, (conv.weights[0], (conv.output[1],)), conv.output)
