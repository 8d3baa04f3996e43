"""SqueezeNets: variations of SqueezeNet 1.0 and 1.1 (Iandola et al. 2016, arXiv 1602.07360)."""

from __future__ import annotations

from collections.abc import Mapping

from nnlqp_nas.core import Architecture, Parameter
from nnlqp_nas.graphs import Family, LayerBuilder

from .widths import widths_around

SQUEEZES = (8, 16, 24, 32, 48, 64, 80, 96)
KERNELS = (3, 5, 7)
# After which fire modules a release pools, beside once behind the first convolution.
POOLED = {"1.0": (3, 7), "1.1": (2, 4)}
_SQUEEZES = (16, 16, 32, 32, 48, 48, 64, 64)
_EXPANSIONS = (64, 64, 128, 128, 192, 192, 256, 256)


def _name_parameters() -> tuple[Parameter, ...]:
    parameters = [
        Parameter("release", tuple(POOLED)),
        Parameter("stem_channels", (32, 48, 64, 80, 96)),
        Parameter("stem_kernel", KERNELS),
    ]
    for at, expand in enumerate(_EXPANSIONS, 1):
        parameters.append(Parameter(f"squeeze_{at}", SQUEEZES))
        parameters.append(Parameter(f"expand_{at}", widths_around(expand)))
        parameters.append(Parameter(f"kernel_{at}", KERNELS))
    return tuple(parameters)


_PARAMETERS = _name_parameters()


class SqueezeNet(Family):
    """Eight fire modules: a 1x1 convolution squeezes, a 1x1 and a larger one expand side by side.

    Varied: where maps are halved (as release 1.0 or 1.1 does), channels and kernel of the first
    convolution, squeezed and expanded channels and the larger kernel of every fire module. The default is
    release 1.1; :attr:`release_1_0` the first one.

    Args:
        resolution: Height and width of the input, pixels.
        n_classes: Outputs of the last layer.
    """

    name = "squeezenet"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return _PARAMETERS

    @property
    def published(self) -> Mapping[str, int | float | str]:
        return {**_published_fires(), "release": "1.1", "stem_channels": 64, "stem_kernel": 3}

    @property
    def release_1_0(self) -> Architecture:
        """The network of the paper."""
        return self.decode({**_published_fires(), "release": "1.0", "stem_channels": 96, "stem_kernel": 7})

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        choice = self.encode(architecture)
        x = net.input(3, self.resolution, self.resolution)
        x = net.part(_write_stem, x, choice["stem_channels"], choice["stem_kernel"])
        for at in range(1, 1 + len(_EXPANSIONS)):
            x = net.part(_write_fire, x, choice[f"squeeze_{at}"], choice[f"expand_{at}"], choice[f"kernel_{at}"])
            if at in POOLED[choice["release"]]:
                x = net.max_pool(x, 3, 2, ceil=True)
        x = net.relu(net.conv(x, self.n_classes, 1, bias=True))
        return net.flatten(net.global_avg_pool(x))


def _published_fires() -> dict[str, int | float | str]:
    choices: dict[str, int | float | str] = {}
    for at, (squeeze, expand) in enumerate(zip(_SQUEEZES, _EXPANSIONS, strict=True), 1):
        choices |= {f"squeeze_{at}": squeeze, f"expand_{at}": expand, f"kernel_{at}": 3}
    return choices


def _write_stem(net: LayerBuilder, x: int, channels: int, kernel: int) -> int:
    x = net.relu(net.conv(x, channels, kernel, 2, pad=0, bias=True))
    return net.max_pool(x, 3, 2, ceil=True)


def _write_fire(net: LayerBuilder, x: int, squeeze: int, expand: int, kernel: int) -> int:
    x = net.relu(net.conv(x, squeeze, 1, bias=True))
    branches = [net.relu(net.conv(x, expand, size, bias=True)) for size in (1, kernel)]
    return net.concat(branches)
