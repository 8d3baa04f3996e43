"""Once-for-All's MobileNetV3 space (Cai et al., ICLR 2020, arXiv 1908.09791)."""

from __future__ import annotations

from typing import Any, NamedTuple

from nnlqp_nas.core import Architecture, InvalidSettingError, Parameter
from nnlqp_nas.graphs import LayerBuilder, LayeredSpace

from .blocks import InvertedResidual, SqueezeExcite, write_conv_norm, write_stage
from .widths import make_divisible

KERNELS = (3, 5, 7)
EXPANSIONS = (3, 4, 6)
DEPTHS = (2, 3, 4)
RESOLUTIONS = tuple(range(128, 225, 4))
WIDTHS = (1.0, 1.2)
N_STAGES = 5
MAX_DEPTH = 4
_DIGITS_A_STAGE = 1 + 2 * MAX_DEPTH


class _Stage(NamedTuple):
    channels: int
    stride: int
    kind: InvertedResidual


_SOFT = InvertedResidual(LayerBuilder.relu)
_HARD = InvertedResidual(LayerBuilder.hard_swish)
_SOFT_SQUEEZED = InvertedResidual(LayerBuilder.relu, SqueezeExcite())
_HARD_SQUEEZED = InvertedResidual(LayerBuilder.hard_swish, SqueezeExcite())
_STAGES = (
    _Stage(24, 2, _SOFT),
    _Stage(40, 2, _SOFT_SQUEEZED),
    _Stage(80, 2, _HARD),
    _Stage(112, 1, _HARD_SQUEEZED),
    _Stage(160, 2, _HARD_SQUEEZED),
)


def _name_parameters() -> tuple[Parameter, ...]:
    parameters = [Parameter("resolution", RESOLUTIONS)]
    for stage in range(1, N_STAGES + 1):
        parameters.append(Parameter(f"depth_{stage}", DEPTHS))
        for block in range(1, MAX_DEPTH + 1):
            parameters += [Parameter(f"kernel_{stage}_{block}", KERNELS), Parameter(f"expansion_{stage}_{block}", EXPANSIONS)]
    return tuple(parameters)


_PARAMETERS = _name_parameters()


class MobileNetV3(LayeredSpace):
    """Five stages of two to four inverted residual blocks; the sub-networks of OFA-MobileNetV3.

    A code is the resolution and then, for each stage, its depth and the kernel and expansion of
    four blocks; those of blocks beyond the depth have no effect and are zero. The encoding is
    Once-for-All's: ``{"ks": [20 kernels], "e": [20 expansions], "d": [5 depths], "r": resolution}``.

    Args:
        width: Factor on every number of channels, 1.0 or 1.2 (the two published super-networks).
        n_classes: Outputs of the last layer.
        resolution: The resolution that every member has, pixels; None leaves it to be chosen. A code means the
            same network either way: where it is fixed, the choice has no effect and every code has its digit.

    Raises:
        InvalidSettingError: If ``width`` is not one of the published ones, or ``resolution`` none of the space's.
    """

    name = "mobilenetv3"

    def __init__(self, width: float = 1.2, n_classes: int = 1000, resolution: int | None = None) -> None:
        if width not in WIDTHS:
            raise InvalidSettingError(f"expected a width of {WIDTHS[0]} or {WIDTHS[1]}, got {width!r}")
        if resolution is not None and resolution not in RESOLUTIONS:
            raise InvalidSettingError(f"expected a resolution in steps of 4 from 128 to 224, or None, got {resolution!r}")
        self.width = float(width)
        self.n_classes = n_classes
        self.resolution = resolution
        self._stages = tuple(stage._replace(channels=self._widen(stage.channels)) for stage in _STAGES)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return _PARAMETERS

    @property
    def size(self) -> int:
        a_block = len(KERNELS) * len(EXPANSIONS)
        n_resolutions = len(RESOLUTIONS) if self.resolution is None else 1
        return int(n_resolutions * sum(a_block**depth for depth in DEPTHS) ** N_STAGES)

    def canonical(self, code: tuple[int, ...]) -> tuple[int, ...]:
        """Return ``code`` with kernel and expansion of blocks beyond their stage's depth set to 0, and a fixed resolution's digit."""
        digits = list(code)
        if self.resolution is not None:
            digits[0] = RESOLUTIONS.index(self.resolution)
        for first in range(1, len(digits), _DIGITS_A_STAGE):
            n_inactive = 2 * (MAX_DEPTH - DEPTHS[code[first]])
            if n_inactive:
                end = first + _DIGITS_A_STAGE
                digits[end - n_inactive : end] = (0,) * n_inactive
        return tuple(digits)

    def encode(self, architecture: Architecture) -> dict[str, Any]:
        """Return Once-for-All's notation; kernel and expansion of inactive blocks are the smallest ones."""
        code = architecture.code
        firsts = range(1, len(code), _DIGITS_A_STAGE)
        return {
            "ks": [KERNELS[digit] for first in firsts for digit in code[first + 1 : first + _DIGITS_A_STAGE : 2]],
            "e": [EXPANSIONS[digit] for first in firsts for digit in code[first + 2 : first + _DIGITS_A_STAGE : 2]],
            "d": [DEPTHS[code[first]] for first in firsts],
            "r": RESOLUTIONS[code[0]],
        }

    def decode(self, encoding: Any) -> Architecture:
        """Read Once-for-All's notation; entries of inactive blocks may hold anything."""
        try:
            kernels, expansions, depths = (list(encoding[field]) for field in ("ks", "e", "d"))
            resolution = encoding["r"]
        except (KeyError, TypeError, IndexError) as error:
            raise InvalidSettingError(f"expected {{'ks': [20], 'e': [20], 'd': [5], 'r': int}}, got {encoding!r}") from error
        if (len(kernels), len(expansions), len(depths)) != (N_STAGES * MAX_DEPTH, N_STAGES * MAX_DEPTH, N_STAGES):
            raise InvalidSettingError(f"expected 20 ks, 20 e and 5 d, got {len(kernels)}, {len(expansions)} and {len(depths)}")
        if self.resolution not in (None, resolution):
            raise InvalidSettingError(f"expected r to be {self.resolution}, which this space has fixed, got {resolution!r}")
        choices = [resolution]
        for stage, depth in enumerate(depths):
            choices.append(depth)
            for block in range(MAX_DEPTH):
                at, is_active = stage * MAX_DEPTH + block, block < depth
                choices += [kernels[at] if is_active else KERNELS[0], expansions[at] if is_active else EXPANSIONS[0]]
        return self.architecture(*choices)

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        code = architecture.code
        resolution = RESOLUTIONS[code[0]]
        x = net.input(3, resolution, resolution)
        x = net.part(write_conv_norm, x, self._widen(16), 3, 2, LayerBuilder.hard_swish)
        x = write_stage(net, x, _SOFT, self._widen(16), 1, [(3, 1)])
        for stage, first in zip(self._stages, range(1, len(code), _DIGITS_A_STAGE), strict=True):
            end = first + 1 + 2 * DEPTHS[code[first]]
            blocks = [(KERNELS[code[at]], EXPANSIONS[code[at + 1]]) for at in range(first + 1, end, 2)]
            x = write_stage(net, x, stage.kind, stage.channels, stage.stride, blocks)
        return net.part(_write_head, x, self._widen(960), self._widen(1280), self.n_classes)

    def _widen(self, channels: int) -> int:
        return make_divisible(channels * self.width)


def _write_head(net: LayerBuilder, x: int, n_expanded: int, n_features: int, n_classes: int) -> int:
    x = write_conv_norm(net, x, n_expanded, activation=LayerBuilder.hard_swish)
    x = net.hard_swish(net.conv(net.global_avg_pool(x), n_features, 1))
    return net.linear(net.flatten(x), n_classes)
