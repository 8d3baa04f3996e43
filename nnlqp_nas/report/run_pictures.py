"""Pictures of one search besides its Pareto front: history, accuracy over budgets, predicted against measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..search import Candidate, SearchOutcome
from .axes import new_figure, save, style_axes
from .series import History, budget_steps, describe_errors, measured_steps
from .view import FRONT, INK, MEASURED, RATED, accuracy_range


def draw_history(path: Path, outcome: SearchOutcome, candidates: Sequence[Candidate], metric: str) -> None:
    """Draw every rated candidate and the best so far over the number of candidates priced, as PNG."""
    history = History.of(candidates)
    figure = new_figure(f"Search history: {outcome.n_priced:,} networks priced, {outcome.n_evaluated:,} rated")
    axes = figure.subplots()
    axes.scatter(history.n_priced, history.accuracy, s=10, color=RATED, linewidths=0, label="rated candidates")
    if history.best:
        ends = [*history.n_priced, max(len(candidates), history.n_priced[-1])]
        axes.step(ends, [*history.best, history.best[-1]], where="post", color=FRONT, linewidth=1.8, label="best so far")
    axes.set_ylim(*accuracy_range(outcome, candidates))
    style_axes(axes, "candidates priced", metric)
    save(figure, path)


def draw_budgets(path: Path, outcome: SearchOutcome, candidates: Sequence[Candidate], metric: str) -> None:
    """Draw the best accuracy that each smaller budget would have allowed, by prediction and by measurement, as PNG."""
    figure = new_figure(f"Accuracy within a budget on {outcome.platform}")
    axes = figure.subplots()
    budgets_ms, best = budget_steps(candidates, outcome.budget_ms)
    if best:
        ends_ms = [*budgets_ms, max(outcome.budget_ms, budgets_ms[-1])]
        axes.step(ends_ms, [*best, best[-1]], where="post", color=FRONT, linewidth=1.8, label="upper end of the predicted interval")
    measured_ms, verified = measured_steps(outcome)
    if verified:
        ends_ms = [*measured_ms, max(outcome.budget_ms, measured_ms[-1])]
        axes.step(ends_ms, [*verified, verified[-1]], where="post", color=MEASURED, linewidth=1.8, label="measured")
        axes.scatter(measured_ms, verified, s=40, marker="D", color=MEASURED, edgecolors="white", linewidths=0.9, zorder=3)
    axes.axvline(outcome.budget_ms, color=INK, linewidth=1.2, linestyle=(0, (5, 3)))
    axes.set_ylim(*accuracy_range(outcome, candidates))
    style_axes(axes, "latency budget, ms", metric)
    save(figure, path)


def draw_measured(path: Path, outcome: SearchOutcome) -> None:
    """Draw measured latency over predicted latency with its interval, equality as a line, as PNG."""
    verified = outcome.verified
    figure = new_figure("Predicted against measured latency", 7, 7)
    axes = figure.subplots()
    axes.set_title(describe_errors(verified), color=INK, fontsize=9.5, loc="left")
    ends_ms = [end for finding in verified for end in (*finding.interval_ms, finding.measured_ms or 0.0)] or [outcome.budget_ms]
    low_ms, high_ms = 0.97 * min(*ends_ms, outcome.budget_ms), 1.03 * max(*ends_ms, outcome.budget_ms)
    axes.plot([low_ms, high_ms], [low_ms, high_ms], color=RATED, linewidth=1.4, label="equal")
    if verified:
        x, y = [finding.predicted_ms for finding in verified], [finding.measured_ms or 0.0 for finding in verified]
        below = [finding.predicted_ms - finding.interval_ms[0] for finding in verified]
        above = [finding.interval_ms[1] - finding.predicted_ms for finding in verified]
        axes.errorbar(
            x,
            y,
            xerr=[below, above],
            fmt="D",
            ms=5,
            color=MEASURED,
            ecolor=FRONT,
            elinewidth=1,
            capsize=3,
            label="network and its interval",
        )
    axes.axhline(outcome.budget_ms, color=INK, linewidth=1.2, linestyle=(0, (5, 3)), label=f"budget {outcome.budget_ms:.3g} ms")
    axes.set_xlim(low_ms, high_ms)
    axes.set_ylim(low_ms, high_ms)
    axes.set_aspect("equal")
    style_axes(axes, f"predicted latency on {outcome.platform}, ms", "measured latency, ms")
    save(figure, path)
