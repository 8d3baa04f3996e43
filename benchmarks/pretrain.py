"""Train the shipped predictor and write it with its card.

    NNLQP_NAS_DATA=<folder of the published tables> python -m benchmarks.pretrain

Trains on the published NAS-Bench-201 and Once-for-All latencies and on the CPU measurements of
nnlqp_nas/datasets/rows; tests on networks that no training, stop or calibration saw.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.record import provenance
from nnlqp_nas.core import InvalidSettingError, LatencyPredictor, LatencyTable
from nnlqp_nas.core.plugins import PREDICTORS, SPACES, load_plugin
from nnlqp_nas.datasets.latency_row import read_rows
from nnlqp_nas.datasets.measured import MEASURED, tables_of
from nnlqp_nas.datasets.published import PublishedTable, tables_directory

PRETRAINED = Path(__file__).parents[1] / "predictors" / "pretrained"
N_TEST = 500
FAR_EPOCHS, FAR_GRAPHS = 12, 600


def split_published(space: str, settings: dict[str, Any], n_train: int, seed: int) -> tuple[list[LatencyTable], list[LatencyTable]]:
    """Return the training and the test tables of one space's published latencies."""
    folder = tables_directory()
    if folder is None:
        raise InvalidSettingError("expected the folder of the published tables in the variable NNLQP_NAS_DATA, got nothing")
    published = PublishedTable(folder, load_plugin(SPACES, space)(**settings))
    rows = np.random.default_rng(seed).permutation(len(published.architectures))
    train, test = rows[:n_train], rows[-N_TEST:]
    return [published.table(c, train.tolist()) for c in published.columns], [published.table(c, test.tolist()) for c in published.columns]


def split_table(table: LatencyTable, seed: int) -> tuple[LatencyTable, LatencyTable]:
    """Return nine tenths and one tenth of a table."""
    order = np.random.default_rng(seed).permutation(len(table))
    n_test = len(table) // 10
    parts = [
        replace(table, graphs=[table.graphs[i] for i in part], latency_ms=table.latency_ms[part])
        for part in (order[n_test:], order[:n_test])
    ]
    return parts[0], parts[1]


def judge(predictor: LatencyPredictor, tables: Sequence[LatencyTable]) -> list[dict[str, Any]]:
    """Return the errors on each table."""
    errors = []
    for table in tables:
        p = predictor.predict(table.graphs, table.platform, table.batch_size)
        relative = np.abs(p.latency_ms / table.latency_ms - 1.0)
        covered = (p.low_ms <= table.latency_ms) & (table.latency_ms <= p.high_ms)
        errors.append(
            {
                "platform": str(table.platform),
                "batch_size": table.batch_size,
                "domain": table.domain,
                "n": len(table),
                "mape": round(100 * float(relative.mean()), 2),
                "median_ape": round(100 * float(np.median(relative)), 2),
                "acc10": round(100 * float((relative <= 0.1).mean()), 1),
                "spearman": round(float(spearmanr(p.latency_ms, table.latency_ms)[0]), 4),
                "coverage": round(float(covered.mean()), 3),
                "extrapolating": round(float(p.is_extrapolating.mean()), 3),
            }
        )
    return errors


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictor", default="kernel_gnn", help="entry point of the predictor to train")
    parser.add_argument("--output", type=Path, default=PRETRAINED / "universal.safetensors")
    parser.add_argument("--without", action="append", default=[], metavar="SOFTWARE", help="leave out all platforms of this software")
    parser.add_argument("--n-nasbench201", type=int, default=4000)
    parser.add_argument("--n-ofa", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.threads)
    train, test = collect_tables(arguments.n_nasbench201, arguments.n_ofa, arguments.without, arguments.seed)
    make = load_plugin(PREDICTORS, arguments.predictor)
    far = measure_far_error(make, train, test, arguments.seed)
    predictor = replace(make().fit(train, arguments.seed), far_error=far["quantile"])
    predictor.save(arguments.output)
    errors = judge(predictor, test)
    card = {
        "predictor": arguments.predictor,
        "command": "python -m benchmarks.pretrain " + " ".join(f"--without {name}" for name in arguments.without),
        "seed": arguments.seed,
        "trained_on": [{"platform": str(t.platform), "batch_size": t.batch_size, "domain": t.domain, "n": len(t)} for t in train],
        "split": f"random networks; {N_TEST} published rows a space and a tenth of the measured rows are for testing alone; "
        "of the training networks a tenth chose the stop and a tenth calibrated the intervals",
        "errors": errors,
        "unseen_domain": far,
        "data": "HELP and HW-NAS-Bench latencies (MIT), LatBench (Apache-2.0), own CPU measurements; the tables themselves are not shipped",
        **provenance(),
    }
    arguments.output.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")
    for row in errors:
        print("{platform:36s} b{batch_size:<4d}{domain:12s} MAPE {mape:6.2f}  rho {spearman:.4f}  cover {coverage:.3f}".format(**row))


def measure_far_error(make: Callable[[], Any], train: Sequence[LatencyTable], test: Sequence[LatencyTable], seed: int) -> dict[str, Any]:
    """Return the error on a domain that no training network came from, by leaving each domain out on the platforms that have several.

    Its 0.9 quantile is how far an interval reaches where a network is unlike all that was seen.
    """
    domains: dict[Any, set[str]] = {}
    for table in train:
        domains.setdefault(table.platform, set()).add(table.domain)
    shared = {platform for platform, names in domains.items() if len(names) > 1}
    errors: dict[str, list[float]] = {}
    for left_out in sorted({name for platform in shared for name in domains[platform]}):
        near = [table for table in train if table.platform in shared and table.domain != left_out]
        quick = replace(make(), settings=replace(make().settings, n_epochs=FAR_EPOCHS))
        predictor = quick.fit([_first(table, FAR_GRAPHS) for table in near], seed)
        for table in test:
            if table.domain == left_out and table.platform in predictor.platforms:
                log_error = np.log(predictor.predict(table.graphs, table.platform, table.batch_size).latency_ms / table.latency_ms)
                errors.setdefault(left_out, []).extend(np.abs(log_error).tolist())
    quantiles = {name: round(float(np.quantile(values, 0.9)), 3) for name, values in errors.items()}
    return {"quantile": max(quantiles.values()), "quantile_by_domain": quantiles, "platforms": sorted(map(str, shared))}


def _first(table: LatencyTable, n: int) -> LatencyTable:
    return replace(table, graphs=table.graphs[:n], latency_ms=table.latency_ms[:n])


def collect_tables(n_nasbench201: int, n_ofa: int, without: Sequence[str], seed: int) -> tuple[list[LatencyTable], list[LatencyTable]]:
    """Return all training tables and all test tables."""
    train, test = split_published("nasbench201", {}, n_nasbench201, seed)
    if n_ofa:
        more_train, more_test = split_published("mobilenetv3", {"width": 1.2}, n_ofa, seed)
        train, test = train + more_train, test + more_test
    for table in tables_of(read_rows(sorted(MEASURED.glob("*.parquet")))):
        if table.platform.software not in without:
            parts = split_table(table, seed)
            train.append(parts[0])
            test.append(parts[1])
    return train, test


if __name__ == "__main__":
    main()
