"""The Pareto front as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..search import Candidate, SearchOutcome
from .axes import new_figure, style_axes
from .view import FRONT, INK, MEASURED, OVER, RATED, accuracy_range, front_of, latency_range_ms

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_picture(path: Path, outcome: SearchOutcome, candidates: Sequence[Candidate], metric: str) -> None:
    """Draw candidates, front and measurements over latency, and below the latencies of all that was priced, as PNG."""
    n_within = sum(finding.within_budget for finding in outcome.verified)
    title = f"{outcome.space}: {outcome.n_priced:,} networks priced, {outcome.n_evaluated:,} rated"
    title += f", {n_within} of {len(outcome.verified)} verified within budget" if outcome.verified else ""
    figure = new_figure(title, 10, 6.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[5, 1])
    above.set_xlim(*latency_range_ms(outcome, candidates))
    above.set_ylim(*accuracy_range(outcome, candidates))
    _draw_candidates(above, outcome, candidates)
    _draw_findings(above, outcome)
    _draw_priced(below, outcome, candidates)
    for axes in (above, below):
        axes.axvline(outcome.budget_ms, color=INK, linewidth=1.2, linestyle=(0, (5, 3)), zorder=4)
        axes.axvspan(outcome.budget_ms, axes.get_xlim()[1], color=OVER, alpha=0.12, linewidth=0)
        style_axes(axes)
    above.annotate(
        f" budget {outcome.budget_ms:.3g} ms",
        (outcome.budget_ms, 0.03),
        xycoords=("data", "axes fraction"),
        color=INK,
        fontsize=9.5,
        va="bottom",
    )
    above.set_ylabel(metric, color=INK)
    below.set_xlabel(f"latency on {outcome.platform}, ms", color=INK)
    below.set_ylabel("priced", color=INK)
    above.legend(loc="upper left", bbox_to_anchor=(0, 1.09), ncols=4, frameon=False, fontsize=9, labelcolor=INK, handletextpad=0.5)
    figure.savefig(path)


def _draw_candidates(axes: Axes, outcome: SearchOutcome, candidates: Sequence[Candidate]) -> None:
    rated = [(candidate.predicted_ms, candidate.accuracy) for candidate in candidates if candidate.accuracy is not None]
    axes.scatter([x for x, _ in rated], [y for _, y in rated], s=9, color=RATED, alpha=0.7, linewidths=0, label="rated candidates")
    front = front_of(outcome)
    steps_ms = [finding.predicted_ms for finding in front] + [outcome.budget_ms] * bool(front)
    heights = [finding.accuracy for finding in front] + [finding.accuracy for finding in front[-1:]]
    axes.step(steps_ms, heights, where="post", color=FRONT, linewidth=1.8, label="Pareto front (predicted)", zorder=3)
    axes.scatter(steps_ms[:-1], heights[:-1], s=26, color=FRONT, edgecolors="white", linewidths=0.8, zorder=5)


def _draw_findings(axes: Axes, outcome: SearchOutcome) -> None:
    verified = outcome.verified
    if not verified:
        return
    x, y = [finding.predicted_ms for finding in verified], [finding.accuracy for finding in verified]
    ends = [
        [finding.predicted_ms - finding.interval_ms[0] for finding in verified],
        [finding.interval_ms[1] - finding.predicted_ms for finding in verified],
    ]
    axes.errorbar(
        x,
        y,
        xerr=ends,
        fmt="o",
        ms=4.5,
        color=FRONT,
        ecolor=FRONT,
        elinewidth=0.9,
        capsize=2.5,
        alpha=0.85,
        label="predicted, with interval",
        zorder=5,
    )
    measured_ms = [finding.measured_ms or finding.predicted_ms for finding in verified]
    axes.scatter(measured_ms, y, s=48, marker="D", color=MEASURED, edgecolors="white", linewidths=0.9, label="measured", zorder=6)


def _draw_priced(axes: Axes, outcome: SearchOutcome, candidates: Sequence[Candidate]) -> None:
    within = [candidate.predicted_ms for candidate in candidates if candidate.fits(outcome.budget_ms)]
    over = [candidate.predicted_ms for candidate in candidates if not candidate.fits(outcome.budget_ms)]
    axes.hist([within, over], bins=70, range=axes.get_xlim(), stacked=True, color=[RATED, OVER], linewidth=0)
    axes.set_yticks([])
