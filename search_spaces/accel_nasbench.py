"""MnasNet's space as Accel-NASBench searches it (Ahmad et al., DAC 2024, arXiv 2404.08005, appendix B)."""

from __future__ import annotations

from typing import Any

from nnlqp_nas.core import Architecture, InvalidSettingError, Parameter
from nnlqp_nas.graphs import LayerBuilder, LayeredSpace

from .blocks import InvertedResidual, SqueezeExcite, write_classifier, write_conv_norm, write_stage

EXPANSIONS = (1, 4, 6)
KERNELS = (3, 5)
DEPTHS = ((1, 2, 3), (1, 2, 3), (1, 2, 3), (1, 2, 3), (1, 2, 3), (1, 2, 3, 4), (1, 2, 3))
SQUEEZES = ("no", "yes")
CHANNELS = (16, 24, 40, 80, 112, 192, 320)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
STEM_CHANNELS = 32
N_FEATURES = 1280
N_STAGES = len(CHANNELS)
_FIELDS = ("e", "k", "l", "se")
_PLAIN = InvertedResidual(LayerBuilder.relu)
_SQUEEZED = InvertedResidual(LayerBuilder.relu, SqueezeExcite(LayerBuilder.relu, LayerBuilder.sigmoid, is_of_expanded=False))
_PARAMETERS = tuple(
    Parameter(f"{name}_{stage}", choices)
    for stage, depths in enumerate(DEPTHS, 1)
    for name, choices in (("expansion", EXPANSIONS), ("kernel", KERNELS), ("depth", depths), ("squeeze", SQUEEZES))
)


class AccelNasBench(LayeredSpace):
    """Seven stages of inverted residual blocks, alike within a stage; 36^6 * 48 members.

    A stage chooses its expansion, kernel, depth and whether it squeezes and excites. The encoding is the
    benchmark's: ``{"e": [7 expansions], "k": [7 kernels], "l": [7 depths], "se": [7 times true or false]}``.
    Parameters equal the published ones; activations are not published with them: ReLU as MnasNet has it.

    Args:
        resolution: Height and width of the input, pixels.
        n_classes: Outputs of the last layer.

    Raises:
        InvalidSettingError: If ``resolution`` is below 32 or ``n_classes`` below 1.
    """

    name = "accel_nasbench"

    def __init__(self, resolution: int = 224, n_classes: int = 1000) -> None:
        if resolution < 32 or n_classes < 1:
            raise InvalidSettingError(f"expected a resolution >= 32 and n_classes >= 1, got {resolution} and {n_classes}")
        self.resolution = resolution
        self.n_classes = n_classes

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return _PARAMETERS

    @property
    def size(self) -> int:
        n_members = 1
        for parameter in _PARAMETERS:
            n_members *= len(parameter.choices)
        return n_members

    def canonical(self, code: tuple[int, ...]) -> tuple[int, ...]:
        """Return ``code``: every choice changes the network."""
        return code

    def encode(self, architecture: Architecture) -> dict[str, list[Any]]:
        """Return Accel-NASBench's notation."""
        pairs = zip(_PARAMETERS, architecture.code, strict=True)
        choices: list[Any] = [parameter.choices[digit] for parameter, digit in pairs]
        encoding = {field: choices[at :: len(_FIELDS)] for at, field in enumerate(_FIELDS)}
        return {**encoding, "se": [choice == "yes" for choice in encoding["se"]]}

    def decode(self, encoding: Any) -> Architecture:
        """Read Accel-NASBench's notation."""
        try:
            stages = list(zip(*(list(encoding[field]) for field in _FIELDS), strict=True))
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise InvalidSettingError(f"expected {{'e': [7], 'k': [7], 'l': [7], 'se': [7]}}, got {encoding!r}") from error
        if len(stages) != N_STAGES or not all(isinstance(squeeze, bool) for *_, squeeze in stages):
            raise InvalidSettingError(f"expected {N_STAGES} e, k, l, and se true or false, got {encoding!r}")
        return self.architecture(*(choice for *numbers, squeeze in stages for choice in (*numbers, SQUEEZES[squeeze])))

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        stages = self.encode(architecture)
        x = net.input(3, self.resolution, self.resolution)
        x = net.part(write_conv_norm, x, STEM_CHANNELS, 3, 2, LayerBuilder.relu)
        choices = zip(*(stages[field] for field in _FIELDS), CHANNELS, STRIDES, strict=True)
        for expansion, kernel, depth, is_squeezed, channels, stride in choices:
            x = write_stage(net, x, _SQUEEZED if is_squeezed else _PLAIN, channels, stride, [(kernel, expansion)] * depth)
        x = net.part(write_conv_norm, x, N_FEATURES, 1, 1, LayerBuilder.relu)
        return net.part(write_classifier, x, self.n_classes)
