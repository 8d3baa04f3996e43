"""MobileNetV2's family (Sandler et al., CVPR 2018, arXiv 1801.04381)."""

from __future__ import annotations

from nnlqp_nas.core import Architecture
from nnlqp_nas.graphs import LayerBuilder

from .blocks import InvertedResidual, write_classifier, write_conv_norm, write_stage
from .staged_family import Stage, StagedFamily, Varied, varied_width

KERNELS = (3, 5, 7)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
_KIND = InvertedResidual(LayerBuilder.relu6)


def _stage(expansion: int, channels: int, depth: int) -> Stage:
    expansions = (2, 3, 4, 6) if expansion > 1 else (1, 2, 3)
    each = Varied("kernel", KERNELS, 3), Varied("expansion", expansions, expansion)
    return Stage(depth, (varied_width("channels", channels),), each)


class MobileNetV2(StagedFamily):
    """Seven stages of inverted residual blocks with ReLU6; its default is MobileNetV2 1.0 (table 2 of the paper).

    Varied: channels of stem, stages and head, depth of each stage, kernel and expansion of each block.
    """

    name = "mobilenetv2"
    outside = varied_width("stem", 32), varied_width("head", 1280)
    stages = (
        _stage(1, 16, 1),
        _stage(6, 24, 2),
        _stage(6, 32, 3),
        _stage(6, 64, 4),
        _stage(6, 96, 3),
        _stage(6, 160, 3),
        _stage(6, 320, 1),
    )

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        (stem, head), stages = self.read(architecture)
        x = net.input(3, self.resolution, self.resolution)
        x = net.part(write_conv_norm, x, stem, 3, 2, LayerBuilder.relu6)
        for stride, ((channels,), blocks) in zip(STRIDES, stages, strict=True):
            x = write_stage(net, x, _KIND, channels, stride, blocks)
        x = net.part(write_conv_norm, x, head, 1, 1, LayerBuilder.relu6)
        return net.part(write_classifier, x, self.n_classes)
