"""The Pareto front as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from ..search import Candidate, Finding, SearchOutcome
from .page import render_document
from .run_figures import figure_of_budgets, figure_of_history, figure_of_measured
from .series import describe_errors
from .view import FRONT, GRID, INK, MEASURED, MUTED, OVER, RATED, accuracy_range, front_of, latency_range_ms, name_of

if TYPE_CHECKING:
    import plotly.graph_objects


def render_page(outcome: SearchOutcome, candidates: Sequence[Candidate], settings: dict[str, Any], metric: str) -> str:
    """Return the page: summary, interactive plots, the verified networks, settings; it loads nothing from elsewhere."""
    title = f"{outcome.space} within {outcome.budget_ms:.3g} ms"
    subtitle = f"The most accurate networks that run within the budget on {outcome.platform}; seed {outcome.seed}"
    body = f"""<div class="cards">{_render_cards(outcome)}</div>
{_render_plot(draw_figure(outcome, candidates, metric), is_first=True)}
<h2>{"Verified by measurement" if outcome.verified else "Found"}</h2>
<div class="box">{_render_table(outcome.verified or outcome.front)}</div>
<h2>Predicted against measured</h2>
<p class="sub">{describe_errors(outcome.verified)}</p>
{_render_plot(figure_of_measured(outcome)) if outcome.verified else ""}
<h2>Search history</h2>
{_render_plot(figure_of_history(outcome, candidates, metric))}
<h2>Accuracy within smaller budgets</h2>
{_render_plot(figure_of_budgets(outcome, candidates, metric))}
<h2>Settings</h2>
<div class="box settings">{_render_settings(settings)}</div>"""
    return render_document(title, subtitle, body)


def draw_figure(outcome: SearchOutcome, candidates: Sequence[Candidate], metric: str) -> plotly.graph_objects.Figure:
    """Return the interactive plot."""
    from plotly.subplots import make_subplots

    figure: plotly.graph_objects.Figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.83, 0.17], vertical_spacing=0.03)
    for trace in (_trace_rated(candidates), *_trace_front(outcome), *_trace_verified(outcome.verified)):
        figure.add_trace(trace, row=1, col=1)
    for trace in _trace_priced(outcome, candidates):
        figure.add_trace(trace, row=2, col=1)
    low_ms, high_ms = latency_range_ms(outcome, candidates)
    figure.add_vline(outcome.budget_ms, line={"color": INK, "width": 1.5, "dash": "dash"})
    figure.add_vrect(outcome.budget_ms, high_ms * 4, fillcolor=OVER, opacity=0.13, line_width=0)
    label = {
        "text": f"budget {outcome.budget_ms:.3g} ms",
        "showarrow": False,
        "xanchor": "left",
        "xshift": 6,
        "font": {"color": INK, "size": 13},
    }
    figure.add_annotation(x=outcome.budget_ms, y=0.04, yref="y domain", **label)
    figure.update_xaxes(range=[low_ms, high_ms], gridcolor=GRID, zeroline=False)
    figure.update_xaxes(title=f"latency on {outcome.platform}, ms", row=2, col=1)
    figure.update_yaxes(gridcolor=GRID, zeroline=False)
    figure.update_yaxes(title=metric, range=list(accuracy_range(outcome, candidates)), row=1, col=1)
    figure.update_yaxes(title="priced", showticklabels=False, showgrid=False, row=2, col=1)
    figure.update_layout(
        height=640,
        template="none",
        barmode="stack",
        bargap=0.05,
        font={"family": "system-ui, -apple-system, Segoe UI, Roboto, Arial, sans-serif", "color": INK, "size": 13},
        margin={"l": 70, "r": 20, "t": 50, "b": 55},
        legend={"orientation": "h", "y": 1.08, "x": 0, "traceorder": "normal"},
        hoverlabel={"bgcolor": "white", "bordercolor": MUTED, "font": {"color": INK}},
    )
    return figure


def _trace_rated(candidates: Sequence[Candidate]) -> Any:
    import plotly.graph_objects as go

    rated = [candidate for candidate in candidates if candidate.accuracy is not None]
    return go.Scattergl(
        x=[candidate.predicted_ms for candidate in rated],
        y=[candidate.accuracy for candidate in rated],
        customdata=[[candidate.architecture.key.partition(":")[2], *candidate.interval_ms] for candidate in rated],
        hovertemplate="%{customdata[0]}<br>%{y:.2f} at %{x:.3f} ms (%{customdata[1]:.3f} to %{customdata[2]:.3f})<extra></extra>",
        mode="markers",
        marker={"size": 5, "color": RATED, "opacity": 0.7},
        name="rated candidates",
    )


def _trace_front(outcome: SearchOutcome) -> list[Any]:
    import plotly.graph_objects as go

    front = front_of(outcome)
    steps_ms = [finding.predicted_ms for finding in front] + [outcome.budget_ms] * bool(front)
    heights = [finding.accuracy for finding in [*front, *front[-1:]]]
    line = go.Scatter(
        x=steps_ms,
        y=heights,
        mode="lines",
        line={"color": FRONT, "width": 2.5, "shape": "hv"},
        name="Pareto front (predicted)",
        hoverinfo="skip",
    )
    dots = go.Scatter(
        x=steps_ms[:-1],
        y=heights[:-1],
        mode="markers",
        text=[_describe(finding) for finding in front],
        hovertemplate="%{text}<extra></extra>",
        marker={"size": 8, "color": FRONT, "line": {"color": "white", "width": 1}},
        showlegend=False,
    )
    return [line, dots]


def _trace_verified(verified: Sequence[Finding]) -> list[Any]:
    import plotly.graph_objects as go

    if not verified:
        return []
    x, y = [finding.predicted_ms for finding in verified], [finding.accuracy for finding in verified]
    shared = {"mode": "markers", "text": [_describe(finding) for finding in verified], "hovertemplate": "%{text}<extra></extra>"}
    upper = [finding.interval_ms[1] - finding.predicted_ms for finding in verified]
    lower = [finding.predicted_ms - finding.interval_ms[0] for finding in verified]
    error = {"type": "data", "array": upper, "arrayminus": lower, "color": FRONT, "thickness": 1.2, "width": 4}
    predicted = go.Scatter(x=x, y=y, error_x=error, marker={"size": 7, "color": FRONT}, name="predicted, with interval", **shared)
    diamond = {"size": 11, "symbol": "diamond", "color": MEASURED, "line": {"color": "white", "width": 1.2}}
    measured = go.Scatter(x=[finding.measured_ms for finding in verified], y=y, marker=diamond, name="measured", **shared)
    return [predicted, measured]


def _trace_priced(outcome: SearchOutcome, candidates: Sequence[Candidate]) -> list[Any]:
    import plotly.graph_objects as go

    low_ms, high_ms = latency_range_ms(outcome, candidates)
    bins = {"start": low_ms, "size": (high_ms - low_ms) / 80}
    parts = {True: ("interval within budget", RATED), False: ("over budget, never rated", OVER)}
    return [
        go.Histogram(
            x=[candidate.predicted_ms for candidate in candidates if candidate.fits(outcome.budget_ms) is fits],
            xbins=bins,
            marker={"color": colour},
            name=name,
            showlegend=False,
            hovertemplate="%{y} " + name + "<extra></extra>",
        )
        for fits, (name, colour) in parts.items()
    ]


def _describe(finding: Finding) -> str:
    measured = "" if finding.measured_ms is None else f"<br>measured {finding.measured_ms:.3f} ms"
    low_ms, high_ms = finding.interval_ms
    return (
        f"{escape(name_of(finding))}<br>{finding.accuracy:.2f} at {finding.predicted_ms:.3f} ms ({low_ms:.3f} to {high_ms:.3f}){measured}"
    )


def _render_plot(figure: Any, is_first: bool = False) -> str:
    """Return a plot as part of a page; the first one brings what draws them all."""
    plot = figure.to_html(full_html=False, include_plotlyjs=is_first, config={"displaylogo": False, "responsive": True})
    return f'<div class="box plot">{plot}</div>'


def _render_cards(outcome: SearchOutcome) -> str:
    facts = [(f"{outcome.n_priced:,}", "networks priced"), (f"{outcome.n_evaluated:,}", "within budget and rated")]
    if outcome.verified:
        facts.append((f"{sum(finding.within_budget for finding in outcome.verified)} of {len(outcome.verified)}", "verified within budget"))
    facts.append((f"{max(finding.accuracy for finding in outcome.front):.2f}", "best accuracy"))
    facts += [(f"{seconds:.1f} s", phase) for phase, seconds in outcome.seconds.items()]
    return "".join(f'<div class="card"><b>{value}</b><span>{escape(name)}</span></div>' for value, name in facts)


def _render_table(findings: Sequence[Finding]) -> str:
    rows = []
    for finding in findings:
        low_ms, high_ms = finding.interval_ms
        measured = "&ndash;" if finding.measured_ms is None else f"{finding.measured_ms:.3f}"
        verdict = "yes" if finding.within_budget else "no"
        cells = [f"{finding.accuracy:.2f}", f"{finding.predicted_ms:.3f}", f"{low_ms:.3f} &ndash; {high_ms:.3f}", measured]
        cells.append(f'<span class="{verdict}">{verdict}</span>')
        rows.append(f"<tr><td><code>{escape(name_of(finding))}</code></td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    names = ("architecture", "accuracy, %", "predicted, ms", "interval, ms", "measured, ms", "within budget")
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>{''.join(rows)}</table>"


def _render_settings(settings: dict[str, Any], prefix: str = "") -> str:
    lines = []
    for name, value in settings.items():
        if isinstance(value, dict):
            lines.append(_render_settings(value, f"{prefix}{name}."))
        else:
            lines.append(f"<div><i>{escape(prefix + name)}</i> {escape('null' if value is None else str(value))}</div>")
    return "".join(lines)
