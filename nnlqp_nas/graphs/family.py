"""Model families: the variations of one published network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from math import prod
from typing import Any

from ..core import Architecture, InvalidSettingError
from .layered_space import LayeredSpace

SMALLEST_RESOLUTION = 32


class Family(LayeredSpace):
    """A space around a published network, as NNLQP's and nn-Meter's data sets draw them.

    A family varies widths, kernel sizes, depths and the like of one network and keeps its manner. The
    encoding is a dictionary from the names of all parameters to the choices made.

    Guarantees, beside those of a space (``nnlqp_nas.testing.FamilyContract`` tests them): the
    network of :attr:`default` is the published one; every neighbour of a member has another graph.

    Args:
        resolution: Height and width of the input, pixels.
        n_classes: Outputs of the last layer.

    Raises:
        InvalidSettingError: If ``resolution`` is below 32 or ``n_classes`` below 1.
    """

    def __init__(self, resolution: int = 224, n_classes: int = 1000) -> None:
        if resolution < SMALLEST_RESOLUTION:
            raise InvalidSettingError(f"expected a resolution >= {SMALLEST_RESOLUTION}, got {resolution}")
        if n_classes < 1:
            raise InvalidSettingError(f"expected n_classes >= 1, got {n_classes}")
        self.resolution = resolution
        self.n_classes = n_classes

    @property
    @abstractmethod
    def published(self) -> Mapping[str, int | float | str]:
        """The choices of the published network, one for each parameter."""

    @property
    def default(self) -> Architecture:
        """The published network at 224 pixels and 1000 classes; other settings change only input and last layer."""
        return self.decode(dict(self.published))

    @property
    def size(self) -> int:
        """Number of distinct architectures: every choice has an effect unless a family says otherwise."""
        return prod(len(parameter.choices) for parameter in self.parameters)

    def canonical(self, code: tuple[int, ...]) -> tuple[int, ...]:
        """Return ``code``: every choice has an effect unless a family says otherwise."""
        return code

    def encode(self, architecture: Architecture) -> dict[str, Any]:
        """Return the choice made for each parameter, by name; the first one where it has no effect."""
        pairs = zip(self.parameters, architecture.code, strict=True)
        return {parameter.name: parameter.choices[digit] for parameter, digit in pairs}

    def decode(self, encoding: Any) -> Architecture:
        """Read what :meth:`encode` wrote; choices without effect may be any that are offered.

        Raises:
            InvalidSettingError: If a parameter is missing, unknown, or not given one of its choices.
        """
        names = [parameter.name for parameter in self.parameters]
        if not isinstance(encoding, dict) or set(encoding) != set(names):
            raise InvalidSettingError(f"expected a choice for each of {', '.join(names)}, got {encoding!r}")
        return self.architecture(*(encoding[name] for name in names))
