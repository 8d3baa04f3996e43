"""Functions of one value, element by element."""

from __future__ import annotations

from functools import partial

import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

from .tflite_network import Node, TfliteNetwork, Value, Writer

_BOUNDED = {(0.0, np.inf): "RELU", (0.0, 6.0): "RELU6", (0.0, 1.0): "RELU_0_TO_1", (-1.0, 1.0): "RELU_N1_TO_1"}
_SIXTH = 1 / 6


def _write_same(net: TfliteNetwork, node: Node, name: str) -> Value:
    return net.emit_like(name, net.values[node.inputs[0]])


def _write_alias(net: TfliteNetwork, node: Node) -> Value:
    return net.values[node.inputs[0]]


def _write_clip(net: TfliteNetwork, node: Node) -> Value:
    x, low, high = net.values[node.inputs[0]], net.number(node, 1, -np.inf), net.number(node, 2, np.inf)
    if (low, high) in _BOUNDED:
        return net.emit_like(_BOUNDED[low, high], x)
    return _bound(net, x, low, high)


def _bound(net: TfliteNetwork, x: Value, low: float, high: float) -> Value:
    x = net.emit_like("MINIMUM", x, [net.numbers(high)]) if np.isfinite(high) else x
    return net.emit_like("MAXIMUM", x, [net.numbers(low)]) if np.isfinite(low) else x


def _write_hard_sigmoid(net: TfliteNetwork, node: Node) -> Value:
    """``relu6(x + 3) / 6``, as converters write the common one; another slope takes a product, a sum and two bounds."""
    x, alpha, beta = net.values[node.inputs[0]], node.attributes["alpha"], node.attributes["beta"]
    if abs(alpha - _SIXTH) < 1e-6 and beta == 0.5:
        options = schema.AddOptionsT(fusedActivationFunction=schema.ActivationFunctionType.RELU6)
        return net.emit_like("MUL", net.emit_like("ADD", x, [net.numbers(3.0)], options), [net.numbers(_SIXTH)])
    scaled = net.emit_like("MUL", x, [net.numbers(alpha)])
    return _bound(net, net.emit_like("ADD", scaled, [net.numbers(beta)]), 0.0, 1.0)


def _write_gelu(net: TfliteNetwork, node: Node) -> Value:
    is_approximate = node.attributes.get("approximate", b"none") == b"tanh"
    return net.emit_like("GELU", net.values[node.inputs[0]], options=schema.GeluOptionsT(approximate=is_approximate))


def _write_leaky_relu(net: TfliteNetwork, node: Node) -> Value:
    options = schema.LeakyReluOptionsT(alpha=node.attributes["alpha"])
    return net.emit_like("LEAKY_RELU", net.values[node.inputs[0]], options=options)


def _write_elu(net: TfliteNetwork, node: Node) -> Value:
    if node.attributes.get("alpha", 1.0) != 1.0:
        raise node.unsupported(f"with alpha {node.attributes['alpha']}")
    return net.emit_like("ELU", net.values[node.inputs[0]])


_SAME_NAMED = ("Abs", "Ceil", "Cos", "Exp", "Floor", "Log", "Neg", "Relu", "Sin", "Sqrt", "Tanh")

MAPS: dict[str, Writer] = {
    **{op_type: partial(_write_same, name=op_type.upper()) for op_type in _SAME_NAMED},
    "Clip": _write_clip,
    "Dropout": _write_alias,
    "Elu": _write_elu,
    "Gelu": _write_gelu,
    "HardSigmoid": _write_hard_sigmoid,
    "HardSwish": partial(_write_same, name="HARD_SWISH"),
    "Identity": _write_alias,
    "LeakyRelu": _write_leaky_relu,
    "Sigmoid": partial(_write_same, name="LOGISTIC"),
}
