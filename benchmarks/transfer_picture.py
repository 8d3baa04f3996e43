"""The transfer experiment as a picture: error over samples, and by platform."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = ("#1f4e9c", "#5b8bd6", "#8e44ad", "#9aa5b1", "#e08e0b", "#c0392b", "#e6a29a")
SHOWN = "few_shot"


def draw_transfer(path: Path, mean: Mapping[str, Mapping[str, Any]], platforms: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Draw MAPE over the number of samples by method, mean of the platforms, and of ours by platform, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    labels = list(mean)
    for method, colour in zip(dict.fromkeys(method for row in mean.values() for method in row), COLOURS, strict=False):
        shown = [i for i, label in enumerate(labels) if method in mean[label]]
        n_platforms = min(mean[labels[i]][method]["n_platforms"] for i in shown)
        name = method if n_platforms == len(platforms) else f"{method} ({n_platforms} platforms)"
        left.plot(shown, [mean[labels[i]][method]["mape"] for i in shown], "o-", ms=4, color=colour, label=name)
    for name, rows in platforms.items():
        shown = [i for i, label in enumerate(labels) if SHOWN in rows.get(label, {})]
        right.plot(shown, [rows[labels[i]][SHOWN]["mape"] for i in shown], "o-", ms=4, label=name)
    left.set_title(f"Platforms left out, mean of {len(platforms)}", fontsize=10)
    right.set_title("few_shot, by platform", fontsize=10)
    for axes in (left, right):
        axes.set_yscale("log")
        ticks = [2, 3, 5, 8, 12, 20, 30, 50]
        axes.set_yticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xticks(np.arange(len(labels)), labels)
        axes.set_xlabel("networks measured on the platform")
        axes.set_ylabel("MAPE on all others, %")
        axes.grid(color="#e5e8ec", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
