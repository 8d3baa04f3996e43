"""What a sweep of searches found, a row a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..search import SearchOutcome


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One search of a sweep.

    Attributes:
        job: Its number in the sweep, from 0.
        varied: The settings that the sweep varies, as this search has them.
        folder: Where its own files are, relative to the sweep's.
        space: Name of the search space.
        platform: Platform of the latencies.
        budget_ms: Largest latency allowed; None where the search did not come to one.
        accuracy: Of the most accurate network within the budget; None where there is none.
        predicted_ms: Of that network.
        measured_ms: Of that network; None where it was not measured.
        n_verified: Networks measured at the end.
        n_within: Those of them within the budget.
        n_evaluated: Candidates whose accuracy was evaluated.
        seconds: Wall-clock seconds of the search.
        error: Why the search ended without a result, one line.
    """

    job: int
    varied: Mapping[str, Any]
    folder: str
    space: str
    platform: str
    budget_ms: float | None = None
    accuracy: float | None = None
    predicted_ms: float | None = None
    measured_ms: float | None = None
    n_verified: int = 0
    n_within: int = 0
    n_evaluated: int = 0
    seconds: float = 0.0
    error: str | None = field(default=None)

    @classmethod
    def of(cls, job: int, varied: Mapping[str, Any], folder: str, outcome: SearchOutcome) -> SweepRow:
        """Summarise a search that has ended: what was verified counts before what was only predicted."""
        within = [finding for finding in outcome.verified or outcome.front if finding.within_budget]
        best = max(within, key=lambda finding: (finding.accuracy, -finding.predicted_ms), default=None)
        return cls(
            job=job,
            varied=dict(varied),
            folder=folder,
            space=outcome.space,
            platform=outcome.platform,
            budget_ms=outcome.budget_ms,
            accuracy=None if best is None else best.accuracy,
            predicted_ms=None if best is None else best.predicted_ms,
            measured_ms=None if best is None else best.measured_ms,
            n_verified=len(outcome.verified),
            n_within=sum(finding.within_budget for finding in outcome.verified),
            n_evaluated=outcome.n_evaluated,
            seconds=round(sum(outcome.seconds.values()), 3),
        )

    @property
    def series(self) -> str:
        """What is the same along one line of a plot over budgets: everything varied but the budget."""
        others = [str(value) for name, value in self.varied.items() if name not in ("budget_ms", "space", "platform")]
        return ", ".join([self.space, self.platform, *others])

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of JSON types."""
        return asdict(self)


def group_series(rows: Sequence[SweepRow]) -> dict[str, list[SweepRow]]:
    """Return the searches that found something by series, each in order of budget."""
    found = [row for row in rows if row.accuracy is not None and row.budget_ms is not None]
    series: dict[str, list[SweepRow]] = {}
    for row in sorted(found, key=lambda row: (row.series, row.budget_ms or 0.0)):
        series.setdefault(row.series, []).append(row)
    return series
