from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nnlqp_nas.core import GraphView, ModelGraph
from nnlqp_nas.graphs import LayerBuilder


@pytest.fixture(scope="session")
def resnet18() -> Path:
    """ResNet-18 of the ONNX model zoo, opset 8, its weights removed, as NNLQP ships it."""
    return Path(__file__).parent / "resnet18-v1-7-no-weight.onnx"


@pytest.fixture(scope="session")
def zoo() -> Callable[[GraphView], ModelGraph]:
    """A small network with every layer of the layer builder."""
    return write_zoo


def write_zoo(view: GraphView) -> ModelGraph:
    net = LayerBuilder(view)
    x = net.input(3, 32, 32)
    x = net.relu6(net.batch_norm(net.conv(x, 16, 3, 2)))
    y = net.hard_swish(net.conv(x, 16, (3, 1), pad=(1, 0), groups=16))
    z = net.concat([x, y, net.max_pool(net.max_pool(x, 3, 1, 1, ceil=True), 3, 1, 1)])
    z = net.mul(z, net.hard_sigmoid(net.conv(net.global_avg_pool(z), 48, 1, bias=True)))
    z = net.swish(net.conv(z, 32, 3, dilation=2))
    z = net.add(net.identity(z), net.zero(z))
    z = net.scale(net.avg_pool(z, 2), 0.5)
    first = net.take(net.prepend_weight(net.transpose(net.reshape(net.max_pool(z, 3, 2, ceil=True), 32, 16), 0, 2, 1)), 0)
    tokens = net.add_weight(net.transpose(net.reshape(z, 32, 64), 0, 2, 1), 1, 64, 32)
    h = net.layer_norm(tokens)
    q, k, v = (net.transpose(net.reshape(net.linear(h, 32), 64, 4, 8), *order) for order in ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)))
    attention = net.softmax(net.scale(net.matmul(q, k), 8**-0.5))
    mixed = net.reshape(net.transpose(net.matmul(attention, v), 0, 2, 1, 3), 64, 32)
    tokens = net.add(tokens, net.linear(mixed, 32, bias=False))
    tokens = net.add(tokens, net.linear(net.gelu(net.linear(net.layer_norm(tokens), 64)), 32))
    z = net.sigmoid(net.relu(net.reshape(net.transpose(tokens, 0, 2, 1), 32, 8, 8)))
    return net.finish(net.softmax(net.linear(net.add(net.flatten(net.global_avg_pool(z)), first), 10)))
