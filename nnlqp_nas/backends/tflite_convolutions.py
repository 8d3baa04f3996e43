"""Convolutions of maps in TensorFlow Lite's forms: dense, grouped and depthwise."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from numpy.typing import NDArray

from .tflite_network import CHANNELS_LAST, Node, TfliteNetwork, Value
from .tflite_windows import Windows


def _write_conv(net: TfliteNetwork, node: Node) -> Value:
    x = net.channels_last(node, node.inputs[0])
    if not net.is_constant(node.inputs[1]):
        raise node.unsupported("with a weight that is computed")
    shape = net.shapes[node.output]
    weight = net.constant(node.inputs[1])
    bias = net.constant(node.inputs[2]) if len(node.inputs) > 2 else np.zeros(shape[1], np.float32)
    windows = Windows.of(node, x.shape, shape)
    padding = windows.padding
    if padding is None:
        x, padding = windows.pad(net, x, 0.0), schema.Padding.VALID
    is_depthwise = node.attributes["group"] == x.shape[1] > 1
    write = _write_depthwise if is_depthwise else _write_dense
    return write(net, node, x, weight, bias, padding)


def _write_dense(net: TfliteNetwork, node: Node, x: Value, weight: NDArray[np.float32], bias: NDArray[np.float32], padding: int) -> Value:
    """One group, or several: a filter of fewer channels than the map says so."""
    shape = net.shapes[node.output]
    options = schema.Conv2DOptionsT(padding=padding, **_steps(node), fusedActivationFunction=net.absorb_activation(node))
    arguments = [x.tensor, net.weight(weight.transpose(0, 2, 3, 1), 0), net.numbers(bias)]
    return Value(net.emit("CONV_2D", arguments, [shape[axis] for axis in CHANNELS_LAST], options), shape, CHANNELS_LAST)


def _write_depthwise(
    net: TfliteNetwork, node: Node, x: Value, weight: NDArray[np.float32], bias: NDArray[np.float32], padding: int
) -> Value:
    shape = net.shapes[node.output]
    options = schema.DepthwiseConv2DOptionsT(
        padding=padding,
        **_steps(node),
        depthMultiplier=shape[1] // x.shape[1],
        fusedActivationFunction=net.absorb_activation(node),
    )
    arguments = [x.tensor, net.weight(weight.transpose(1, 2, 3, 0), 3), net.numbers(bias)]
    return Value(net.emit("DEPTHWISE_CONV_2D", arguments, [shape[axis] for axis in CHANNELS_LAST], options), shape, CHANNELS_LAST)


def _steps(node: Node) -> dict[str, int]:
    (high, wide), (tall, broad) = node.attributes["strides"], node.attributes["dilations"]
    return {"strideH": high, "strideW": wide, "dilationHFactor": tall, "dilationWFactor": broad}


CONVOLUTIONS = {"Conv": _write_conv}
