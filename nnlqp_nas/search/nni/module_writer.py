"""Members of an NNI model space, written straight from the space's own layers: no network is built, none exported."""

# ruff: noqa: ARG001, ARG005 - each function takes the arguments of write_module

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import singledispatch
from typing import Any

from nni.mutable.symbol import SymbolicExpression
from nni.nas.nn.pytorch import LayerChoice, MutableModule, Repeat
from torch import nn

from ...core import UnsupportedError
from ...graphs import LayerBuilder


class Choices:
    """Answers what a layer's settings are for one sample of its space.

    Settings of NNI's layers may be expressions of choices; each is computed once for the values
    that it depends on, in this sample or an earlier one.
    """

    def __init__(self) -> None:
        self.sample: Mapping[str, Any] = {}
        self._results: dict[Any, Any] = {}
        self._labels: dict[int, tuple[str, ...]] = {}
        # Holding expressions and layers keeps their identities, the keys above, from being given to others.
        self._expressions: list[Any] = []
        self._settings: dict[nn.Module, Mapping[str, Any]] = {}

    def of(self, sample: Mapping[str, Any]) -> Choices:
        """Return the choices of another sample, which share what is known; threads may each have their own."""
        other = copy(self)
        other.sample = sample
        return other

    def value(self, setting: Any) -> Any:
        """Return what a setting is, or a choice chose."""
        if not isinstance(setting, SymbolicExpression):
            return setting
        labels = self._labels.get(id(setting))
        if labels is None:
            labels = self._labels[id(setting)] = tuple(dict.fromkeys(symbol.label for symbol in setting.leaf_symbols()))
            self._expressions.append(setting)
        key = (id(setting), *[self.sample[label] for label in labels])
        if key not in self._results:
            self._results[key] = setting.evaluate(dict(self.sample))
        return self._results[key]

    def of_layer(self, layer: nn.Module, *names: str) -> list[Any]:
        """Return settings of a layer by name; ``bias`` tells whether it has one."""
        settings = self._settings.get(layer)
        if settings is None:
            own = layer.args if isinstance(layer, MutableModule) else {**vars(layer), "bias": getattr(layer, "bias", None) is not None}
            settings = self._settings[layer] = own
        return [self.value(settings[name]) for name in names]


@singledispatch
def write_module(module: nn.Module, net: LayerBuilder, x: int, choices: Choices) -> int:
    """Write what ``module`` computes from ``x`` for the sample that ``choices`` holds.

    Layers, blocks of NNI's hub and whole spaces of it are known. Of your own class say how its
    ``forward`` runs: ``@write_module.register`` a function of these arguments.

    Args:
        module: A layer, block or space, not frozen.
        net: What it is written with.
        x: The value it reads.
        choices: The sample.

    Returns:
        The value of its result.

    Raises:
        UnsupportedError: If nobody said how a class runs.
    """
    raise UnsupportedError(
        f"expected a layer that can be written without an export, got {type(module).__name__}; "
        "say how it runs with @write_module.register, or let the space be exported"
    )


def can_write(module: nn.Module) -> bool:
    """Tell whether somebody said how this class runs."""
    return write_module.dispatch(type(module)) is not write_module.dispatch(object)


@write_module.register
def _(module: nn.Sequential, net: LayerBuilder, x: int, choices: Choices) -> int:
    for layer in module:
        x = write_module(layer, net, x, choices)
    return x


@write_module.register
def _(module: Repeat, net: LayerBuilder, x: int, choices: Choices) -> int:
    for block in list(module.blocks)[: choices.value(module.depth_choice)]:
        x = write_module(block, net, x, choices)
    return x


@write_module.register
def _(module: LayerChoice, net: LayerBuilder, x: int, choices: Choices) -> int:
    return write_module(module[choices.value(module.choice)], net, x, choices)


@write_module.register
def _(module: nn.Conv2d, net: LayerBuilder, x: int, choices: Choices) -> int:
    channels, kernel, stride, pad = choices.of_layer(module, "out_channels", "kernel_size", "stride", "padding")
    if isinstance(pad, str):
        raise UnsupportedError(f"expected padding in pixels, got '{pad}'; let the space be exported")
    dilation, groups, has_bias = choices.of_layer(module, "dilation", "groups", "bias")
    return net.conv(x, channels, kernel, _one(stride), pad, groups, _one(dilation), has_bias)


@write_module.register
def _(module: nn.BatchNorm2d, net: LayerBuilder, x: int, choices: Choices) -> int:
    return net.batch_norm(x, module.eps)


@write_module.register
def _(module: nn.Linear, net: LayerBuilder, x: int, choices: Choices) -> int:
    features, has_bias = choices.of_layer(module, "out_features", "bias")
    return net.linear(x, features, has_bias)


@write_module.register
def _(module: nn.AvgPool2d, net: LayerBuilder, x: int, choices: Choices) -> int:
    if module.count_include_pad and _one(module.padding):
        raise UnsupportedError("expected average pooling that counts no padding, got count_include_pad=True; let the space be exported")
    return net.avg_pool(x, _one(module.kernel_size), _one(module.stride), _one(module.padding))


@write_module.register
def _(module: nn.MaxPool2d, net: LayerBuilder, x: int, choices: Choices) -> int:
    return net.max_pool(x, _one(module.kernel_size), _one(module.stride), _one(module.padding), module.ceil_mode)


@write_module.register
def _(module: nn.AdaptiveAvgPool2d, net: LayerBuilder, x: int, choices: Choices) -> int:
    if module.output_size not in (1, (1, 1)):
        raise UnsupportedError(f"expected pooling to one pixel, got {module.output_size}; let the space be exported")
    return net.global_avg_pool(x)


@write_module.register
def _(module: nn.Flatten, net: LayerBuilder, x: int, choices: Choices) -> int:
    return net.flatten(x)


@write_module.register(nn.Identity)
@write_module.register(nn.Dropout)
def _(module: nn.Module, net: LayerBuilder, x: int, choices: Choices) -> int:
    # An exporter leaves both out of a network in evaluation, so they are no nodes in any view.
    return x


def _register_activations() -> None:
    activations = {
        nn.ReLU: LayerBuilder.relu,
        nn.ReLU6: LayerBuilder.relu6,
        nn.Hardswish: LayerBuilder.hard_swish,
        nn.Hardsigmoid: LayerBuilder.hard_sigmoid,
        nn.SiLU: LayerBuilder.swish,
        nn.Sigmoid: LayerBuilder.sigmoid,
        nn.GELU: LayerBuilder.gelu,
    }
    for kind, write in activations.items():
        write_module.register(kind, lambda module, net, x, choices, write=write: write(net, x))


_register_activations()


def _one(setting: Any) -> int:
    """Return the side of a square setting."""
    if not isinstance(setting, tuple):
        return int(setting)
    if len(set(setting)) != 1:
        raise UnsupportedError(f"expected a square kernel, stride or padding, got {setting}; let the space be exported")
    return int(setting[0])
