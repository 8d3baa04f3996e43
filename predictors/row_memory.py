"""Rows of numbers that follow from their key, each computed once and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

_Rows = NDArray[np.float64]
CAPACITY = 1 << 16


class RowMemory:
    """Keeps rows by key; threads may share it, and a copy in another process begins empty.

    Args:
        capacity: Most rows kept; a request that would exceed it begins anew.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._place: dict[int, int] = {}
        self._rows: _Rows = np.zeros((0, 0))
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._place)

    def __reduce__(self) -> tuple[type[RowMemory], tuple[int]]:
        return type(self), (self._capacity,)

    def look_up(self, keys: Sequence[int], compute: Callable[[list[int]], _Rows]) -> _Rows:
        """Return the row of each key, float64, shape (keys, columns).

        Args:
            keys: At least one; all distinct.
            compute: Returns the rows of those that are not known, from their positions in ``keys``.
        """
        with self._lock:
            places = [self._place.get(key, -1) for key in keys]
            missing = [i for i, place in enumerate(places) if place < 0]
            if not missing:
                return self._rows[places]
            if len(self._place) + len(missing) > self._capacity:
                self._place, missing = {}, list(range(len(keys)))
            first = len(self._place)
            self._append(first, compute(missing))
            for place, i in enumerate(missing, first):
                self._place[keys[i]] = places[i] = place
            return self._rows[places]

    def _append(self, first: int, rows: _Rows) -> None:
        end = first + len(rows)
        if end > len(self._rows):
            # Twice the room each time, so that filling it takes a time proportional to its size.
            room = np.empty((2 * end, rows.shape[1]))
            if first:
                room[:first] = self._rows[:first]
            self._rows = room
        self._rows[first:end] = rows
