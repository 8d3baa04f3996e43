"""Adding results to a latency database, each once however often they are imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic

from ..core import MeasurementFailure, Platform
from .reading import Result

_ROWS_AT_ONCE = 200
_LOSE_AT_MOST_S = 2.0


@dataclass(slots=True)
class Imported:
    """What became of imported results.

    Attributes:
        n_added: Results that the database did not have.
        n_known: Results that it had.
    """

    n_added: int = 0
    n_known: int = 0


def add_missing(
    results: Iterable[Result], stored: Callable[[Platform], Iterable[Result]], add: Callable[[list[Result]], object]
) -> Imported:
    """Add the results that are not stored yet.

    A result that stands n times in ``results`` is stored n times in the end, whether some of them were
    there before or not: importing again adds nothing, and an import that was killed goes on, having
    lost two seconds at most.

    Args:
        results: What to import.
        stored: Returns what the database holds of a platform; is called before anything of that platform is added.
        add: Stores results, all or none.
    """
    known: dict[Platform, Counter[object]] = {}
    imported = Imported()
    waiting: list[Result] = []
    stored_at_s = monotonic()
    for result in results:
        if result.platform not in known:
            known[result.platform] = Counter(map(_identity, stored(result.platform)))
        identity = _identity(result)
        if known[result.platform][identity] > 0:
            known[result.platform][identity] -= 1
            imported.n_known += 1
            continue
        waiting.append(result)
        imported.n_added += 1
        if len(waiting) >= _ROWS_AT_ONCE or monotonic() - stored_at_s > _LOSE_AT_MOST_S:
            add(waiting)
            waiting, stored_at_s = [], monotonic()
    add(waiting)
    return imported


def _identity(result: Result) -> object:
    asked = result.graph_key, result.batch_size, result.host, result.taken_at
    if isinstance(result, MeasurementFailure):
        return *asked, result.stage, result.reason
    return *asked, result.latency_ms
