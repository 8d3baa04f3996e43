"""A trial of Optuna that makes given choices and notes which parameters were asked for."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import BaseTrial

from ..core import InvalidSettingError, Parameter

MAX_CHOICES = 4096
Choice = int | float | str


class CodeTrial(BaseTrial):
    """Answers ``suggest_...`` with given choices, and with the first one offered where none is given.

    So a function of ``optuna.Trial`` can be asked what it builds for any choices. What it reports is dropped and it is
    never pruned.

    Args:
        choices: A choice for each parameter's name.

    Attributes:
        asked: The parameters that were asked for, in that order.
    """

    def __init__(self, choices: Mapping[str, Choice]) -> None:
        self._choices = choices
        self._distributions: dict[str, BaseDistribution] = {}
        self._taken: dict[str, Any] = {}
        self._user_attrs: dict[str, Any] = {}
        self._constraints: dict[str, float] = {}
        self.asked: dict[str, Parameter] = {}

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> float:
        """Return a choice of a grid.

        Raises:
            InvalidSettingError: If there is no ``step``: a space is finite.
        """
        if step is None or log:
            raise InvalidSettingError(f"expected a step for {name}, since a space has finitely many networks, got none; give step=")
        distribution = FloatDistribution(low, high, step=step)
        n_steps = round((distribution.high - low) / step)
        return float(self._take(name, distribution, tuple(round(low + at * step, 12) for at in range(n_steps + 1))))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Return a whole number from ``low`` to ``high``."""
        distribution = IntDistribution(low, high, log=log, step=step)
        return int(self._take(name, distribution, tuple(range(low, distribution.high + 1, step))))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of ``choices``.

        Raises:
            InvalidSettingError: If one is no number or text.
        """
        if not all(isinstance(choice, (int, float, str)) for choice in choices):
            raise InvalidSettingError(f"expected choices of {name} that are numbers or text, got {choices!r}; suggest a name or an index")
        return self._take(name, CategoricalDistribution(choices), tuple(choices))

    def suggest_uniform(self, name: str, low: float, high: float) -> float:
        return self.suggest_float(name, low, high)

    def suggest_loguniform(self, name: str, low: float, high: float) -> float:
        return self.suggest_float(name, low, high, log=True)

    def suggest_discrete_uniform(self, name: str, low: float, high: float, q: float) -> float:
        return self.suggest_float(name, low, high, step=q)

    def _take(self, name: str, distribution: BaseDistribution, choices: tuple[Choice, ...]) -> Any:
        if not 0 < len(choices) <= MAX_CHOICES:
            raise InvalidSettingError(f"expected 1 to {MAX_CHOICES} choices of {name}, got {len(choices)}; give a larger step")
        parameter = Parameter(name, choices)
        if self.asked.setdefault(name, parameter) != parameter:
            raise InvalidSettingError(f"expected {name} to offer the same choices each time, got {self.asked[name].choices} and {choices}")
        self._distributions[name] = distribution
        self._taken[name] = self._choices.get(name, choices[0])
        return self._taken[name]

    def report(self, value: float, step: int) -> None:
        """Drop an intermediate value."""

    def should_prune(self) -> bool:
        return False

    def set_user_attr(self, key: str, value: Any) -> None:
        self._user_attrs[key] = value

    def set_constraint(self, key: str, value: float) -> None:
        self._constraints[key] = value

    @property
    def constraints(self) -> dict[str, float]:
        return self._constraints

    @property
    def params(self) -> dict[str, Any]:
        return self._taken

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        return self._distributions

    @property
    def user_attrs(self) -> dict[str, Any]:
        return self._user_attrs

    @property
    def datetime_start(self) -> datetime.datetime | None:
        return None

    @property
    def number(self) -> int:
        return 0
