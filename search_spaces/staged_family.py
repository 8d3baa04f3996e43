"""Families whose networks are stages of blocks, with as many blocks as each stage chooses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import prod
from typing import Any, ClassVar, NamedTuple

from nnlqp_nas.core import Architecture, Parameter
from nnlqp_nas.graphs import Family

from .widths import FACTORS, widths_around

Choice = int | float | str


class Varied(NamedTuple):
    """Something that a family varies.

    Attributes:
        name: Its name, such as ``kernel``.
        choices: What can be chosen.
        published: What the published network chose; a tuple has one choice for each block.
    """

    name: str
    choices: tuple[Choice, ...]
    published: Choice | tuple[Choice, ...]


def varied_width(name: str, channels: int, factors: tuple[float, ...] = FACTORS) -> Varied:
    """Return a number of channels varied around the published one."""
    return Varied(name, widths_around(channels, factors), channels)


@dataclass(frozen=True)
class Stage:
    """What a stage chooses, beside its depth: the published one, one block less and one more.

    Attributes:
        depth: Published number of blocks.
        once: What it chooses once.
        each: What it chooses for every block.
    """

    depth: int
    once: tuple[Varied, ...]
    each: tuple[Varied, ...]

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """Numbers of blocks offered."""
        return tuple(range(max(1, self.depth - 1), self.max_depth + 1))

    @property
    def max_depth(self) -> int:
        """The largest number of blocks offered."""
        return self.depth + 1

    @property
    def size(self) -> int:
        """Number of distinct stages."""
        n_blocks = prod(len(varied.choices) for varied in self.each)
        return prod(len(varied.choices) for varied in self.once) * sum(n_blocks**depth for depth in self.depths)

    def published(self, number: int) -> Iterator[tuple[Parameter, Choice]]:
        """Yield the parameters of the stage with this number, such as ``kernel_2_1``, each with its published choice.

        The choice of blocks beyond the depth, which has no effect, is the first one.
        """
        for varied in self.once:
            yield Parameter(f"{varied.name}_{number}", varied.choices), _of_block(varied, 0)
        yield Parameter(f"depth_{number}", self.depths), self.depth
        for block in range(self.max_depth):
            for varied in self.each:
                choice = _of_block(varied, block) if block < self.depth else varied.choices[0]
                yield Parameter(f"{varied.name}_{number}_{block + 1}", varied.choices), choice


def _of_block(varied: Varied, block: int) -> Choice:
    return varied.published[block] if isinstance(varied.published, tuple) else varied.published


class StagedFamily(Family):
    """A family of networks with a stem, stages of blocks and a head.

    A code is the choices outside the stages, then, for each stage, those made once, its depth, and those of
    as many blocks as it may have; those of blocks beyond the depth have no effect and are zero.

    Attributes:
        outside: What is varied outside the stages.
        stages: The stages, first to last.
    """

    outside: ClassVar[tuple[Varied, ...]]
    stages: ClassVar[tuple[Stage, ...]]

    def __init__(self, resolution: int = 224, n_classes: int = 1000) -> None:
        super().__init__(resolution, n_classes)
        outside = [(Parameter(varied.name, varied.choices), _of_block(varied, 0)) for varied in self.outside]
        inside = [pair for number, stage in enumerate(self.stages, 1) for pair in stage.published(number)]
        self._published = {parameter.name: choice for parameter, choice in outside + inside}
        self._parameters = tuple(parameter for parameter, _ in outside + inside)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self._parameters

    @property
    def size(self) -> int:
        """Number of distinct architectures."""
        return prod(len(varied.choices) for varied in self.outside) * prod(stage.size for stage in self.stages)

    @property
    def published(self) -> Mapping[str, Choice]:
        """The choices of the published network, one for each parameter; the first one where it has no effect."""
        return self._published

    def canonical(self, code: tuple[int, ...]) -> tuple[int, ...]:
        """Return ``code`` with the choices of blocks beyond their stage's depth set to 0."""
        digits = list(code)
        end = len(self.outside)
        for stage in self.stages:
            first = end + len(stage.once)
            end = first + 1 + stage.max_depth * len(stage.each)
            n_inactive = (stage.max_depth - stage.depths[code[first]]) * len(stage.each)
            digits[end - n_inactive : end] = (0,) * n_inactive
        return tuple(digits)

    def read(self, architecture: Architecture) -> tuple[tuple[Any, ...], list[tuple[tuple[Any, ...], list[tuple[Any, ...]]]]]:
        """Return the choices outside the stages and, for each stage, those made once and those of each of its blocks."""
        pairs = zip(self._parameters, architecture.code, strict=True)
        choices: Iterator[Any] = iter([parameter.choices[digit] for parameter, digit in pairs])
        outside = tuple(islice(choices, len(self.outside)))
        stages = []
        for stage in self.stages:
            once = tuple(islice(choices, len(stage.once)))
            depth = next(choices)
            blocks = [tuple(islice(choices, len(stage.each))) for _ in range(stage.max_depth)]
            stages.append((once, blocks[:depth]))
        return outside, stages
