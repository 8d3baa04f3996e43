"""Any NNI model space of plain choices as a search space of this project."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nni.mutable import Categorical
from nni.nas.nn.pytorch import ModelSpace, MutableModule, Repeat
from torch import nn

from ...core import Architecture, GraphView, InvalidSettingError, ModelGraph, Parameter, SearchSpace, UnsupportedError
from ...graphs import LayerBuilder
from . import hub_blocks  # noqa: F401 - says how the hub's networks run
from .frozen import export_graph, freeze
from .module_writer import Choices, can_write, write_module


class NniSpace(SearchSpace):
    """The members of an NNI model space; an encoding is NNI's sample, ``{label: value}``.

    Where it is known how the space's class runs (:func:`write_module`), a graph is written from the
    layers of the space in about a millisecond; any other space is frozen and exported.

    Args:
        model_space: A space whose choices are all among listed values.
        input_shape: (C, H, W) of its networks' input.

    Raises:
        UnsupportedError: If a choice of the space is not among listed numbers and words.
    """

    def __init__(self, model_space: ModelSpace, input_shape: Sequence[int]) -> None:
        self.name = f"nni-{type(model_space).__name__}"
        self.model_space = model_space
        self.input_shape = tuple(input_shape)
        self.is_written = can_write(model_space)
        self._parameters = tuple(_read_parameter(label, choice) for label, choice in model_space.simplify().items())
        self._places = {parameter.name: place for place, parameter in enumerate(self._parameters)}
        self._inactive = [
            (self._places[label], self._places[depth], first) for label, (depth, first) in find_optional_labels(model_space).items()
        ]
        self._choices = Choices()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self._parameters

    @property
    def size(self) -> int:
        """Number of codes; those that differ only in blocks beyond a depth count each."""
        return math.prod(len(parameter.choices) for parameter in self._parameters)

    def canonical(self, code: tuple[int, ...]) -> tuple[int, ...]:
        """Return ``code`` with the choices of blocks beyond their depth set to 0."""
        digits = list(code)
        for place, depth, first in self._inactive:
            if int(self._parameters[depth].choices[code[depth]]) <= first:
                digits[place] = 0
        return tuple(digits)

    def encode(self, architecture: Architecture) -> dict[str, Any]:
        """Return NNI's sample."""
        return {parameter.name: parameter.choices[digit] for parameter, digit in zip(self._parameters, architecture.code, strict=True)}

    def decode(self, encoding: Any) -> Architecture:
        """Read NNI's sample; choices of blocks beyond their depth may hold anything that is offered."""
        if not isinstance(encoding, Mapping) or set(encoding) != set(self._places):
            raise InvalidSettingError(f"expected a sample with {', '.join(self._places)}, got {encoding!r}")
        return self.architecture(*(encoding[parameter.name] for parameter in self._parameters))

    def graph(self, architecture: Architecture, view: GraphView = GraphView.OPTIMISED) -> ModelGraph:
        """Return the network as a graph, written where that can be, else exported."""
        sample = self.encode(architecture)
        if not self.is_written:
            return export_graph(self.model_space, sample, self.input_shape, view)
        net = LayerBuilder(view)
        return net.finish(write_module(self.model_space, net, net.input(*self.input_shape), self._choices.of(sample)))

    def module(self, architecture: Architecture) -> nn.Module:
        """Return the network as NNI builds it, with its ``input_shape``."""
        module = freeze(self.model_space, self.encode(architecture))
        module.input_shape = self.input_shape  # type: ignore[assignment]  # an attribute that exports read
        return module


def has_plain_choices(model_space: ModelSpace) -> bool:
    """Tell whether every choice of a space is among listed numbers and words."""
    return all(map(_is_plain, model_space.simplify().values()))


def find_optional_labels(model_space: nn.Module) -> dict[str, tuple[str, int]]:
    """Return the labels that only blocks of one repeated part read: the label of its depth, and the first block that reads."""
    readers = [(id(module), _own_labels(module)) for module in model_space.modules()]
    labels = {label for _, own in readers for label in own}
    optional = {}
    for repeat in model_space.modules():
        if isinstance(repeat, Repeat) and isinstance(repeat.depth_choice, Categorical):
            blocks = {id(module): place for place, block in enumerate(repeat.blocks) for module in block.modules()}
            for label in labels:
                places = [blocks.get(reader, -1) for reader, own in readers if label in own]
                if min(places) >= 0:
                    optional[label] = (repeat.depth_choice.label, min(places))
    return optional


def _own_labels(module: nn.Module) -> set[str]:
    return {label for mutable in module.mutables for label in mutable.simplify()} if isinstance(module, MutableModule) else set()


def _is_plain(choice: Any) -> bool:
    return isinstance(choice, Categorical) and all(type(value) in (int, float, str) for value in choice.values)


def _read_parameter(label: str, choice: Any) -> Parameter:
    if not _is_plain(choice):
        raise UnsupportedError(
            f"expected choices among listed numbers and words, got {choice!r}; LatencyProfiler can price the space as it is"
        )
    return Parameter(label, tuple(choice.values))
