"""How pictures look: one style for the axes of all of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .view import GRID, INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def new_figure(title: str, width: float = 9, height: float = 5.6) -> Figure:
    """Return an empty figure with a title; no window, no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, color=INK, fontsize=12, x=0.02, ha="left", weight="bold")
    return figure


def style_axes(axes: Axes, x: str = "", y: str = "") -> None:
    """Give axes their grid, colours and names."""
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelsize=9)
    if x:
        axes.set_xlabel(x, color=INK)
    if y:
        axes.set_ylabel(y, color=INK)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; where its first axes name things, a legend is beside them."""
    axes = figure.axes[0]
    if axes.get_legend_handles_labels()[1]:
        axes.legend(facecolor="white", edgecolor="none", framealpha=0.9, fontsize=9, labelcolor=INK, loc="lower right")
    figure.savefig(path)
