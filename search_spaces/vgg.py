"""VGG's family (Simonyan and Zisserman, ICLR 2015, arXiv 1409.1556)."""

from __future__ import annotations

from nnlqp_nas.core import Architecture
from nnlqp_nas.graphs import LayerBuilder

from .staged_family import Stage, StagedFamily, Varied, varied_width

KERNELS = (1, 3, 5)
FEATURES = (512, 1024, 2048, 4096)
# Nothing wider than a quarter above the published widths: a VGG is the dearest network of its time as it is.
WIDTH_FACTORS = (0.25, 0.5, 0.75, 1.0, 1.25)


def _stage(depth: int, channels: int) -> Stage:
    return Stage(depth, (varied_width("channels", channels, WIDTH_FACTORS),), (Varied("kernel", KERNELS, 3),))


class Vgg(StagedFamily):
    """Five stages of plain convolutions, each with a maximum pool behind it; its default is VGG-16 (configuration D of the paper).

    Varied: channels and depth of each stage, kernel of each convolution, width of the two hidden layers.
    """

    name = "vgg"
    outside = Varied("features_1", FEATURES, 4096), Varied("features_2", FEATURES, 4096)
    stages = _stage(2, 64), _stage(2, 128), _stage(3, 256), _stage(3, 512), _stage(3, 512)

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        features, stages = self.read(architecture)
        x = net.input(3, self.resolution, self.resolution)
        for (channels,), blocks in stages:
            for (kernel,) in blocks:
                x = net.part(_write_conv, x, channels, kernel)
            x = net.max_pool(x, 2)
        x = net.flatten(x)
        for n_features in features:
            x = net.relu(net.linear(x, n_features))
        return net.linear(x, self.n_classes)


def _write_conv(net: LayerBuilder, x: int, channels: int, kernel: int) -> int:
    return net.relu(net.conv(x, channels, kernel, bias=True))
