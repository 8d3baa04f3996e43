"""NNLQP's experiment with a new type of network: a family that no training knew, on platforms that are known.

    python -m benchmarks.transfer_family                        # ViT, the shipped rows
    python -m benchmarks.transfer_family --family efficientnet --samples 10 20 50

The pretrained predictor is a kernel GNN that learned all other families on all platforms at once; a platform's samples of the new
family adapt it. Against that stands learning from the samples alone. Every network of the family is tested once: of five folds, each is
predicted by what was learned from samples among the other four, and "all" is all of these. NNLQP's table (its README) has ViT with 50
samples and pretraining at 0.98 % MAPE, and 1,000 without at 1.02 %. The epochs of the pretraining are kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.evaluation import DOCS, OURS, Result, digest_of, judge, print_table, untrained
from benchmarks.record import RESULTS, record
from nnlqp_nas.core import InvalidSettingError, LatencyPredictor, LatencyTable, Prediction
from nnlqp_nas.datasets.latency_row import read_rows
from nnlqp_nas.datasets.measured import MEASURED, tables_of
from nnlqp_nas.predictors.held_out import hold_out
from nnlqp_nas.predictors.kernel_gnn_fit import CALIBRATED
from nnlqp_nas.training import EpochLoop
from nnlqp_nas.transfer import COVERAGE, Features, FewShotModel, describe_graphs, take

Rows = NDArray[np.int64]

N_FOLDS = 5
LEAST = 3 * N_FOLDS
PRETRAINED, ALONE, TABLE = "pretrained", "no pretraining", "operator_linear, no pretraining"
METRICS = ("mape", "acc10", "acc5", "spearman")
ALL = "all"
CELLS = RESULTS / ".cells" / "transfer_family"
PICTURE = DOCS / "transfer_family.png"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="vit", help="space whose networks the pretraining is not shown")
    parser.add_argument("--rows", type=Path, nargs="+", help="measured rows, parquet (default: those shipped)")
    parser.add_argument("--samples", type=int, nargs="+", default=[10, 20, 50])
    parser.add_argument("--epochs", type=int, default=10, help="of the pretraining")
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one epoch; the figures are not kept")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings = {"n_epochs": 1 if arguments.quick else arguments.epochs, "n_members": arguments.members, "width": arguments.width}
    tables = [table for table in tables_of(read_rows(arguments.rows or sorted(MEASURED.glob("*.parquet")))) if table.batch_size == 1]
    known, new = split_family(tables, arguments.family)
    base = pretrain(known, {**settings, "n_graphs": 64})
    found = {str(table.platform): judge_platform(base, table, arguments.samples) for table in tqdm(new, desc="platforms", file=sys.stderr)}
    summary = over_platforms(found)
    result = {"family": arguments.family, "data": digest_of(tables), "pretraining": settings, "n_folds": N_FOLDS}
    result |= {"n_networks": {str(table.platform): len(table) for table in new}, "mean": summary, "platforms": found}
    record("transfer_family", result, arguments.quick, arguments.json)
    if not arguments.json:
        for metric, title in (("mape", "MAPE, %"), ("acc10", "Acc(10 %), %")):
            print_table(f"{arguments.family}, {title}, mean of {len(found)} platforms", summary, metric)
    if not arguments.quick:
        draw(arguments.family, summary, found)


def split_family(tables: Sequence[LatencyTable], family: str) -> tuple[list[LatencyTable], list[LatencyTable]]:
    """Return the tables of all other families, and those of the family.

    Raises:
        InvalidSettingError: If no platform knows enough of its networks.
    """
    new = [table for table in tables if table.domain == family and len(table) >= LEAST]
    if not new:
        families = sorted({table.domain for table in tables})
        raise InvalidSettingError(f"expected a family of {', '.join(families)} with {LEAST} networks on a platform, got {family}")
    return [table for table in tables if table.domain != family], new


def pretrain(tables: Sequence[LatencyTable], settings: Mapping[str, Any]) -> LatencyPredictor:
    """Train and calibrate the kernel GNN, an epoch at a time, going on from what was kept."""
    start: Any = untrained(OURS, settings)
    learned, held_out = hold_out(tables, CALIBRATED, 0)
    folder = CELLS / "-".join([digest_of(tables), *(str(value) for value in settings.values())])
    bar = tqdm(total=start.settings.n_epochs, desc="pretrain", file=sys.stderr)
    loop = EpochLoop(start.start_training(learned, 0), (), folder, patience=None)
    return loop.finish(lambda progress: bar.update(progress.epoch - bar.n)).calibrated(held_out)


def judge_platform(base: LatencyPredictor, table: LatencyTable, samples: Sequence[int]) -> dict[str, dict[str, Result]]:
    """Return the errors on a platform by method and number of samples."""
    plain: Any = base.adapt(table.platform, [], [])
    described = {PRETRAINED: plain.transfer_features(table.graphs, table.platform), ALONE: describe_graphs(table.graphs)}
    folds = np.random.default_rng(0).permutation(len(table)) % N_FOLDS
    n_all = len(table) - len(table) // N_FOLDS
    found: dict[str, dict[str, Result]] = {PRETRAINED: {"0": judge(base.predict(table.graphs, table.platform), table.latency_ms)}}
    for label, n in {**{str(n): n for n in samples if n < n_all}, ALL: n_all}.items():
        for method, features in described.items():
            found.setdefault(method, {})[label] = judge(_predict_folds(features, table, folds, n), table.latency_ms)
        found.setdefault(TABLE, {})[label] = judge(_predict_by_table(table, folds, n), table.latency_ms)
    return found


def _predict_folds(features: Features, table: LatencyTable, folds: Rows, n: int) -> Prediction:
    log_ms, margin = np.zeros(len(table)), np.zeros(len(table))
    for fold in range(N_FOLDS):
        support, held = _sample(folds, fold, n)
        model = FewShotModel.fit(take(features, support), table.latency_ms[support], is_calibrated=False)
        log_ms[held], margin[held] = model.predict(take(features, held))
    return Prediction(np.exp(log_ms), np.exp(log_ms - margin), np.exp(log_ms + margin), np.zeros(len(table), dtype=bool), COVERAGE)


def _predict_by_table(table: LatencyTable, folds: Rows, n: int) -> Prediction:
    latency_ms, low_ms, high_ms = (np.zeros(len(table)) for _ in range(3))
    for fold in range(N_FOLDS):
        support, held = _sample(folds, fold, n)
        samples = LatencyTable(table.platform, 1, [table.graphs[i] for i in support], table.latency_ms[support])
        answer = untrained("operator_linear", {}).fit([samples]).predict([table.graphs[i] for i in held], table.platform)
        latency_ms[held], low_ms[held], high_ms[held] = answer.latency_ms, answer.low_ms, answer.high_ms
    return Prediction(latency_ms, low_ms, high_ms, np.zeros(len(table), dtype=bool), COVERAGE)


def _sample(folds: Rows, fold: int, n: int) -> tuple[Rows, Rows]:
    """Return n networks of the other folds, and those of the fold."""
    others = np.random.default_rng(fold).permutation(np.flatnonzero(folds != fold))
    return np.sort(others[:n]), np.flatnonzero(folds == fold)


def over_platforms(found: Mapping[str, Mapping[str, Mapping[str, Result]]]) -> dict[str, dict[str, Result]]:
    """Return the mean over platforms, by method and number of samples."""
    summary: dict[str, dict[str, Result]] = {}
    first = next(iter(found.values()))
    for method, by_label in first.items():
        for label in by_label:
            rows = [of_platform[method][label] for of_platform in found.values() if label in of_platform[method]]
            means = {metric: round(float(np.mean([row[metric] for row in rows])), 3) for metric in METRICS}
            summary.setdefault(method, {})[label] = means
    return summary


def draw(family: str, summary: Mapping[str, Mapping[str, Result]], found: Mapping[str, Mapping[str, Mapping[str, Result]]]) -> None:
    """Draw MAPE over the number of samples by method, and by platform at the most samples with pretraining and all without, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    labels = list(summary[PRETRAINED])
    for method, colour in zip(summary, ("#1f4e9c", "#c0392b", "#9aa5b1"), strict=True):
        shown = [i for i, label in enumerate(labels) if label in summary[method]]
        left.plot(shown, [summary[method][labels[i]]["mape"] for i in shown], "o-", color=colour, label=method)
    left.set_yscale("log")
    left.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    left.minorticks_off()
    left.set_xticks(range(len(labels)), labels)
    left.set_xlabel(f"networks of {family} measured on the platform")
    left.set_ylabel("MAPE, %")
    most = labels[-2]
    places = np.arange(len(found))
    for shift, method, label, colour in ((-0.2, PRETRAINED, most, "#1f4e9c"), (0.2, ALONE, ALL, "#c0392b")):
        heights = [of_platform[method][label]["mape"] for of_platform in found.values()]
        right.bar(places + shift, heights, 0.4, color=colour, label=f"{method}, {label} samples")
    right.set_xticks(places, [name.removeprefix("cpu-") for name in found], rotation=35, ha="right")
    for axes in (left, right):
        axes.grid(axis="y", color="#e5e8ec", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.legend(frameon=False, fontsize=8)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE)


if __name__ == "__main__":
    main()
