"""Fully-connected layers and products of matrices."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from numpy.typing import NDArray

from .tflite_network import Node, TfliteNetwork, Value, Writer


def _write_gemm(net: TfliteNetwork, node: Node) -> Value:
    attributes = node.attributes
    if attributes["transA"] or not net.is_constant(node.inputs[1]):
        raise node.unsupported("of two computed matrices, or a transposed one")
    x, shape = net.values[node.inputs[0]], net.shapes[node.output]
    weight = net.constant(node.inputs[1]) if attributes["transB"] else net.constant(node.inputs[1]).T
    weight = weight if attributes["alpha"] == 1 else weight * np.float32(attributes["alpha"])
    bias = net.constant(node.inputs[2]) * np.float32(attributes["beta"]) if len(node.inputs) > 2 else np.zeros(1, np.float32)
    if x.unfolded:
        weight = np.moveaxis(weight.reshape(shape[1], *x.unfolded), 1, -1).reshape(weight.shape)
    elif x.order != (0, 1):
        x = net.plain(node.inputs[0])
    return _write_fully_connected(net, node, x, weight, np.broadcast_to(bias.reshape(-1), (shape[1],)))


def _write_matmul(net: TfliteNetwork, node: Node) -> Value:
    """By a weight matrix it is a fully-connected layer, which takes up the bias that is added behind it."""
    left, right = node.inputs
    if net.is_constant(right) and net.constant(right).ndim == 2 and not net.is_constant(left):
        weight = net.constant(right).T
        return _write_fully_connected(net, node, net.plain(left), weight, _absorb_bias(net, node, len(weight)))
    tensors = [net.numbers(net.constant(name)) if net.is_constant(name) else net.plain(name).tensor for name in node.inputs]
    shape = net.shapes[node.output]
    if min(len(net.constant(name).shape if net.is_constant(name) else net.shapes[name]) for name in node.inputs) < 2:
        raise node.unsupported("of a vector")
    return Value(net.emit("BATCH_MATMUL", tensors, shape, schema.BatchMatMulOptionsT()), shape, tuple(range(len(shape))))


def _absorb_bias(net: TfliteNetwork, node: Node, n_features: int) -> NDArray[np.float32]:
    reader = net.sole_reader(node)
    if reader is not None and reader.op_type == "Add":
        for name in reader.inputs:
            if net.is_constant(name) and net.constant(name).shape == (n_features,):
                node.outputs = reader.outputs
                return net.constant(name)
    return np.zeros(n_features, np.float32)


def _write_fully_connected(net: TfliteNetwork, node: Node, x: Value, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> Value:
    """``weight`` is (features, inputs)."""
    shape = net.shapes[node.output]
    options = schema.FullyConnectedOptionsT(
        fusedActivationFunction=net.absorb_activation(node), keepNumDims=len(shape) > 2, asymmetricQuantizeInputs=net.is_quantised
    )
    tensor = net.emit("FULLY_CONNECTED", [x.tensor, net.weight(weight, 0), net.numbers(bias)], shape, options)
    return Value(tensor, shape, tuple(range(len(shape))))


PRODUCTS: dict[str, Writer] = {"Gemm": _write_gemm, "MatMul": _write_matmul}
