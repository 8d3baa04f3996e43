"""How much the reported latency varies from process to process.

    python -m benchmarks.repeatability [--quick] [--json] [--platform P] [--n-graphs N] [--n-repeats K]

Every repeat is a process of its own; the networks take turns, so that a drift of the machine
falls on all of them alike.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from tqdm import tqdm

from nnlqp_nas.core import Measurement, MeasurementBackend, ModelGraph, Platform
from nnlqp_nas.core.plugins import BACKENDS, SPACES, load_plugin

from .record import record

STATISTICS: dict[str, Callable[[Measurement], float]] = {
    "median": lambda one: one.latency_ms,
    "first quartile": lambda one: one.interval_ms[0] if one.interval_ms else one.latency_ms,
    "fastest run": lambda one: one.facts["min_ms"],
    "CPU time": lambda one: one.facts["cpu_ms"],
}


def draw_graphs(n: int, seed: int) -> dict[str, ModelGraph]:
    """Return n distinct NAS-Bench-201 networks by their notation; each computes something."""
    space, rng = load_plugin(SPACES, "nasbench201")(), np.random.default_rng(seed)
    graphs: dict[str, ModelGraph] = {}
    while len(graphs) < n:
        member = space.sample(rng)
        graph = space.graph(member)
        if len(graph) > 20 and graph not in graphs.values():
            graphs[space.encode(member)] = graph
    return graphs


def repeat(backend: MeasurementBackend, graphs: dict[str, ModelGraph], n_repeats: int) -> dict[str, list[Measurement]]:
    """Measure each network ``n_repeats`` times, in turns."""
    taken: dict[str, list[Measurement]] = {name: [] for name in graphs}
    for _ in tqdm(range(n_repeats), desc="repeats", file=sys.stderr, disable=None):
        for name, result in zip(graphs, backend.measure(list(graphs.values())), strict=True):
            if not isinstance(result, Measurement):
                raise SystemExit(f"expected {name} to run on {backend.platform}, got ({result.stage}) {result.reason}")
            taken[name].append(result)
    return taken


def summarise(taken: dict[str, list[Measurement]]) -> dict[str, Any]:
    """Return the coefficient of variation of each statistic, by network and as the median over networks."""
    rows: list[dict[str, Any]] = []
    for name, results in taken.items():
        cv = {label: _variation_percent([statistic(one) for one in results]) for label, statistic in STATISTICS.items()}
        rows.append({"network": name, "latency_ms": float(np.median([one.latency_ms for one in results])), "cv_percent": cv})
    everything = [one for results in taken.values() for one in results]
    return {
        "networks": rows,
        "median_cv_percent": {label: float(np.median([row["cv_percent"][label] for row in rows])) for label in STATISTICS},
        "seconds_per_measurement": float(np.mean([one.facts["spent_s"] for one in everything])),
        "disturbed_share": float(np.mean([one.facts["is_disturbed"] for one in everything])),
        "wide_spread_share": float(np.mean([one.facts["spread_is_wide"] for one in everything])),
    }


def _variation_percent(values: list[float]) -> float:
    return float(100 * np.std(values, ddof=1) / np.mean(values))


def print_table(result: dict[str, Any]) -> None:
    """Print one line a network, then the medians over them."""
    print(f"{'ms':>9} " + " ".join(f"{label:>15}" for label in STATISTICS) + "   network (coefficient of variation, %)")
    for row in [*result["networks"], {"network": "median over networks", "latency_ms": np.nan, "cv_percent": result["median_cv_percent"]}]:
        print(f"{row['latency_ms']:9.3f} " + " ".join(f"{row['cv_percent'][label]:15.2f}" for label in STATISTICS) + f"   {row['network']}")
    shares = f"disturbed {result['disturbed_share']:.0%}, wide spread {result['wide_spread_share']:.0%}"
    print(f"{result['seconds_per_measurement']:.2f} s a measurement; {shares}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 networks, 3 repeats; figures are not kept")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--platform", default="cpu-onnxruntime-fp32")
    parser.add_argument("--n-graphs", type=int, default=8)
    parser.add_argument("--n-repeats", type=int, default=10)
    arguments = parser.parse_args()
    n_graphs, n_repeats = (2, 3) if arguments.quick else (arguments.n_graphs, arguments.n_repeats)
    platform = Platform.parse(arguments.platform)
    backend = load_plugin(BACKENDS, platform.software)(platform)
    load_before = os.getloadavg()[0]
    result = summarise(repeat(backend, draw_graphs(n_graphs, seed=0), n_repeats))
    result |= {"platform": str(platform), "host": backend.host, "n_repeats": n_repeats, "load_average_before": load_before}
    record("repeatability", result, arguments.quick, arguments.json)
    if not arguments.json:
        print_table(result)


if __name__ == "__main__":
    main()
