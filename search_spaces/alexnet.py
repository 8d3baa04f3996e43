"""AlexNets: variations of Krizhevsky's 'one weird trick' network (2014, arXiv 1404.5997), as torchvision builds it."""

from __future__ import annotations

from collections.abc import Mapping

from nnlqp_nas.core import Architecture, Parameter
from nnlqp_nas.graphs import Family, LayerBuilder

from .widths import widths_around

N_CONVS = 5
FEATURES = (1024, 2048, 3072, 4096, 5120)
_CHANNELS = (64, 192, 384, 256, 256)
_KERNELS = (11, 5, 3, 3, 3)
_KERNEL_CHOICES = ((7, 9, 11, 13), (3, 5, 7), (1, 3, 5), (1, 3, 5), (1, 3, 5))
_POOLED = (0, 1, 4)


def _name_parameters() -> tuple[Parameter, ...]:
    parameters = []
    for conv in range(N_CONVS):
        parameters.append(Parameter(f"channels_{conv + 1}", widths_around(_CHANNELS[conv])))
        parameters.append(Parameter(f"kernel_{conv + 1}", _KERNEL_CHOICES[conv]))
    return (*parameters, Parameter("features_1", FEATURES), Parameter("features_2", FEATURES))


_PARAMETERS = _name_parameters()


class AlexNet(Family):
    """Five convolutions, three of them pooled, and three fully-connected layers.

    Varied: channels and kernel of every convolution, features of the two hidden fully-connected
    layers. The first layer's padding follows its kernel, so that maps have the published sizes. Maps
    are flattened as they are: there is no adaptive pooling, which at 224 pixels does nothing.

    Args:
        resolution: Height and width of the input, pixels.
        n_classes: Outputs of the last layer.
    """

    name = "alexnet"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return _PARAMETERS

    @property
    def published(self) -> Mapping[str, int | float | str]:
        convs = range(N_CONVS)
        channels = {f"channels_{conv + 1}": _CHANNELS[conv] for conv in convs}
        kernels = {f"kernel_{conv + 1}": _KERNELS[conv] for conv in convs}
        return {**channels, **kernels, "features_1": 4096, "features_2": 4096}

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        choice = self.encode(architecture)
        x = net.input(3, self.resolution, self.resolution)
        for conv in range(N_CONVS):
            channels, kernel = choice[f"channels_{conv + 1}"], choice[f"kernel_{conv + 1}"]
            x = net.part(_write_conv, x, channels, kernel, conv == 0, conv in _POOLED)
        x = net.flatten(x)
        for features in (choice["features_1"], choice["features_2"]):
            x = net.relu(net.linear(x, features))
        return net.linear(x, self.n_classes)


def _write_conv(net: LayerBuilder, x: int, channels: int, kernel: int, is_first: bool, is_pooled: bool) -> int:
    stride, pad = (4, (kernel - 7) // 2) if is_first else (1, None)
    y = net.relu(net.conv(x, channels, kernel, stride, pad, bias=True))
    return net.max_pool(y, 3, 2) if is_pooled else y
