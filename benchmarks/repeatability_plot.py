"""The picture of how much latencies vary, platform by platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def plot_variation(rows: Sequence[Mapping[str, Any]], target_percent: float, path: Path, kind: str = "single pass") -> None:
    """Draw a dot for every network on a line for every platform, with the median of each.

    Args:
        rows: What ``benchmarks.repeatability`` found of each network and platform.
        target_percent: Drawn as a line.
        path: PNG file.
        kind: Which of the measured coefficients of variation.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    values: dict[str, list[float]] = {}
    for row in rows:
        if kind in row.get("cv_percent", {}):
            values.setdefault(row["platform"], []).append(row["cv_percent"][kind])
    names = sorted(values, key=lambda name: -float(np.median(values[name])))
    figure, axes = pyplot.subplots(figsize=(7.5, 1.4 + 0.3 * len(names)), layout="constrained")
    for place, name in enumerate(names):
        axes.plot(values[name], [place] * len(values[name]), "o", color="tab:blue", alpha=0.45, markersize=5)
        axes.plot(float(np.median(values[name])), place, "|", color="black", markersize=16, markeredgewidth=2)
    axes.axvline(target_percent, color="tab:red", linewidth=1, linestyle="--", label=f"target of the median, {target_percent:g} %")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel(f"coefficient of variation over processes, % ({kind}; a dot a network, a bar their median)", fontsize=8)
    axes.set_xlim(left=0)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
