"""Architectures: one member of a search space, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import InvalidSettingError


@dataclass(frozen=True, slots=True, order=True)
class Architecture:
    """A member of a search space.

    Guarantees: equal codes of one space are equal and hash alike; ``from_json(to_json())``
    gives the same value, and ``to_json()`` holds only JSON types.

    Attributes:
        space: Name of the search space.
        code: Index of the choice made for each parameter of the space, in the space's order.
    """

    space: str
    code: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.space:
            raise InvalidSettingError("expected the name of a search space, got an empty string")
        if not all(type(digit) is int and digit >= 0 for digit in self.code):
            raise InvalidSettingError(f"expected a code of integers >= 0, got {self.code!r}")

    @property
    def key(self) -> str:
        """The architecture as one word, such as ``nasbench201:4-0-3-1-4-3``."""
        return f"{self.space}:{'-'.join(map(str, self.code))}"

    @classmethod
    def from_key(cls, key: str) -> Architecture:
        """Read what :attr:`key` wrote.

        Raises:
            InvalidSettingError: If ``key`` is not of that form.
        """
        space, _, digits = key.partition(":")
        try:
            return cls(space, tuple(int(digit) for digit in digits.split("-")) if digits else ())
        except ValueError as error:
            raise InvalidSettingError(f"expected a key like nasbench201:4-0-3-1-4-3, got '{key}'") from error

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of JSON types."""
        return {"space": self.space, "code": list(self.code)}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Architecture:
        """Read what :meth:`to_json` wrote.

        Raises:
            InvalidSettingError: If a field is missing or of another type.
        """
        try:
            return cls(document["space"], tuple(document["code"]))
        except (KeyError, TypeError) as error:
            raise InvalidSettingError(f"expected {{'space': ..., 'code': [...]}}, got {document!r}") from error
