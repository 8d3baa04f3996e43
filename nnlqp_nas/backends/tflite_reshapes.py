"""Operators that give a value another shape, or its axes another order."""

from __future__ import annotations

from math import prod

import numpy as np

from .tflite_network import CHANNELS_LAST, Node, Shape, TfliteNetwork, Value, Writer, is_same_in_memory


def _write_reshape(net: TfliteNetwork, node: Node) -> Value:
    """A map that keeps its channels keeps them last; so does one that is flattened, which a weight behind it can follow."""
    x, shape = net.values[node.inputs[0]], net.shapes[node.output]
    plain = tuple(range(len(shape)))
    if not x.unfolded and is_same_in_memory(x.shape, x.order, range(len(x.shape))):
        return Value(net.reshape(x.tensor, shape), shape, plain)
    if _has_channels_last(x) and len(shape) > 2 and shape[:2] == x.shape[:2]:
        order = (0, *range(2, len(shape)), 1)
        return Value(net.reshape(x.tensor, [shape[axis] for axis in order]), shape, order)
    if _has_channels_last(x) and shape == (x.shape[0], prod(x.shape[1:])):
        return Value(net.reshape(x.tensor, shape), shape, plain, unfolded=x.shape[1:])
    return Value(net.reshape(net.plain(node.inputs[0]).tensor, shape), shape, plain)


def _has_channels_last(x: Value) -> bool:
    return len(x.shape) > 2 and x.order == (0, *range(2, len(x.shape)), 1)


def _write_transpose(net: TfliteNetwork, node: Node) -> Value:
    """Nothing is moved: the value is known to stand in another order from here on."""
    x, order = net.values[node.inputs[0]], list(node.attributes["perm"])
    x = net.plain(node.inputs[0]) if x.unfolded else x
    return Value(x.tensor, tuple(x.shape[axis] for axis in order), tuple(order.index(axis) for axis in x.order))


def _write_zeros(net: TfliteNetwork, node: Node) -> Value:
    if "value" in node.attributes:
        raise node.unsupported("of a value that is not zero")
    shape: Shape = net.shapes[node.output]
    result = Value(-1, shape, CHANNELS_LAST if len(shape) == 4 else tuple(range(len(shape))))
    return Value(net.numbers(np.zeros(result.stored)), shape, result.order)


RESHAPES: dict[str, Writer] = {
    "ConstantOfShape": _write_zeros,
    "Flatten": _write_reshape,
    "Reshape": _write_reshape,
    "Squeeze": _write_reshape,
    "Transpose": _write_transpose,
    "Unsqueeze": _write_reshape,
}
