"""NAS-Bench-201 (Dong and Yang, ICLR 2020, arXiv 2001.00326), also NATS-Bench's topology space."""

from __future__ import annotations

import re
from typing import Any

from nnlqp_nas.core import Architecture, InvalidSettingError, Parameter
from nnlqp_nas.graphs import LayerBuilder, LayeredSpace

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
_NOTATION = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")
_PARAMETERS = tuple(Parameter(f"edge_{source}_{target}", OPERATIONS) for source, target in EDGES)


class NasBench201(LayeredSpace):
    """Cells of four nodes and six edges, each edge one of five operations; 15,625 members.

    The network (section 2 of the paper): a 3x3 convolution, three stages of ``n_cells`` equal cells
    with ``channels``, twice and four times as many channels, a residual block of stride 2 before
    the second and third, global average pooling, one linear layer. Input 3 x 32 x 32.

    Args:
        n_classes: Outputs of the last layer; 10 for CIFAR-10, 100 for CIFAR-100.
        channels: Channels of the first stage (C).
        n_cells: Cells a stage (N).
        resolution: Height and width of the input, pixels.
    """

    name = "nasbench201"

    def __init__(self, n_classes: int = 10, channels: int = 16, n_cells: int = 5, resolution: int = 32) -> None:
        self.n_classes = n_classes
        self.channels = channels
        self.n_cells = n_cells
        self.resolution = resolution

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return _PARAMETERS

    @property
    def size(self) -> int:
        return 5**6

    def canonical(self, code: tuple[int, ...]) -> tuple[int, ...]:
        """Return ``code``: every choice is a layer of the network as written."""
        return code

    def encode(self, architecture: Architecture) -> str:
        """Return NAS-Bench-201's notation, ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``."""
        names = [OPERATIONS[digit] for digit in architecture.code]
        return "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*names)

    def decode(self, encoding: Any) -> Architecture:
        """Read NAS-Bench-201's notation."""
        match = _NOTATION.fullmatch(encoding) if isinstance(encoding, str) else None
        if match is None:
            raise InvalidSettingError(f"expected a cell like |nor_conv_3x3~0|+|none~0|skip_connect~1|+|..., got {encoding!r}")
        return self.architecture(*match.groups())

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        x = net.part(_write_stem, net.input(3, self.resolution, self.resolution), self.channels)
        for stage in range(3):
            if stage:
                x = net.part(_write_reduction, x, self.channels * 2**stage)
            for _ in range(self.n_cells):
                x = net.part(_write_cell, x, architecture.code)
        x = net.relu(net.batch_norm(x))
        return net.linear(net.flatten(net.global_avg_pool(x)), self.n_classes)


def _write_stem(net: LayerBuilder, x: int, channels: int) -> int:
    return net.batch_norm(net.conv(x, channels, 3))


def _write_cell(net: LayerBuilder, x: int, code: tuple[int, ...]) -> int:
    nodes = [x]
    for target in (1, 2, 3):
        first = target * (target - 1) // 2
        value = _write_operation(net, nodes[0], code[first])
        for source in range(1, target):
            value = net.add(value, _write_operation(net, nodes[source], code[first + source]))
        nodes.append(value)
    return nodes[3]


def _write_operation(net: LayerBuilder, x: int, operation: int) -> int:
    if operation == 0:
        return net.zero(x)
    if operation == 1:
        return net.identity(x)
    if operation == 4:
        return net.avg_pool(x, 3, stride=1, pad=1)
    return net.part(_write_relu_conv_bn, x, net.shape(x)[1], 1 if operation == 2 else 3)


def _write_reduction(net: LayerBuilder, x: int, channels: int) -> int:
    y = _write_relu_conv_bn(net, x, channels, 3, stride=2)
    y = _write_relu_conv_bn(net, y, channels, 3)
    return net.add(net.conv(net.avg_pool(x, 2), channels, 1), y)


def _write_relu_conv_bn(net: LayerBuilder, x: int, channels: int, kernel: int, stride: int = 1) -> int:
    return net.batch_norm(net.conv(net.relu(x), channels, kernel, stride))
