"""NNI's model spaces beside the search spaces of this project that have the same members."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

from nni.nas.hub.pytorch import MobileNetV3Space, NasBench201, ProxylessNAS
from nni.nas.nn.pytorch import ModelSpace

from ...core import Architecture, InvalidSettingError, SearchSpace
from ...core.plugins import SPACES, load_plugin
from .architecture_model import ArchitectureModel
from .hpo import read_hpo_parameters
from .nni_space import NniSpace

_IMAGENET = (3, 224, 224)
_NASBENCH201_LABELS = ("cell/0_1", "cell/0_2", "cell/1_2", "cell/0_3", "cell/1_3", "cell/2_3")
_NASBENCH201_NAMES = {"conv_1x1": "nor_conv_1x1", "conv_3x3": "nor_conv_3x3"}


@dataclass(frozen=True)
class MappedSpace:
    """A search space of this project, and how NNI's samples of a model space name its members.

    Guarantees: ``to_architecture(to_sample(a)) == a`` for every member; the graph of an
    architecture is that of the network which NNI builds for its sample. In ``NasBench201`` what
    meets at a node is added, as published; NNI's own cells stack it and sum the stack.

    Attributes:
        space: The search space.
        to_architecture: NNI's sample to architecture.
        to_sample: Architecture to NNI's sample.
    """

    space: SearchSpace
    to_architecture: Callable[[Mapping[str, Any]], Architecture]
    to_sample: Callable[[Architecture], dict[str, Any]]


@singledispatch
def map_space(model_space: ModelSpace, input_shape: Sequence[int] | None = None) -> MappedSpace:
    """Return the search space with the members of an NNI model space.

    ``NasBench201`` becomes this project's space of that name, so that its qualities can judge
    samples; any other becomes an :class:`NniSpace`. ``@map_space.register`` adds a space of yours.

    Args:
        model_space: A model space of plain choices.
        input_shape: (C, H, W) of its networks' input; None where the hub says it.

    Raises:
        InvalidSettingError: If nothing says the shape of its input.
        UnsupportedError: If its choices are no plain ones.
    """
    return _wrap(NniSpace(model_space, require_shape(model_space, input_shape)))


@map_space.register(MobileNetV3Space)
@map_space.register(ProxylessNAS)
def _(model_space: ModelSpace, input_shape: Sequence[int] | None = None) -> MappedSpace:
    return _wrap(NniSpace(model_space, input_shape or _IMAGENET))


@map_space.register
def _(model_space: NasBench201, input_shape: Sequence[int] | None = None) -> MappedSpace:
    resolution = _read_resolution(input_shape or (3, 32, 32))
    make = load_plugin(SPACES, "nasbench201")
    space: SearchSpace = make(model_space.num_labels, model_space.channels, model_space.num_modules, resolution)
    return MappedSpace(space, lambda sample: _read_nasbench201(space, sample), lambda architecture: _write_nasbench201(space, architecture))


@map_space.register
def _(model_space: ArchitectureModel, input_shape: Sequence[int] | None = None) -> MappedSpace:  # noqa: ARG001 - the space says it
    space = model_space.space

    def to_sample(architecture: Architecture) -> dict[str, Any]:
        return {parameter.name: parameter.choices[digit] for parameter, digit in zip(space.parameters, architecture.code, strict=True)}

    return MappedSpace(space, lambda sample: read_hpo_parameters(space, sample), to_sample)


def require_shape(model_space: ModelSpace, input_shape: Sequence[int] | None) -> tuple[int, ...]:
    """Return the shape of the input as it was given.

    Raises:
        InvalidSettingError: If it was not.
    """
    if input_shape is None:
        raise InvalidSettingError(f"expected input_shape=(C, H, W) for {type(model_space).__name__}, got none; say what its networks read")
    return tuple(input_shape)


def _wrap(space: NniSpace) -> MappedSpace:
    return MappedSpace(space, space.decode, space.encode)


def _read_resolution(input_shape: Sequence[int]) -> int:
    channels, height, width = input_shape
    if channels != 3 or height != width:
        raise InvalidSettingError(f"expected square images of three channels for NasBench201, got {tuple(input_shape)}")
    return height


def _read_nasbench201(space: SearchSpace, sample: Mapping[str, Any]) -> Architecture:
    try:
        names = [sample[label] for label in _NASBENCH201_LABELS]
    except KeyError as error:
        raise InvalidSettingError(f"expected a sample with {', '.join(_NASBENCH201_LABELS)}, got {dict(sample)}") from error
    return space.architecture(*(_NASBENCH201_NAMES.get(name, name) for name in names))


def _write_nasbench201(space: SearchSpace, architecture: Architecture) -> dict[str, Any]:
    nni_names = {ours: theirs for theirs, ours in _NASBENCH201_NAMES.items()}
    chosen = [parameter.choices[digit] for parameter, digit in zip(space.parameters, architecture.code, strict=True)]
    return {label: nni_names.get(str(name), name) for label, name in zip(_NASBENCH201_LABELS, chosen, strict=True)}
