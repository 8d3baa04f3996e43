"""The contract of a search space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .architecture import Architecture
from .errors import InvalidSettingError
from .graph import ModelGraph
from .platform import GraphView

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Parameter:
    """One choice that an architecture of a space makes.

    Attributes:
        name: Name of the parameter, such as ``edge_0_1``.
        choices: What can be chosen, JSON scalars, in the order that a code counts.
    """

    name: str
    choices: tuple[int | float | str, ...]


class SearchSpace(ABC):
    """A set of networks that a search may choose from.

    Guarantees, for every member ``a`` (``nnlqp_nas.testing.SearchSpaceContract`` tests them):

    * ``decode(encode(a)) == a``, and ``encode(a)`` holds JSON types only;
    * codes are canonical: two members with equal graphs as written are equal where the space
      can tell from the parameters (choices that have no effect are zero in the code);
    * the same seed draws the same sample; samples, mutants and neighbours are members;
    * ``mutate(a, rng) != a``; every neighbour differs from ``a``;
    * ``graph(a, view)`` has the same key each time it is made;
    * ``graph`` and ``module`` describe the same network.
    """

    name: str

    @property
    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """The choices an architecture makes, in the order of its code."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of distinct architectures."""

    @abstractmethod
    def canonical(self, code: tuple[int, ...]) -> tuple[int, ...]:
        """Return ``code`` with every choice that has no effect set to 0."""

    @abstractmethod
    def encode(self, architecture: Architecture) -> Any:
        """Return the architecture in the notation its space was published with, JSON types only."""

    @abstractmethod
    def decode(self, encoding: Any) -> Architecture:
        """Read what :meth:`encode` wrote.

        Raises:
            InvalidSettingError: If ``encoding`` is not of the published notation.
        """

    @abstractmethod
    def graph(self, architecture: Architecture, view: GraphView = GraphView.OPTIMISED) -> ModelGraph:
        """Return the network as a graph, in the view that a platform executes."""

    @abstractmethod
    def module(self, architecture: Architecture) -> torch.nn.Module:
        """Return the network as a PyTorch module, randomly initialised.

        Raises:
            MissingExtraError: If torch is not installed.
        """

    def architecture(self, *choices: int | float | str) -> Architecture:
        """Return the architecture that makes these choices, one for each parameter.

        Raises:
            InvalidSettingError: If their number is wrong or one is not offered.
        """
        if len(choices) != len(self.parameters):
            raise InvalidSettingError(f"expected {len(self.parameters)} choices for space '{self.name}', got {len(choices)}")
        code = []
        for parameter, choice in zip(self.parameters, choices, strict=True):
            if choice not in parameter.choices:
                raise InvalidSettingError(f"expected {parameter.name} to be one of {parameter.choices}, got {choice!r}")
            code.append(parameter.choices.index(choice))
        return Architecture(self.name, self.canonical(tuple(code)))

    def check(self, architecture: Architecture) -> None:
        """Accept a member.

        Raises:
            InvalidSettingError: If ``architecture`` is no member of this space.
        """
        sizes = [len(parameter.choices) for parameter in self.parameters]
        code = architecture.code
        is_member = architecture.space == self.name and len(code) == len(sizes) and all(d < n for d, n in zip(code, sizes, strict=True))
        if not is_member or self.canonical(code) != code:
            raise InvalidSettingError(f"expected a member of space '{self.name}', got {architecture.key}")

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draw an architecture, every parameter uniformly."""
        code = tuple(int(rng.integers(len(parameter.choices))) for parameter in self.parameters)
        return Architecture(self.name, self.canonical(code))

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Return an architecture that differs in one parameter, drawn uniformly among those with an effect."""
        while True:
            at = int(rng.integers(len(self.parameters)))
            digit = int(rng.integers(len(self.parameters[at].choices)))
            mutant = self._with(architecture, at, digit)
            if mutant != architecture:
                return mutant

    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        """Yield every architecture that differs in one parameter, each once."""
        seen = {architecture}
        for at, parameter in enumerate(self.parameters):
            for digit in range(len(parameter.choices)):
                neighbour = self._with(architecture, at, digit)
                if neighbour not in seen:
                    seen.add(neighbour)
                    yield neighbour

    def _with(self, architecture: Architecture, at: int, digit: int) -> Architecture:
        code = architecture.code
        return Architecture(self.name, self.canonical((*code[:at], digit, *code[at + 1 :])))
