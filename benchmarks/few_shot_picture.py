"""Few-shot tasks as a picture: published methods, the linear floor, ours, and the ceiling."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def draw_few_shot(path: Path, tasks: Mapping[str, Any], published: Mapping[str, Mapping[str, float]]) -> None:
    """Draw Spearman at 20 samples by task, and over the number of samples, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    names = list(tasks)
    places = range(len(names))
    for (method, values), marker in zip(published.items(), "^sD", strict=False):
        left.plot(places, [values.get(name, float("nan")) for name in names], marker, color="#9aa5b1", label=f"{method}, published")
    left.plot(places, [tasks[name]["20"]["floor"]["spearman"] for name in names], "_", color="#c0392b", ms=22, mew=2, label="linear floor")
    ours = [tasks[name]["20"]["spearman"] for name in names]
    spread = [tasks[name]["20"]["spearman_sd"] for name in names]
    left.errorbar(places, ours, spread, fmt="o", color="#1f4e9c", ms=7, capsize=3, label="ours (seeds' deviation)")
    left.plot(
        places, [tasks[name]["ceiling"]["spearman"] for name in names], "_", color="#2c3e50", ms=22, label="linear fit to all networks"
    )
    left.set_xticks(list(places), names)
    left.set_ylabel("Spearman, 20 samples of the target")
    left.legend(frameon=False, fontsize=8, loc="lower left")
    for name in names:
        counts = [n for n in tasks[name] if n.isdigit()]
        right.plot([int(n) for n in counts], [tasks[name][n]["spearman"] for n in counts], "o-", ms=4, label=name)
    right.set_xscale("log")
    right.set_xticks([5, 10, 20, 50], ["5", "10", "20", "50"])
    right.minorticks_off()
    right.set_xlabel("samples of the target")
    right.set_ylabel("Spearman")
    right.legend(frameon=False, fontsize=8, ncols=2)
    for axes in (left, right):
        axes.grid(color="#e5e8ec", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
