"""MobileNetV3-Large's family (Howard et al., ICCV 2019, arXiv 1905.02244); Once-for-All's space is ``mobilenetv3``."""

from __future__ import annotations

from nnlqp_nas.core import Architecture
from nnlqp_nas.graphs import LayerBuilder

from .blocks import InvertedResidual, SqueezeExcite, write_conv_norm, write_stage
from .staged_family import Stage, StagedFamily, Varied, varied_width

KERNELS = (3, 5, 7)
# Below half the published width, expansions of 2.3 and 2.5 round to one number of channels.
WIDTH_FACTORS = (0.5, 0.75, 1.0, 1.25, 1.5)
EPSILON = 1e-3

_SOFT = InvertedResidual(LayerBuilder.relu, None, EPSILON)
_SOFT_SQUEEZED = InvertedResidual(LayerBuilder.relu, SqueezeExcite(), EPSILON)
_HARD = InvertedResidual(LayerBuilder.hard_swish, None, EPSILON)
_HARD_SQUEEZED = InvertedResidual(LayerBuilder.hard_swish, SqueezeExcite(), EPSILON)
# Stride and kind of the blocks of each stage.
_MANNERS = (1, _SOFT), (2, _SOFT), (2, _SOFT_SQUEEZED), (2, _HARD), (1, _HARD_SQUEEZED), (2, _HARD_SQUEEZED)


def _stage(channels: int, kernel: int, expansions: tuple[float, ...], published: tuple[float, ...]) -> Stage:
    each = Varied("kernel", KERNELS, kernel), Varied("expansion", expansions, published)
    return Stage(len(published), (varied_width("channels", channels, WIDTH_FACTORS),), each)


class MobileNetV3Large(StagedFamily):
    """Six stages of inverted residual blocks, later ones with hard Swish; its default is MobileNetV3-Large 1.0.

    Varied: channels of stem, stages and the two last layers, depth of each stage, kernel and
    expansion of each block. The default is table 1 of the paper.
    """

    name = "mobilenetv3_large"
    outside = varied_width("stem", 16), varied_width("head", 960), varied_width("features", 1280)
    stages = (
        _stage(16, 3, (1, 2, 3), (1,)),
        _stage(24, 3, (2, 3, 4, 6), (4, 3)),
        _stage(40, 5, (2, 3, 4, 6), (3, 3, 3)),
        _stage(80, 3, (2.3, 2.5, 4, 6), (6, 2.5, 2.3, 2.3)),
        _stage(112, 3, (2, 3, 4, 6), (6, 6)),
        _stage(160, 5, (2, 3, 4, 6), (6, 6, 6)),
    )

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        (stem, head, features), stages = self.read(architecture)
        x = net.input(3, self.resolution, self.resolution)
        x = net.part(write_conv_norm, x, stem, 3, 2, LayerBuilder.hard_swish, EPSILON)
        for (stride, kind), ((channels,), blocks) in zip(_MANNERS, stages, strict=True):
            x = write_stage(net, x, kind, channels, stride, blocks)
        x = net.part(write_conv_norm, x, head, 1, 1, LayerBuilder.hard_swish, EPSILON)
        return net.part(_write_classifier, x, features, self.n_classes)


def _write_classifier(net: LayerBuilder, x: int, features: int, n_classes: int) -> int:
    x = net.linear(net.flatten(net.global_avg_pool(x)), features)
    return net.linear(net.hard_swish(x), n_classes)
