"""EfficientNet's family (Tan and Le, ICML 2019, arXiv 1905.11946)."""

from __future__ import annotations

from nnlqp_nas.core import Architecture
from nnlqp_nas.graphs import LayerBuilder

from .blocks import InvertedResidual, SqueezeExcite, write_classifier, write_conv_norm, write_stage
from .staged_family import Stage, StagedFamily, Varied, varied_width

KERNELS = (3, 5, 7)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
_KIND = InvertedResidual(LayerBuilder.swish, SqueezeExcite(LayerBuilder.swish, LayerBuilder.sigmoid, is_of_expanded=False))


def _stage(expansion: int, kernel: int, channels: int, depth: int) -> Stage:
    expansions = (2, 3, 4, 6) if expansion > 1 else (1, 2, 3)
    each = Varied("kernel", KERNELS, kernel), Varied("expansion", expansions, expansion)
    return Stage(depth, (varied_width("channels", channels),), each)


class EfficientNet(StagedFamily):
    """Seven stages of inverted residual blocks with squeeze-and-excitation and Swish; its default is EfficientNet-B0.

    Varied: channels of stem, stages and head, depth of each stage, kernel and expansion of each block.
    The default is table 1 of the paper.
    """

    name = "efficientnet"
    outside = varied_width("stem", 32), varied_width("head", 1280)
    stages = (
        _stage(1, 3, 16, 1),
        _stage(6, 3, 24, 2),
        _stage(6, 5, 40, 2),
        _stage(6, 3, 80, 3),
        _stage(6, 5, 112, 3),
        _stage(6, 5, 192, 4),
        _stage(6, 3, 320, 1),
    )

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        (stem, head), stages = self.read(architecture)
        x = net.input(3, self.resolution, self.resolution)
        x = net.part(write_conv_norm, x, stem, 3, 2, LayerBuilder.swish)
        for stride, ((channels,), blocks) in zip(STRIDES, stages, strict=True):
            x = write_stage(net, x, _KIND, channels, stride, blocks)
        x = net.part(write_conv_norm, x, head, 1, 1, LayerBuilder.swish)
        return net.part(write_classifier, x, self.n_classes)
