"""Search under HELP's budgets as a picture: what was published, what we reach, what is possible."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def draw_constrained(path: Path, found: Mapping[str, Any]) -> None:
    """Draw accuracy and true latency under each budget, a panel a device, as PNG.

    Args:
        path: Of the picture.
        found: The result, with its part ``help``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = found["help"]["mean"]
    devices = list(dict.fromkeys(row["device"] for row in rows))
    figure = Figure(figsize=(2.6 * len(devices), 3.6), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(devices), sharey=True, squeeze=False)[0]
    for axes, device in zip(panels, devices, strict=True):
        mine = [row for row in rows if row["device"] == device]
        for row in mine:
            axes.axvline(row["budget_ms"], color="#9aa5b1", linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
            axes.plot(row["budget_ms"], row["optimum"], "_", color="#2c3e50", ms=16, mew=1.6, label="best that fits")
            is_over = row["help_ms"] > row["budget_ms"]
            label = "HELP, over its budget" if is_over else "HELP, as published"
            axes.plot(row["help_ms"], row["help"], "^", color="#c0392b" if is_over else "#9aa5b1", ms=7, label=label)
            axes.errorbar(row["true_ms"], row["value"], row["value_sd"], fmt="o", color="#1f4e9c", ms=6, capsize=3, label="ours")
        axes.set_title(device, fontsize=10)
        axes.set_xlabel("true latency, ms")
        axes.grid(color="#e5e8ec", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("CIFAR-100 test accuracy, %")
    labelled = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(labelled.values(), labelled.keys(), loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
