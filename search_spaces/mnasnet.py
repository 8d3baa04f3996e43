"""MnasNet's family (Tan et al., CVPR 2019, arXiv 1807.11626)."""

from __future__ import annotations

from nnlqp_nas.core import Architecture
from nnlqp_nas.graphs import LayerBuilder

from .blocks import InvertedResidual, SqueezeExcite, write_classifier, write_conv_norm, write_stage
from .staged_family import Stage, StagedFamily, Varied, varied_width

KERNELS = (3, 5, 7)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
_PLAIN = InvertedResidual(LayerBuilder.relu)
_SQUEEZED = InvertedResidual(LayerBuilder.relu, SqueezeExcite(LayerBuilder.relu, LayerBuilder.sigmoid, is_of_expanded=False))


def _stage(expansion: int, kernel: int, channels: int, depth: int) -> Stage:
    expansions = (2, 3, 4, 6) if expansion > 1 else (1, 2, 3)
    once = varied_width("channels", channels), Varied("squeeze_ratio", (0.0, 0.25), 0.0)
    return Stage(depth, once, (Varied("kernel", KERNELS, kernel), Varied("expansion", expansions, expansion)))


class MnasNet(StagedFamily):
    """Seven stages of inverted residual blocks with ReLU, some with squeeze-and-excitation; its default is MnasNet-B1 1.0.

    Varied: channels of stem, stages and head, depth and squeeze-and-excitation of each stage, kernel
    and expansion of each block: what the paper searches (its section 4.1), but for plain convolutions.
    """

    name = "mnasnet"
    outside = varied_width("stem", 32), varied_width("head", 1280)
    stages = (
        _stage(1, 3, 16, 1),
        _stage(3, 3, 24, 3),
        _stage(3, 5, 40, 3),
        _stage(6, 5, 80, 3),
        _stage(6, 3, 96, 2),
        _stage(6, 5, 192, 4),
        _stage(6, 3, 320, 1),
    )

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        (stem, head), stages = self.read(architecture)
        x = net.input(3, self.resolution, self.resolution)
        x = net.part(write_conv_norm, x, stem, 3, 2, LayerBuilder.relu)
        for stride, ((channels, squeeze_ratio), blocks) in zip(STRIDES, stages, strict=True):
            x = write_stage(net, x, _SQUEEZED if squeeze_ratio else _PLAIN, channels, stride, blocks)
        x = net.part(write_conv_norm, x, head, 1, 1, LayerBuilder.relu)
        return net.part(write_classifier, x, self.n_classes)
