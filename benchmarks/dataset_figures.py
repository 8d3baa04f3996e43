"""Counts of the shipped latency data set, and a picture of it: latency by family and platform.

python -m benchmarks.dataset_figures            # a table, and docs/dataset.png
python -m benchmarks.dataset_figures --quick    # the table alone
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from nnlqp_nas.datasets.latency_row import LatencyRow, read_rows
from nnlqp_nas.datasets.measured import MEASURED

from .record import record

_A_LINE = 5
_FEWEST_DRAWN = 20
_WIDE = 100.0
PICTURE = Path(__file__).parent.parent / "docs" / "dataset.png"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="no picture, and no file of results")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = read_rows(sorted(MEASURED.glob("*.parquet")))
    platforms = {name: _describe([row for row in rows if row.platform == name]) for name in sorted({row.platform for row in rows})}
    result = {"rows": sum(one["rows"] for one in platforms.values()), "platforms": platforms}
    record("dataset_figures", result, arguments.quick, arguments.json)
    if not arguments.json:
        _print(platforms)
    if not arguments.quick:
        _draw(rows)


def _describe(rows: list[LatencyRow]) -> dict[str, Any]:
    good = [row for row in rows if row.latency_ms is not None]
    passes = [json.loads(row.facts).get("pass_medians_ms", []) for row in good]
    apart = [abs(one[0] - one[1]) / np.mean(one[:2]) for one in passes if len(one) > 1]
    families: dict[str, int] = defaultdict(int)
    for row in good:
        families[row.space] += 1
    return {
        "rows": len(good),
        "failures": len(rows) - len(good),
        "families": dict(sorted(families.items())),
        "hosts": sorted({row.host for row in rows}),
        "median_ms": float(np.median([row.latency_ms for row in good if row.latency_ms])),
        "drift_sd": float(np.std([row.drift for row in good])),
        "spread": float(
            np.median([(row.high_ms - row.low_ms) / row.latency_ms for row in good if row.low_ms and row.high_ms and row.latency_ms])
        ),
        "two_passes": len(apart),
        "passes_apart": float(np.median(apart)) if apart else None,
        "first": min(row.taken_at for row in rows)[:19],
        "last": max(row.taken_at for row in rows)[:19],
    }


def _print(platforms: dict[str, dict[str, Any]]) -> None:
    print(f"{'platform':<26}{'rows':>6}{'failed':>8}{'families':>10}{'median ms':>11}{'quartiles':>11}{'drift':>8}  host")
    for name, one in platforms.items():
        print(
            f"{name:<26}{one['rows']:>6}{one['failures']:>8}{len(one['families']):>10}{one['median_ms']:>11.3g}"
            f"{one['spread']:>11.2%}{one['drift_sd']:>8.2%}  {', '.join(one['hosts'])}"
        )
    print(f"{'all':<26}{sum(one['rows'] for one in platforms.values()):>6}")


def _draw(rows: list[LatencyRow]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    platforms, families = sorted({row.platform for row in rows}), sorted({row.space for row in rows})
    n_lines = -(-len(families) // _A_LINE)
    figure, places = plt.subplots(n_lines, _A_LINE, figsize=(2.4 * _A_LINE, n_lines * (0.22 * len(platforms) + 0.8)), sharey=True)
    for axis in np.ravel(places)[len(families) :]:
        axis.set_visible(False)
    for axis, family in zip(np.ravel(places), families, strict=False):
        for at, platform in enumerate(platforms):
            found = [row.latency_ms for row in rows if row.platform == platform and row.space == family and row.latency_ms]
            if len(found) >= _FEWEST_DRAWN:
                axis.boxplot(found, positions=[at], orientation="horizontal", widths=0.7, showfliers=False, medianprops={"color": "C1"})
        axis.set_xscale("log")
        low, high = axis.get_xlim()
        axis.set_xlim(min(low, high / 20), high)
        axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 3.0) if high / low < _WIDE else (1.0,)))
        axis.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        axis.xaxis.set_minor_formatter(ticker.NullFormatter())
        axis.set_title(family, fontsize=9)
        axis.set_yticks(range(len(platforms)), [name.removeprefix("cpu-") for name in platforms], fontsize=7)
        axis.tick_params(axis="x", labelsize=7)
        axis.grid(axis="x", alpha=0.3)
    figure.supxlabel("latency, ms (batch 1, one thread)", fontsize=9)
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=110)
    print(f"wrote {PICTURE.name}")


if __name__ == "__main__":
    main()
