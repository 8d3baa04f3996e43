"""How zero-cost proxies rank networks whose accuracies are published.

    NNLQP_NAS_DATA=<folder of the published tables> python -m benchmarks.zero_cost_proxies [--n 200] [--seeds 3] [--quick] [--json]

Spearman correlation with the published accuracy of n networks, drawn at random from the table; mean, least and
most over seeds, each seed with its own networks, weights and images (Gaussian noise).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.accuracy_tables import TABLES, read_accuracies
from benchmarks.record import record
from nnlqp_nas import load_space
from nnlqp_nas.datasets.published import tables_directory
from nnlqp_nas.quality import ZeroCostProxy

PROXIES = ("naswot", "synflow", "params", "flops")
SPACES = ("nasbench201", "nasbench_macro")


def correlate(space: str, data: Path, n: int, seeds: int) -> dict[str, Any]:
    """Return, for each proxy, the correlation with every column of the space's table, and seconds a network."""
    members, accuracy = read_accuracies(space, data)
    result: dict[str, Any] = {}
    for proxy in PROXIES:
        found, seconds = [], 0.0
        for seed in range(seeds):
            chosen = np.random.default_rng(seed).choice(len(members), n, replace=False)
            begin_s = time.process_time()
            scores = ZeroCostProxy(load_space(space), proxy, seed=seed).evaluate([members[i] for i in chosen])
            seconds += time.process_time() - begin_s
            found.append([float(spearmanr(scores, column).statistic) for column in accuracy[chosen].T])
        names = TABLES[space].columns
        summary = {
            name: {"mean": round(float(np.mean(values)), 3), "least": round(min(values), 3), "most": round(max(values), 3)}
            for name, values in zip(names, zip(*found, strict=True), strict=True)
        }
        result[proxy] = {"spearman": summary, "seconds_a_network": round(seconds / (n * seeds), 4)}
        print(f"{space} {proxy}: {result[proxy]}", file=sys.stderr)
    return result


def main() -> None:
    """Correlate, keep and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=200, help="networks a seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="ten networks, one seed; not kept")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    folder = tables_directory()
    if folder is None:
        raise SystemExit("expected the folder of the published tables in the variable NNLQP_NAS_DATA, got nothing")
    n, seeds = (10, 1) if arguments.quick else (arguments.n, arguments.seeds)
    spaces = {space: correlate(space, folder, n, seeds) for space in SPACES}
    record("zero_cost_proxies", {"n": n, "seeds": seeds, "spaces": spaces}, arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
