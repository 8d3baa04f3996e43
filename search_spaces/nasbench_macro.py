"""NAS-Bench-Macro (Su et al., CVPR 2021, arXiv 2103.11922): blocks chosen layer by layer on CIFAR-10."""

from __future__ import annotations

import re
from typing import Any

from nnlqp_nas.core import Architecture, InvalidSettingError, Parameter
from nnlqp_nas.graphs import LayerBuilder, LayeredSpace

from .blocks import InvertedResidual, write_classifier, write_conv_norm, write_inverted_residual

OPERATIONS = ("identity", "k3_e3", "k5_e6")
_BLOCKS = {"k3_e3": (3, 3), "k5_e6": (5, 6)}
_KIND = InvertedResidual(LayerBuilder.relu)
STEM_CHANNELS = 32
DEPTHS = (2, 3, 3)
N_LAYERS = sum(DEPTHS)
N_FEATURES = 1280
_PARAMETERS = tuple(Parameter(f"layer_{i}", OPERATIONS) for i in range(1, N_LAYERS + 1))


class NasBenchMacro(LayeredSpace):
    """Eight layers in three stages, each the identity or one of two inverted residual blocks; 6,561 members.

    The first layer of a stage halves the map and doubles the channels, from 32; there the identity is
    a pointwise convolution and its normalisation. The encoding is the benchmark's: a string of eight digits,
    0 the identity, 1 kernel 3 and expansion 3, 2 kernel 5 and expansion 6.

    Args:
        n_classes: Outputs of the last layer; the benchmark trained on CIFAR-10.
        resolution: Height and width of the input, pixels.

    Raises:
        InvalidSettingError: If ``n_classes`` is below 1 or ``resolution`` below 8.
    """

    name = "nasbench_macro"

    def __init__(self, n_classes: int = 10, resolution: int = 32) -> None:
        if n_classes < 1 or resolution < 8:
            raise InvalidSettingError(f"expected n_classes >= 1 and a resolution >= 8, got {n_classes} and {resolution}")
        self.n_classes = n_classes
        self.resolution = resolution

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return _PARAMETERS

    @property
    def size(self) -> int:
        return len(OPERATIONS) ** N_LAYERS

    def canonical(self, code: tuple[int, ...]) -> tuple[int, ...]:
        """Return ``code``: every choice is a layer of the network as written."""
        return code

    def encode(self, architecture: Architecture) -> str:
        """Return the digits of the layers, first layer first."""
        return "".join(map(str, architecture.code))

    def decode(self, encoding: Any) -> Architecture:
        """Read the digits of the layers."""
        if not isinstance(encoding, str) or not re.fullmatch(f"[012]{{{N_LAYERS}}}", encoding):
            raise InvalidSettingError(f"expected {N_LAYERS} digits 0, 1 or 2 like '21012021', got {encoding!r}")
        return Architecture(self.name, tuple(map(int, encoding)))

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        x = net.input(3, self.resolution, self.resolution)
        x = net.part(write_conv_norm, x, STEM_CHANNELS, 3, 1, LayerBuilder.relu)
        digits = iter(architecture.code)
        for stage, depth in enumerate(DEPTHS):
            for layer in range(depth):
                x = _write_layer(net, x, OPERATIONS[next(digits)], STEM_CHANNELS * 2 ** (stage + 1), 1 if layer else 2)
        x = net.part(write_conv_norm, x, N_FEATURES, 1, 1, LayerBuilder.relu)
        return net.part(write_classifier, x, self.n_classes)


def _write_layer(net: LayerBuilder, x: int, operation: str, channels: int, stride: int) -> int:
    if operation in _BLOCKS:
        kernel, expansion = _BLOCKS[operation]
        return net.part(write_inverted_residual, x, _KIND, channels, kernel, expansion, stride)
    return net.identity(x) if stride == 1 else net.part(write_conv_norm, x, channels, 1, stride)
