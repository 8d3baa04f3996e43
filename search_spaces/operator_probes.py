"""Operator probes: small networks made of the families' parts, so that unknown families are made of known ones."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

from nnlqp_nas.core import Architecture, InvalidSettingError, Parameter
from nnlqp_nas.graphs import LayerBuilder, LayeredSpace

from .probe_heads import HEADS, write_head
from .probe_layers import ACTIVATIONS, KERNELS, LAYERS, RATIOS, SMALLEST_HALVED, STRIDES, Options

DEPTHS = (1, 2, 3, 4)
STEMS = {"3x3": (3, 1), "3x3/2": (3, 2), "7x7/2": (7, 2), "11x11/4": (11, 4), "patch": (0, 0)}
PATCHED_RESOLUTION = 224


class _Map(NamedTuple):
    channels: int
    side: int

    def __str__(self) -> str:
        return f"{self.channels}x{self.side}"


_CHANNELS = {
    224: (16, 64),
    112: (8, 16, 32, 64),
    56: (16, 24, 64, 128),
    55: (64, 96),
    28: (24, 32, 64, 128, 256),
    27: (96, 192),
    14: (64, 80, 112, 192, 384, 512, 768),
    13: (256, 384),
    7: (96, 160, 320, 512, 960, 1280),
}
MAPS = {str(m): m for m in (_Map(channels, side) for side, several in _CHANNELS.items() for channels in several)}
_LAYER_OPTIONS: dict[str, tuple[int | float | str, ...]] = {
    "kernel": KERNELS,
    "stride": STRIDES,
    "activation": ACTIVATIONS,
    "ratio": RATIOS,
}
_FORM = "{'map': '64x28', 'stem': '3x3', 'head': 'pool', 'layers': [{'layer': 'conv', 'kernel': 3}, ...]}"
_N_GLOBAL = 4
_N_DIGITS = 1 + len(_LAYER_OPTIONS)


def _name_parameters() -> tuple[Parameter, ...]:
    parameters = [Parameter("map", tuple(MAPS)), Parameter("stem", tuple(STEMS)), Parameter("head", HEADS), Parameter("depth", DEPTHS)]
    for layer in range(1, DEPTHS[-1] + 1):
        parameters.append(Parameter(f"layer_{layer}", tuple(LAYERS)))
        parameters += [Parameter(f"{option}_{layer}", choices) for option, choices in _LAYER_OPTIONS.items()]
    return tuple(parameters)


_PARAMETERS = _name_parameters()
_NAMES = tuple(LAYERS)


class OperatorProbes(LayeredSpace):
    """One to four layers on a map of some size, behind a first convolution and before a last layer.

    The layers are the blocks of the families (:data:`LAYERS`). Together the probes cover every operator,
    every pair of neighbouring operators and the range of shapes that the families use. An option that a
    layer does not use has no effect; where the map is too small to be halved the stride is 1, and where a
    layer does not fit a map the first one stands. The encoding is a dictionary of map, stem, head and
    layers, each layer with the options that it uses.

    Args:
        n_classes: Outputs of the heads that classify.

    Raises:
        InvalidSettingError: If ``n_classes`` is less than 1.
    """

    name = "operator_probes"

    def __init__(self, n_classes: int = 1000) -> None:
        if n_classes < 1:
            raise InvalidSettingError(f"expected n_classes >= 1, got {n_classes}")
        self.n_classes = n_classes

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return _PARAMETERS

    @property
    def size(self) -> int:
        ways = sum(_count_layers(m.side, depth) for m in MAPS.values() for depth in DEPTHS)
        return len(STEMS) * len(HEADS) * ways

    def canonical(self, code: tuple[int, ...]) -> tuple[int, ...]:
        """Return ``code`` with choices set to 0 that the depth, the layer or the size of the map leaves without effect."""
        digits = list(code[:_N_GLOBAL])
        side = tuple(MAPS.values())[code[0]].side
        for layer in range(DEPTHS[-1]):
            if layer >= DEPTHS[code[3]]:
                digits += (0,) * _N_DIGITS
                continue
            first = _N_GLOBAL + layer * _N_DIGITS
            kept, side = _fitted(code[first : first + _N_DIGITS], side)
            digits += kept
        return tuple(digits)

    def encode(self, architecture: Architecture) -> dict[str, Any]:
        """Return map, stem, head, and the layers with the options that each uses."""
        named = {p.name: p.choices[digit] for p, digit in zip(_PARAMETERS, architecture.code, strict=True)}
        layers: list[dict[str, Any]] = []
        for at in range(1, int(named["depth"]) + 1):
            layer = str(named[f"layer_{at}"])
            layers.append({"layer": layer, **{option: named[f"{option}_{at}"] for option in LAYERS[layer].uses}})
        return {"map": named["map"], "stem": named["stem"], "head": named["head"], "layers": layers}

    def decode(self, encoding: Any) -> Architecture:
        """Read what :meth:`encode` wrote; a layer's missing options are the first ones."""
        try:
            layers = [dict(layer) for layer in encoding["layers"]]
            choices = [encoding["map"], encoding["stem"], encoding["head"], len(layers)]
            for layer in layers + [{"layer": _NAMES[0]}] * (DEPTHS[-1] - len(layers)):
                choices.append(layer["layer"])
                choices += [layer.get(option, offered[0]) for option, offered in _LAYER_OPTIONS.items()]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InvalidSettingError(f"expected {_FORM}, got {encoding!r}") from error
        unknown = {name for layer in layers for name in layer} - {"layer", *_LAYER_OPTIONS}
        if unknown:
            raise InvalidSettingError(f"expected the options {', '.join(_LAYER_OPTIONS)}, got {', '.join(map(str, unknown))}")
        return self.architecture(*choices)

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        probe = self.encode(architecture)
        x = _write_stem(net, MAPS[probe["map"]], *STEMS[probe["stem"]])
        for layer in probe["layers"]:
            options = Options(*(layer.get(option, offered[0]) for option, offered in _LAYER_OPTIONS.items()))
            x = net.part(LAYERS[layer["layer"]].write, x, options)
        return write_head(net, x, probe["head"], self.n_classes)


def _fitted(digits: tuple[int, ...], side: int) -> tuple[tuple[int, ...], int]:
    """Return a layer's digits with those without effect set to 0, and the smallest side that its map may have.

    Networks halve a side of ``s`` to between ``(s - 1) // 2`` and ``(s + 1) // 2``; with the lower bound every layer fits.
    """
    layer = LAYERS[_NAMES[digits[0]]]
    at = digits[0] if layer.smallest <= side <= layer.largest else 0
    layer = LAYERS[_NAMES[at]]
    kept = {option: digit if option in layer.uses else 0 for option, digit in zip(_LAYER_OPTIONS, digits[1:], strict=True)}
    if side < SMALLEST_HALVED:
        kept["stride"] = 0
    is_halved = layer.halves or kept["stride"] > 0
    return (at, *kept.values()), (side - 1) // 2 if is_halved else side


@lru_cache(maxsize=256)
def _count_layers(side: int, depth: int) -> int:
    """Return in how many ways ``depth`` layers can follow a map."""
    if not depth:
        return 1
    n = 0
    for layer in LAYERS.values():
        if not layer.smallest <= side <= layer.largest:
            continue
        ways = prod(len(_LAYER_OPTIONS[option]) for option in layer.uses if option != "stride")
        if not layer.halves:
            n += ways * _count_layers(side, depth - 1)
        if layer.halves or ("stride" in layer.uses and side >= SMALLEST_HALVED):
            n += ways * _count_layers((side - 1) // 2, depth - 1)
    return n


def _write_stem(net: LayerBuilder, m: _Map, kernel: int, stride: int) -> int:
    """The first convolution of a network, from an image of three channels to the map; a patch takes 224 pixels there."""
    if not kernel:
        kernel = stride = PATCHED_RESOLUTION // m.side
        return net.conv(net.input(3, m.side * stride, m.side * stride), m.channels, kernel, stride, pad=0, bias=True)
    image = net.input(3, m.side * stride, m.side * stride)
    pad = (kernel - 1) // 2 if stride < 4 else (kernel - stride) // 2 + 1
    return net.relu(net.batch_norm(net.conv(image, m.channels, kernel, stride, pad)))
