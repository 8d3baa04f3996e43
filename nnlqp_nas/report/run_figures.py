"""The same as interactive plots: history, accuracy over budgets, predicted against measured."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from ..search import Candidate, SearchOutcome
from .series import History, budget_steps, measured_steps
from .view import FRONT, GRID, INK, MEASURED, MUTED, RATED, accuracy_range, name_of


def figure_of_history(outcome: SearchOutcome, candidates: Sequence[Candidate], metric: str) -> Any:
    """Return every rated candidate and the best so far over the number of candidates priced."""
    history = History.of(candidates)
    figure = _new_figure("candidates priced", metric)
    dots = {"mode": "markers", "marker": {"size": 5, "color": RATED, "opacity": 0.7}}
    figure.add_scattergl(x=history.n_priced, y=history.accuracy, name="rated candidates", hovertemplate="%{y:.2f} after %{x}", **dots)
    best = [*history.best, *history.best[-1:]]
    _add_steps(figure, [*history.n_priced, *([len(candidates)] if best else [])], best, FRONT, "best so far")
    figure.update_yaxes(range=list(accuracy_range(outcome, candidates)))
    return figure


def figure_of_budgets(outcome: SearchOutcome, candidates: Sequence[Candidate], metric: str) -> Any:
    """Return the best accuracy that each smaller budget would have allowed, by prediction and by measurement."""
    figure = _new_figure(f"latency budget on {outcome.platform}, ms", metric)
    budgets_ms, best = budget_steps(candidates, outcome.budget_ms)
    measured_ms, verified = measured_steps(outcome)
    for x, y, colour, name in (
        (budgets_ms, best, FRONT, "upper end of the predicted interval"),
        (measured_ms, verified, MEASURED, "measured"),
    ):
        if y:
            _add_steps(figure, [*x, max(outcome.budget_ms, x[-1])], [*y, y[-1]], colour, name)
    figure.add_vline(outcome.budget_ms, line={"color": INK, "width": 1.5, "dash": "dash"})
    figure.update_yaxes(range=list(accuracy_range(outcome, candidates)))
    return figure


def figure_of_measured(outcome: SearchOutcome) -> Any:
    """Return measured latency over predicted latency with its interval, equality as a line."""
    verified = outcome.verified
    figure = _new_figure(f"predicted latency on {outcome.platform}, ms", "measured latency, ms")
    ends_ms = [end for finding in verified for end in (*finding.interval_ms, finding.measured_ms or 0.0)]
    span_ms = [min(ends_ms), max(ends_ms)]
    figure.add_scatter(x=span_ms, y=span_ms, mode="lines", line={"color": RATED, "width": 2}, name="equal", hoverinfo="skip")
    above = [finding.interval_ms[1] - finding.predicted_ms for finding in verified]
    below = [finding.predicted_ms - finding.interval_ms[0] for finding in verified]
    figure.add_scatter(
        x=[finding.predicted_ms for finding in verified],
        y=[finding.measured_ms for finding in verified],
        error_x={"type": "data", "array": above, "arrayminus": below, "color": FRONT, "thickness": 1.2, "width": 4},
        text=[f"{escape(name_of(finding))}<br>predicted {finding.predicted_ms:.3f} ms" for finding in verified],
        hovertemplate="%{text}, measured %{y:.3f} ms<extra></extra>",
        mode="markers",
        marker={"size": 10, "symbol": "diamond", "color": MEASURED, "line": {"color": "white", "width": 1}},
        name="network and its interval",
    )
    figure.add_hline(outcome.budget_ms, line={"color": INK, "width": 1.5, "dash": "dash"})
    return figure


def _new_figure(x: str, y: str) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_xaxes(title=x, gridcolor=GRID, zeroline=False)
    figure.update_yaxes(title=y, gridcolor=GRID, zeroline=False)
    figure.update_layout(
        height=420,
        template="none",
        font={"family": "system-ui, -apple-system, Segoe UI, Roboto, Arial, sans-serif", "color": INK, "size": 13},
        margin={"l": 70, "r": 20, "t": 40, "b": 55},
        legend={"orientation": "h", "y": 1.12, "x": 0},
        hoverlabel={"bgcolor": "white", "bordercolor": MUTED, "font": {"color": INK}},
    )
    return figure


def _add_steps(figure: Any, x: Sequence[float], y: Sequence[float], colour: str, name: str) -> None:
    line = {"color": colour, "width": 2.5, "shape": "hv"}
    figure.add_scatter(x=list(x), y=list(y), mode="lines", line=line, name=name, hovertemplate="%{y:.2f} at %{x:.4g}")
