"""ResNet's family (He et al., CVPR 2016, arXiv 1512.03385)."""

from __future__ import annotations

from nnlqp_nas.core import Architecture
from nnlqp_nas.graphs import LayerBuilder

from .blocks import write_classifier, write_conv_norm
from .staged_family import Stage, StagedFamily, Varied, varied_width
from .widths import make_divisible

KERNELS = (1, 3, 5, 7)
STEM_KERNELS = (3, 5, 7)
MIDDLE_RATIOS = (0.5, 1.0, 1.5)


def _stage(channels: int) -> Stage:
    return Stage(2, (varied_width("channels", channels),), (Varied("kernel", KERNELS, 3), Varied("middle_ratio", MIDDLE_RATIOS, 1.0)))


class ResNet(StagedFamily):
    """Four stages of basic residual blocks; its default is ResNet-18 (table 1 of the paper).

    Varied: channels and kernel of the stem, channels and depth of each stage, and for each block the kernel
    of its two convolutions and the channels between them, as a ratio to the stage's.
    """

    name = "resnet"
    outside = varied_width("stem", 64), Varied("stem_kernel", STEM_KERNELS, 7)
    stages = _stage(64), _stage(128), _stage(256), _stage(512)

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        (stem, stem_kernel), stages = self.read(architecture)
        x = net.input(3, self.resolution, self.resolution)
        x = net.part(write_conv_norm, x, stem, stem_kernel, 2, LayerBuilder.relu)
        x = net.max_pool(x, 3, 2, 1)
        for number, ((channels,), blocks) in enumerate(stages):
            for block, (kernel, middle_ratio) in enumerate(blocks):
                stride = 2 if number and not block else 1
                x = net.part(_write_block, x, channels, make_divisible(channels * middle_ratio), kernel, stride)
        return net.part(write_classifier, x, self.n_classes)


def _write_block(net: LayerBuilder, x: int, channels: int, n_middle: int, kernel: int, stride: int) -> int:
    y = write_conv_norm(net, x, n_middle, kernel, stride, LayerBuilder.relu)
    y = write_conv_norm(net, y, channels, kernel)
    is_plain = stride == 1 and net.shape(x)[1] == channels
    return net.relu(net.add(y, x if is_plain else write_conv_norm(net, x, channels, 1, stride)))
