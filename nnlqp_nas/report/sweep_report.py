"""The files of a sweep: its rows, one page with table and plot, one picture; budget against accuracy."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from .axes import new_figure, save, style_axes
from .page import render_document
from .sweep import SweepRow, group_series
from .view import GRID, INK, MUTED, SERIES

COLUMNS = ("budget, ms", "accuracy, %", "predicted, ms", "measured, ms", "verified within budget", "rated", "seconds")


def write_sweep(folder: Path, rows: Sequence[SweepRow], metric: str) -> None:
    """Write ``sweep.json``, ``sweep.html`` and ``sweep.png`` into a folder.

    Args:
        folder: Of the sweep; the folders of its searches are in it.
        rows: One a search.
        metric: What the accuracies are.
    """
    (folder / "sweep.json").write_text(json.dumps([row.to_json() for row in rows], indent=2) + "\n", encoding="utf-8")
    (folder / "sweep.html").write_text(render_sweep(rows, metric), encoding="utf-8")
    draw_sweep(folder / "sweep.png", rows, metric)


def render_sweep(rows: Sequence[SweepRow], metric: str) -> str:
    """Return the page: plot and table; it loads nothing from elsewhere, and links the pages of the searches."""
    plot = draw_sweep_figure(rows, metric).to_html(
        full_html=False, include_plotlyjs=True, config={"displaylogo": False, "responsive": True}
    )
    n_failed = sum(row.error is not None for row in rows)
    subtitle = "1 search" if len(rows) == 1 else f"{len(rows)} searches"
    subtitle += f", {n_failed} of them without a result" if n_failed else ""
    body = f'<div class="box plot">{plot}</div><h2>Searches</h2><div class="box">{_render_rows(rows)}</div>'
    return render_document("Accuracy within latency budgets", subtitle, body)


def draw_sweep_figure(rows: Sequence[SweepRow], metric: str) -> Any:
    """Return the interactive plot, a line a series."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for (name, series), colour in zip(group_series(rows).items(), _colours(), strict=False):
        symbols = ["circle" if row.measured_ms is not None else "circle-open" for row in series]
        figure.add_scatter(
            x=[row.budget_ms for row in series],
            y=[row.accuracy for row in series],
            text=[_describe(row) for row in series],
            hovertemplate="%{text}<extra></extra>",
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"size": 10, "symbol": symbols, "color": colour, "line": {"width": 2, "color": colour}},
            name=name,
        )
    figure.update_xaxes(title="latency budget, ms", gridcolor=GRID, zeroline=False)
    figure.update_yaxes(title=metric, gridcolor=GRID, zeroline=False)
    figure.update_layout(
        height=520,
        template="none",
        font={"color": INK, "size": 13},
        margin={"l": 70, "r": 20, "t": 20, "b": 55},
        showlegend=True,
        legend={"orientation": "h", "y": -0.18, "x": 0},
        hoverlabel={"bgcolor": "white", "bordercolor": MUTED, "font": {"color": INK}},
    )
    return figure


def draw_sweep(path: Path, rows: Sequence[SweepRow], metric: str) -> None:
    """Draw the accuracy that each search found over its budget, as PNG: filled where it was measured."""
    figure = new_figure("Most accurate network within a budget; filled dots were verified by measurement")
    axes = figure.subplots()
    for (name, series), colour in zip(group_series(rows).items(), _colours(), strict=False):
        budgets_ms, accuracies = [row.budget_ms or 0.0 for row in series], [row.accuracy or 0.0 for row in series]
        axes.plot(budgets_ms, accuracies, color=colour, linewidth=1.8, label=name, zorder=2)
        faces = [colour if row.measured_ms is not None else "white" for row in series]
        axes.scatter(budgets_ms, accuracies, s=44, facecolors=faces, edgecolors=colour, linewidths=1.6, zorder=3)
    style_axes(axes, "latency budget, ms", metric)
    save(figure, path)


def _colours() -> list[str]:
    return list(SERIES) * 8


def _describe(row: SweepRow) -> str:
    measured = "" if row.measured_ms is None else f", measured {row.measured_ms:.3f} ms"
    return f"{escape(row.series)}<br>{row.accuracy:.2f} within {row.budget_ms:.4g} ms: predicted {row.predicted_ms:.3f} ms{measured}"


def _render_rows(rows: Sequence[SweepRow]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row.varied if name != "budget_ms"))
    header = "".join(f"<th>{escape(name)}</th>" for name in ("no.", *names, *COLUMNS))
    return f"<table><tr>{header}</tr>{''.join(_render_row(row, names) for row in rows)}</table>"


def _render_row(row: SweepRow, names: Sequence[str]) -> str:
    link = escape(f"{row.folder}/pareto.html".replace(os.sep, "/"), quote=True)
    first = f'<a href="{link}">{row.job}</a>' if row.error is None else str(row.job)
    cells = [first, *(escape(str(row.varied.get(name, ""))) for name in names)]
    if row.error is not None:
        return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}<td colspan={len(COLUMNS)} class=no>{escape(row.error)}</td></tr>"
    cells += [_number(row.budget_ms, 3), _number(row.accuracy, 2), _number(row.predicted_ms, 3), _number(row.measured_ms, 3)]
    verified = f"{row.n_within} of {row.n_verified}" if row.n_verified else "&ndash;"
    cells += [verified, str(row.n_evaluated), f"{row.seconds:.1f}"]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _number(value: float | None, digits: int) -> str:
    return "&ndash;" if value is None else f"{value:.{digits}f}"
