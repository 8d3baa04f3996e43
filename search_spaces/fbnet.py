"""FBNet's space (Wu et al., CVPR 2019, arXiv 1812.03443), as HW-NAS-Bench (Li et al., ICLR 2021, arXiv 2103.10584) runs it."""

from __future__ import annotations

from typing import Any, NamedTuple

from nnlqp_nas.core import Architecture, InvalidSettingError, Parameter
from nnlqp_nas.graphs import LayerBuilder, LayeredSpace

from .blocks import write_classifier, write_conv_norm


class _Block(NamedTuple):
    kernel: int
    expansion: int
    groups: int = 1


class _Macro(NamedTuple):
    resolution: int
    stem_stride: int
    strides: tuple[int, ...]
    n_features: int
    n_classes: int


_BLOCKS = {
    "k3_e1": _Block(3, 1),
    "k3_e1_g2": _Block(3, 1, 2),
    "k3_e3": _Block(3, 3),
    "k3_e6": _Block(3, 6),
    "k5_e1": _Block(5, 1),
    "k5_e1_g2": _Block(5, 1, 2),
    "k5_e3": _Block(5, 3),
    "k5_e6": _Block(5, 6),
}
OPERATIONS = (*_BLOCKS, "skip")
STEM_CHANNELS = 16
CHANNELS = (16, 24, 32, 64, 112, 184, 352)
DEPTHS = (1, 4, 4, 4, 4, 4, 1)
MACROS = {
    "cifar100": _Macro(32, 1, (1, 1, 2, 2, 1, 2, 1), 1504, 100),
    "imagenet": _Macro(224, 2, (1, 2, 2, 2, 1, 2, 1), 1984, 1000),
}
N_LAYERS = sum(DEPTHS)
_PARAMETERS = tuple(Parameter(f"layer_{i}", OPERATIONS) for i in range(1, N_LAYERS + 1))


class FbNet(LayeredSpace):
    """Twenty-two layers in seven stages, each one of nine blocks; 9^22 members.

    A block is a pointwise convolution to ``expansion`` times the channels, a depthwise convolution and a
    pointwise one; with ``g2`` the pointwise convolutions have two groups and a channel shuffle stands
    between them. ``skip`` is nothing, or a pointwise convolution where the shape changes. The
    encoding is the list of the 22 block names.

    Args:
        dataset: ``cifar100`` (input 3 x 32 x 32) or ``imagenet`` (3 x 224 x 224); strides and the last layers differ too.

    Raises:
        InvalidSettingError: If ``dataset`` is another one.
    """

    name = "fbnet"

    def __init__(self, dataset: str = "cifar100") -> None:
        if dataset not in MACROS:
            raise InvalidSettingError(f"expected a dataset among {', '.join(MACROS)}, got {dataset!r}")
        self.dataset = dataset
        self._macro = MACROS[dataset]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return _PARAMETERS

    @property
    def size(self) -> int:
        return len(OPERATIONS) ** N_LAYERS

    def canonical(self, code: tuple[int, ...]) -> tuple[int, ...]:
        """Return ``code``: every choice is a layer of the network as written."""
        return code

    def encode(self, architecture: Architecture) -> list[str]:
        """Return the names of the blocks, first layer first."""
        return [OPERATIONS[digit] for digit in architecture.code]

    def decode(self, encoding: Any) -> Architecture:
        """Read the names of the blocks."""
        if not isinstance(encoding, list) or len(encoding) != N_LAYERS:
            raise InvalidSettingError(f"expected a list of {N_LAYERS} block names like k3_e1 or skip, got {encoding!r}")
        return self.architecture(*encoding)

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        x = net.input(3, self._macro.resolution, self._macro.resolution)
        x = net.part(write_conv_norm, x, STEM_CHANNELS, 3, self._macro.stem_stride, LayerBuilder.relu)
        digits = iter(architecture.code)
        for channels, depth, stride in zip(CHANNELS, DEPTHS, self._macro.strides, strict=True):
            for layer in range(depth):
                x = _write_layer(net, x, OPERATIONS[next(digits)], channels, 1 if layer else stride)
        x = net.part(write_conv_norm, x, self._macro.n_features, 1, 1, LayerBuilder.relu)
        return net.part(write_classifier, x, self._macro.n_classes)


def _write_layer(net: LayerBuilder, x: int, operation: str, channels: int, stride: int) -> int:
    if operation in _BLOCKS:
        return net.part(_write_block, x, *_BLOCKS[operation], channels, stride)
    if stride == 1 and net.shape(x)[1] == channels:
        return net.identity(x)
    return net.part(write_conv_norm, x, channels, 1, stride, LayerBuilder.relu)


def _write_block(net: LayerBuilder, x: int, kernel: int, expansion: int, groups: int, channels: int, stride: int) -> int:
    n_in = net.shape(x)[1]
    n_middle = n_in * expansion
    y = write_conv_norm(net, x, n_middle, 1, 1, LayerBuilder.relu, groups=groups)
    if groups > 1:
        y = _write_shuffle(net, y, groups)
    y = write_conv_norm(net, y, n_middle, kernel, stride, LayerBuilder.relu, groups=n_middle)
    y = write_conv_norm(net, y, channels, groups=groups)
    return net.add(y, x) if stride == 1 and n_in == channels else y


def _write_shuffle(net: LayerBuilder, x: int, groups: int) -> int:
    """Write a channel shuffle (Zhang et al., CVPR 2018, arXiv 1707.01083)."""
    _, channels, height, width = net.shape(x)
    y = net.reshape(x, groups, channels // groups, height, width)
    return net.reshape(net.transpose(y, 0, 2, 1, 3, 4), channels, height, width)
