"""Normalisations, written in the parts that TensorFlow Lite has."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

from .tflite_arithmetic import in_order
from .tflite_network import Node, TfliteNetwork, Value, Writer
from .tflite_pools import reduce


def _write_layer_norm(net: TfliteNetwork, node: Node) -> Value:
    x = net.values[node.inputs[0]]
    x = net.plain(node.inputs[0]) if x.unfolded else x
    axes = tuple(range(node.attributes["axis"] % len(x.shape), len(x.shape)))
    mean = reduce(net, "MEAN", x, axes)
    squares = net.emit_like("SQUARED_DIFFERENCE", x, [mean.tensor])
    variance = reduce(net, "MEAN", squares, axes)
    shifted = net.emit_like("ADD", variance, [net.numbers(node.attributes["epsilon"])])
    inverse = net.emit_like("RSQRT", shifted)
    centred = net.emit_like("SUB", x, [mean.tensor])
    result = net.emit_like("MUL", centred, [inverse.tensor])
    result = net.emit_like("MUL", result, [net.numbers(in_order(net.constant(node.inputs[1]), x.order))])
    if len(node.inputs) < 3:
        return result
    return net.emit_like("ADD", result, [net.numbers(in_order(net.constant(node.inputs[2]), x.order))])


def _write_batch_norm(net: TfliteNetwork, node: Node) -> Value:
    """One that no convolution took up: a product and a sum."""
    x = net.values[node.inputs[0]]
    x = net.plain(node.inputs[0]) if x.unfolded else x
    scale, bias, mean, variance = (net.constant(name) for name in node.inputs[1:])
    factor = scale / np.sqrt(variance + np.float32(node.attributes["epsilon"]))
    sides = (1,) * (len(x.shape) - 2)
    factor, offset = ((one.reshape(-1, *sides)) for one in (factor, bias - mean * factor))
    scaled = net.emit_like("MUL", x, [net.numbers(in_order(factor, x.order))])
    options = schema.AddOptionsT(fusedActivationFunction=net.absorb_activation(node))
    return net.emit_like("ADD", scaled, [net.numbers(in_order(offset, x.order))], options)


def _write_softmax(net: TfliteNetwork, node: Node) -> Value:
    """TensorFlow Lite's is over the last axis."""
    x = net.values[node.inputs[0]]
    axis = node.attributes["axis"] % len(x.shape)
    x = net.plain(node.inputs[0]) if x.unfolded else x
    if x.order[-1] != axis:
        x = net.ordered(x, (*(one for one in x.order if one != axis), axis))
    return net.emit_like("SOFTMAX", x, options=schema.SoftmaxOptionsT(beta=1.0))


NORMALISATIONS: dict[str, Writer] = {
    "BatchNormalization": _write_batch_norm,
    "LayerNormalization": _write_layer_norm,
    "Softmax": _write_softmax,
}
