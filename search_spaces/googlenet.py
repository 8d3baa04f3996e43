"""GoogLeNets: variations of Inception v1 (Szegedy et al., CVPR 2015, arXiv 1409.4842), as torchvision builds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nnlqp_nas.core import Architecture, Parameter
from nnlqp_nas.graphs import Family, LayerBuilder

from .widths import make_divisible, widths_around

WIDTHS = (0.5, 0.75, 1.0, 1.25, 1.5)
REDUCTIONS = (0.5, 1.0, 1.5)
KERNELS = (3, 5, 7)
_EPSILON = 0.001


class _Inception(NamedTuple):
    """Channels of a module's six convolutions, as table 1 of the paper lists them."""

    point: int
    middle_reduction: int
    middle: int
    large_reduction: int
    large: int
    pooled: int


_MODULES = {
    "3a": _Inception(64, 96, 128, 16, 32, 32),
    "3b": _Inception(128, 128, 192, 32, 96, 64),
    "4a": _Inception(192, 96, 208, 16, 48, 64),
    "4b": _Inception(160, 112, 224, 24, 64, 64),
    "4c": _Inception(128, 128, 256, 24, 64, 64),
    "4d": _Inception(112, 144, 288, 32, 64, 64),
    "4e": _Inception(256, 160, 320, 32, 128, 128),
    "5a": _Inception(256, 160, 320, 32, 128, 128),
    "5b": _Inception(384, 192, 384, 48, 128, 128),
}
# Kernel of the pooling behind a module; torchvision's second one is smaller than the paper's.
_POOLED = {"3b": 3, "4e": 2}


def _name_parameters() -> tuple[Parameter, ...]:
    parameters = [
        Parameter("stem_kernel", KERNELS),
        Parameter("stem_channels", widths_around(64)),
        Parameter("channels_2", widths_around(192)),
    ]
    for name in _MODULES:
        parameters.append(Parameter(f"width_{name}", WIDTHS))
        parameters.append(Parameter(f"reduction_{name}", REDUCTIONS))
        parameters.append(Parameter(f"kernel_{name}", KERNELS))
    return tuple(parameters)


_PARAMETERS = _name_parameters()


class GoogLeNet(Family):
    """Nine inception modules of four branches: 1x1, 3x3, a large kernel, pooling; no auxiliary classifiers.

    Varied: kernel and channels of the first convolutions; of every module a factor on the channels
    of its branches, a factor on those of its two reductions, and the large kernel. The default is
    torchvision's network, with batch normalisation and, as the TensorFlow code that it
    follows, a large kernel of 3 where the paper has 5.

    Args:
        resolution: Height and width of the input, pixels.
        n_classes: Outputs of the last layer.
    """

    name = "googlenet"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return _PARAMETERS

    @property
    def published(self) -> Mapping[str, int | float | str]:
        choices: dict[str, int | float | str] = {"stem_kernel": 7, "stem_channels": 64, "channels_2": 192}
        for name in _MODULES:
            choices |= {f"width_{name}": 1.0, f"reduction_{name}": 1.0, f"kernel_{name}": 3}
        return choices

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        choice = self.encode(architecture)
        x = net.input(3, self.resolution, self.resolution)
        x = net.part(_write_stem, x, choice["stem_channels"], choice["stem_kernel"], choice["channels_2"])
        for name, module in _MODULES.items():
            scaled = _scaled(module, choice[f"width_{name}"], choice[f"reduction_{name}"])
            x = net.part(_write_inception, x, scaled, choice[f"kernel_{name}"])
            if name in _POOLED:
                x = net.max_pool(x, _POOLED[name], 2, ceil=True)
        return net.linear(net.flatten(net.global_avg_pool(x)), self.n_classes)


def _scaled(module: _Inception, width: float, reduction: float) -> _Inception:
    factors = (width, reduction, width, reduction, width, width)
    return _Inception(*(make_divisible(channels * factor) for channels, factor in zip(module, factors, strict=True)))


def _write_conv(net: LayerBuilder, x: int, channels: int, kernel: int = 1, stride: int = 1) -> int:
    return net.relu(net.batch_norm(net.conv(x, channels, kernel, stride), _EPSILON))


def _write_stem(net: LayerBuilder, x: int, channels: int, kernel: int, channels_2: int) -> int:
    x = net.max_pool(_write_conv(net, x, channels, kernel, 2), 3, 2, ceil=True)
    x = _write_conv(net, _write_conv(net, x, channels), channels_2, 3)
    return net.max_pool(x, 3, 2, ceil=True)


def _write_inception(net: LayerBuilder, x: int, module: _Inception, kernel: int) -> int:
    point = _write_conv(net, x, module.point)
    middle = _write_conv(net, _write_conv(net, x, module.middle_reduction), module.middle, 3)
    large = _write_conv(net, _write_conv(net, x, module.large_reduction), module.large, kernel)
    pooled = _write_conv(net, net.max_pool(x, 3, 1, 1, ceil=True), module.pooled)
    return net.concat([point, middle, large, pooled])
