"""How much slower than usual the machine was, told by networks that are measured again and again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from .journal import Pass

_FEWEST_TURNS = 3


class Drift:
    """The machine's speed over a campaign.

    Each turn of the reference set gives the logarithm of every reference latency over its own median;
    the median of a turn is the machine's slowness then. A turn counts as the median of itself and its neighbours, ends by Tukey's
    rule (Exploratory Data Analysis, 1977, chapter 7): one that fell into a burst of other work says nothing of the minutes around
    it. In between slowness is interpolated; before the first and after the last turn it stays. One slow network, platform or
    turn moves it little.

    Args:
        passes: All passes of a campaign on one machine.
    """

    def __init__(self, passes: Sequence[Pass]) -> None:
        self._at_s, slowness = _turns(passes)
        self._slowness = _running_median(slowness)

    @property
    def n_turns(self) -> int:
        """Number of turns that it rests on; below three nothing is corrected."""
        return len(self._at_s)

    @property
    def spread(self) -> float:
        """Standard deviation of the machine's slowness, relative."""
        return float(self._slowness.std()) if self.n_turns >= _FEWEST_TURNS else 0.0

    def at(self, taken_at: str) -> float:
        """Return the factor by which a latency measured at this ISO time is too long."""
        if self.n_turns < _FEWEST_TURNS:
            return 1.0
        return float(np.exp(np.interp(_seconds(taken_at), self._at_s, self._slowness)))


def _turns(passes: Sequence[Pass]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return time in seconds and logarithm of slowness, float64 of shape (turns,), in order of time."""
    series: dict[tuple[object, ...], list[Pass]] = defaultdict(list)
    for one in passes:
        if one.is_reference and one.row.latency_ms is not None:
            series[one.row.identity].append(one)
    turns: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for group in series.values():
        usual = float(np.median([one.row.latency_ms for one in group if one.row.latency_ms is not None]))
        for one in group:
            turns[one.number].append((_seconds(one.row.taken_at), float(np.log((one.row.latency_ms or usual) / usual))))
    points = sorted((float(np.mean([t for t, _ in turn])), float(np.median([s for _, s in turn]))) for turn in turns.values())
    table = np.array(points, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _running_median(slowness: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(slowness) < _FEWEST_TURNS:
        return slowness
    middle = np.median([slowness[:-2], slowness[1:-1], slowness[2:]], axis=0)
    first, last = (np.median([end, *near]) for end, near in ((slowness[0], _beyond(middle)), (slowness[-1], _beyond(middle[::-1]))))
    return np.concatenate([[first], middle, [last]])


def _beyond(middle: NDArray[np.float64]) -> tuple[float, float]:
    """Return the smoothed turn next to an end, and what its slope says of the end."""
    return float(middle[0]), float(3 * middle[0] - 2 * middle[min(1, len(middle) - 1)])


def _seconds(taken_at: str) -> float:
    return datetime.fromisoformat(taken_at).timestamp()
