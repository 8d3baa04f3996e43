"""Arithmetic of two values with broadcasting."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from numpy.typing import NDArray

from .tflite_network import Node, TfliteNetwork, Value, Writer

_FUSING = {"ADD": schema.AddOptionsT, "DIV": schema.DivOptionsT, "MUL": schema.MulOptionsT, "SUB": schema.SubOptionsT}


def _write_binary(net: TfliteNetwork, node: Node, name: str) -> Value:
    shape = net.shapes[node.output]
    order = _common_order(net, node, len(shape))
    tensors = [_operand(net, argument, order) for argument in node.inputs]
    options = _FUSING[name](fusedActivationFunction=net.absorb_activation(node)) if name in _FUSING else None
    return Value(net.emit(name, tensors, [shape[axis] for axis in order], options), shape, order)


def _common_order(net: TfliteNetwork, node: Node, rank: int) -> tuple[int, ...]:
    """The order of the largest operand, where all that are computed have the result's rank; else ONNX's."""
    values = [net.values[name] for name in node.inputs if name in net.values]
    ranks = {len(value.shape) for value in values} | {net.constant(name).ndim for name in node.inputs if net.is_constant(name)}
    if not values or max(ranks) > min(len(value.shape) for value in values):
        return tuple(range(rank))
    return max(values, key=lambda value: np.prod(value.shape)).order


def _operand(net: TfliteNetwork, name: str, order: tuple[int, ...]) -> int:
    if net.is_constant(name):
        return net.numbers(in_order(net.constant(name), order))
    value = net.values[name]
    return net.ordered(value, order).tensor if len(value.shape) == len(order) else net.plain(name).tensor


def in_order(value: NDArray[Any], order: tuple[int, ...]) -> NDArray[Any]:
    """Return a constant, its axes in ``order``, without the leading ones that broadcasting adds anyway."""
    value = value.reshape((1,) * (len(order) - value.ndim) + value.shape).transpose(order)
    n_leading = next((i for i, size in enumerate(value.shape) if size != 1), value.ndim)
    return value.reshape(value.shape[n_leading:])


def _write_prelu(net: TfliteNetwork, node: Node) -> Value:
    x = net.values[node.inputs[0]]
    x = net.plain(node.inputs[0]) if x.unfolded else x
    slope = net.constant(node.inputs[1])
    slope = slope.reshape((1,) * (len(x.shape) - slope.ndim) + slope.shape).transpose(x.order)
    return net.emit_like("PRELU", x, [net.numbers(slope[0])])


_NAMES = {"Add": "ADD", "Div": "DIV", "Max": "MAXIMUM", "Min": "MINIMUM", "Mul": "MUL", "Pow": "POW", "Sub": "SUB"}

ARITHMETIC: dict[str, Writer] = {**{op_type: partial(_write_binary, name=name) for op_type, name in _NAMES.items()}, "PRelu": _write_prelu}
