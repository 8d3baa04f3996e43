"""Train the shipped predictor and write it with its card.

    NNLQP_NAS_DATA=<folder of the published tables> python -m benchmarks.pretrain

Trains on the published NAS-Bench-201 and Once-for-All latencies and on the CPU measurements of
nnlqp_nas/datasets/rows; tests on networks that no training saw. The own ones among them were measured until passes agree, as a user's are:
they calibrate the intervals of their platforms, and each half of them says how well the other half does. The epochs are kept in a
folder: a run that was killed goes on from its last one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.evaluation import OURS, cross_calibrated, judge, split, untrained
from benchmarks.measured_networks import PROBES
from benchmarks.record import provenance
from nnlqp_nas.core import InvalidSettingError, LatencyPredictor, LatencyTable, Platform, Prediction
from nnlqp_nas.core.plugins import SPACES, load_plugin
from nnlqp_nas.datasets.latency_row import LatencyRow, read_rows
from nnlqp_nas.datasets.measured import MEASURED, tables_of
from nnlqp_nas.datasets.published import PublishedTable, tables_directory
from nnlqp_nas.predictors.held_out import hold_out
from nnlqp_nas.predictors.kernel_gnn_fit import CALIBRATED, far_errors
from nnlqp_nas.training import EpochLoop

PRETRAINED = Path(__file__).parents[1] / "predictors" / "pretrained"
N_TEST = 500
TESTED = 0.1
SPLIT = (
    f"random networks; {N_TEST} published rows a space and a tenth of the measured rows, which were measured until passes agree, are not "
    "trained on; of the training networks a tenth of each domain calibrated the intervals, then those of own platforms were calibrated "
    "anew on the test networks: their coverage is that of either half under the calibration of the other; the last epoch counts"
)
LEAST_JUDGED = 5
"""Networks below which a table's errors say nothing."""


def split_published(space: str, settings: dict[str, Any], n_train: int, seed: int) -> tuple[list[LatencyTable], list[LatencyTable]]:
    """Return the training and the test tables of one space's published latencies."""
    folder = tables_directory()
    if folder is None:
        raise InvalidSettingError("expected the folder of the published tables in the variable NNLQP_NAS_DATA, got nothing")
    published = PublishedTable(folder, load_plugin(SPACES, space)(**settings))
    rows = np.random.default_rng(seed).permutation(len(published.architectures))
    train, test = rows[:n_train], rows[-N_TEST:]
    return [published.table(c, train.tolist()) for c in published.columns], [published.table(c, test.tolist()) for c in published.columns]


def judge_all(tables: Sequence[LatencyTable], answers: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Return the errors on each table that is large enough to tell them."""
    return [
        {"platform": str(table.platform), "batch_size": table.batch_size, "domain": table.domain, **judge(answer, table.latency_ms)}
        for table, answer in zip(tables, answers, strict=True)
        if len(table) >= LEAST_JUDGED
    ]


def answers_of(predictor: LatencyPredictor, tables: Sequence[LatencyTable]) -> list[Prediction]:
    """Return what a predictor says of each table."""
    return [predictor.predict(table.graphs, table.platform, table.batch_size) for table in tables]


def calibrate_and_judge(predictor: LatencyPredictor, test: Sequence[LatencyTable]) -> tuple[LatencyPredictor, list[dict[str, Any]]]:
    """Calibrate the intervals of own platforms on their test networks, but for operator probes, which nobody searches.

    Returns:
        The predictor, and its errors on each table. Whether intervals hold is said by halves that calibrate each other.
    """
    networks = [table for table in test if table.domain != PROBES]
    probes = [table for table in test if table.domain == PROBES]
    calibrated = predictor.calibrated(networks)
    return calibrated, judge_all([*networks, *probes], [*cross_calibrated(predictor, networks), *answers_of(calibrated, probes)])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=PRETRAINED / "universal.safetensors")
    parser.add_argument("--rows", type=Path, action="append", metavar="FILE", help="measured rows; the shipped ones unless given")
    parser.add_argument("--folder", type=Path, default=Path("runs") / "pretrain", help="of the epochs; another one for other settings")
    parser.add_argument("--epochs", type=int, default=28)
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--far-folds", type=int, default=2, help="short trainings that tell the error on unseen domains")
    parser.add_argument("--batch", type=int, default=64, help="networks a training step")
    parser.add_argument("--without", action="append", default=[], metavar="SOFTWARE", help="leave out all platforms of this software")
    parser.add_argument("--n-nasbench201", type=int, default=1500)
    parser.add_argument("--n-ofa", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = read_rows(arguments.rows or sorted(MEASURED.glob("*.parquet")))
    train, test = published_tables(arguments.n_nasbench201, arguments.n_ofa, arguments.seed)
    own_train, own_test = own_tables(rows, arguments.without, arguments.seed)
    train += own_train
    settings = {
        "n_epochs": arguments.epochs,
        "n_members": arguments.members,
        "width": arguments.width,
        "n_graphs": arguments.batch,
        "n_far_folds": arguments.far_folds,
    }
    predictor: Any = train_predictor(settings, train, arguments.seed, arguments.folder)
    predictor.save(arguments.output)  # whole, but for the error on unseen domains: a kill loses no more
    if arguments.far_folds:
        predictor = replace(predictor, far_errors=far_errors(untrained(OURS, settings), train, arguments.seed))
        predictor.save(arguments.output)
    predictor, own_errors = calibrate_and_judge(predictor, own_test)
    predictor.save(arguments.output)
    errors = [*judge_all(test, answers_of(predictor, test)), *own_errors]
    card = {
        "predictor": OURS,
        "command": " ".join(["python -m benchmarks.pretrain", *sys.argv[1:]]),
        "seed": arguments.seed,
        "settings": asdict(predictor.settings),
        "trained_on": [{"platform": str(t.platform), "batch_size": t.batch_size, "domain": t.domain, "n": len(t)} for t in train],
        "split": SPLIT,
        "errors": errors,
        "unseen_domain": {
            "quantiles": {str(platform): round(error, 4) for platform, error in sorted(predictor.far_errors.items())},
            "how": f"0.9 quantile of |log error| on domains left out, {arguments.far_folds} folds of domains; "
            "a platform with one domain tells none, the largest of the others stands for it",
        },
        "data": "HELP and HW-NAS-Bench latencies (MIT), LatBench (Apache-2.0), own CPU measurements; the tables themselves are not shipped",
        **provenance(),
    }
    arguments.output.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")
    form = "{platform:36s} b{batch_size:<4d}{domain:18s} MAPE {mape:6.2f}  Acc(10 %) {acc10:6.2f}  coverage {coverage:6.2f}"
    for row in errors:
        print(form.format(**row))


def train_predictor(settings: dict[str, Any], tables: Sequence[LatencyTable], seed: int, folder: Path) -> LatencyPredictor:
    """Train and calibrate as :meth:`KernelGnn.fit` does, an epoch at a time, going on from what the folder holds."""
    start: Any = untrained(OURS, settings)
    learned, held_out = hold_out(tables, CALIBRATED, seed)
    bar = tqdm(total=start.settings.n_epochs, desc="train", file=sys.stderr)
    loop = EpochLoop(start.start_training(learned, seed), (), folder, patience=None)
    return loop.finish(lambda progress: bar.update(progress.epoch - bar.n)).calibrated(held_out)


def published_tables(n_nasbench201: int, n_ofa: int, seed: int) -> tuple[list[LatencyTable], list[LatencyTable]]:
    """Return the training and the test tables of the published latencies."""
    train, test = split_published("nasbench201", {}, n_nasbench201, seed)
    if n_ofa:
        more_train, more_test = split_published("mobilenetv3", {"width": 1.2}, n_ofa, seed)
        train, test = train + more_train, test + more_test
    return train, test


def own_tables(rows: Sequence[LatencyRow], without: Sequence[str], seed: int) -> tuple[list[LatencyTable], list[LatencyTable]]:
    """Return the training and the test tables of what was measured; a network is on the same side on every platform."""
    train: list[LatencyTable] = []
    test: list[LatencyTable] = []
    for table in tables_of(row for row in rows if Platform.parse(row.platform).software not in without):
        learned, tested = split(table, TESTED, seed)
        train += [learned] if len(learned) else []
        test += [tested] if len(tested) else []
    return train, test


if __name__ == "__main__":
    main()
