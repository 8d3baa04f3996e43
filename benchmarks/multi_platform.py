"""How right one predictor is for many platforms, on networks that it has not seen, of families that it has.

    NNLQP_NAS_DATA=<folder of the published tables> python -m benchmarks.multi_platform [--quick] [--json] [--rows FILE]...

A fifth of the networks of every family tests, the same ones on every platform, at every batch size and for every seed, which draws the
training; the project's own predictor and NNLP learn from the rest and from operator probes, which are no family and do not test, each one
network for all platforms. The noise floor of a platform is what a predictor that knew every network's mean would still miss a single
pass by, told by the repeats of benchmarks.repeatability. Intervals are calibrated on single passes, which miss more than the test
networks, most of which were measured until passes agree: ``coverage`` is of those. ``coverage_recalibrated`` calibrates them anew on either
half of the test networks and judges the other half. A second part trains and tests on NNLQP's own GTX 1660 latencies with the split that
came with them; it is left out where NNLQP_NAS_DATA is not set. NNLP's 50 epochs take hours; ``--nnlp-epochs`` stops it earlier, and what
every epoch gives is kept as it comes: of a training that was killed after N of them ``--nnlp-epochs N --finished`` reports the last.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nnlqp_nas.core import LatencyPredictor, LatencyTable
from nnlqp_nas.core.plugins import SPACES, load_plugin
from nnlqp_nas.datasets.latency_row import read_rows
from nnlqp_nas.datasets.measured import MEASURED, tables_of
from nnlqp_nas.datasets.nnlqp_labels import read_gtx1660
from nnlqp_nas.datasets.published import tables_directory

from .evaluation import (
    NNLP,
    OURS,
    Cells,
    Result,
    average,
    cross_calibrated,
    digest_of,
    draw,
    joined,
    judge_all,
    learn_and_judge,
    over_seeds,
    print_table,
    split,
    untrained,
)
from .measured_networks import PROBES
from .record import RESULTS, record
from .unseen_structure import QUICK_SETTINGS, Settings

METHODS = (OURS, NNLP)
TESTED, TEST_SEED = 0.2, 0
AVERAGE, GTX1660 = "average", "NNLQP's GTX 1660"

IN_DOMAIN = {"n_epochs": 60, "width": 96, "weight_decay": 0.03, "residual_decay": 0.002}
"""Settings of the project's own predictor here, by validation on a part of the training networks: longer, wider and freer trainings know
seen families better, and unseen ones worse, for which the defaults were chosen."""

FEWEST = 10
"""Networks that a table needs to be split."""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few epochs of small networks; the figures are not kept")
    parser.add_argument("--json", action="store_true", help="print the document that is kept")
    parser.add_argument("--rows", type=Path, action="append", metavar="FILE", help="measured rows; the shipped ones unless given")
    parser.add_argument("--methods", action="append", metavar="M", help=f"{' and '.join(METHODS)} unless given")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--nnlp-epochs",
        type=int,
        metavar="N",
        help="stop NNLP's trainings after N epochs; its step size is constant, so they are what longer ones have passed through",
    )
    parser.add_argument("--cells", type=Path, default=RESULTS / ".cells" / "multi_platform.jsonl", help="finished parts, to go on from")
    parser.add_argument("--finished", action="store_true", help="report the finished parts alone")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = read_rows(arguments.rows or sorted(MEASURED.glob("*.parquet")))
    tables = [table for table in tables_of(rows) if len(table) >= FEWEST]
    methods, n_seeds = tuple(arguments.methods or METHODS), 1 if arguments.quick else arguments.seeds
    cells = Cells(None if arguments.quick else arguments.cells, not arguments.finished)
    settings: Settings = QUICK_SETTINGS if arguments.quick else {OURS: IN_DOMAIN}
    if arguments.nnlp_epochs:
        settings = {**settings, NNLP: {**settings.get(NNLP, {}), "n_epochs": arguments.nnlp_epochs}}
    summary = run(tables, methods, n_seeds, cells, settings)
    for name, judged in run_gtx1660(methods, n_seeds, cells, settings).items():
        summary[name][GTX1660] = judged
    floors = {platform: floor for platform, floor in noise_floors().items() if platform in summary[methods[0]]}
    result = {
        "networks": {_name(tables_on): sum(map(len, tables_on)) for tables_on in _by_platform(tables)},
        "data": digest_of(tables),
        "seeds": list(range(n_seeds)),
        "split": f"{TESTED:.0%} of the networks of every family test, the same ones everywhere and for every seed; operator probes are "
        f"learned from alone; {GTX1660}: its own 1,800 and 200",
        "methods": list(methods),
        "settings": settings,
        "noise_floor_mape": floors,
        "summary": summary,
    }
    record("multi_platform", result, arguments.quick, arguments.json)
    if not arguments.json:
        titles = {
            "mape": "MAPE, %",
            "acc10": "Acc(10 %), %",
            "coverage": "coverage, %",
            "coverage_recalibrated": "coverage, calibrated anew, %",
        }
        for metric, title in titles.items():
            print_table(title, summary, metric)
        print("\nnoise floor, MAPE, %:", ", ".join(f"{name} {floor:.2f}" for name, floor in floors.items()))
    if not arguments.quick:
        draw("multi_platform", "Unseen networks of seen families", summary)


def run(tables: Sequence[LatencyTable], methods: Sequence[str], n_seeds: int, cells: Cells, settings: Settings) -> dict[str, Any]:
    """Return the metrics by method and platform, mean and deviation over seeds."""
    found: dict[str, dict[str, list[Result]]] = {}
    parts = [split(table, 0.0 if table.domain == PROBES else TESTED, TEST_SEED) for table in tables]
    train = [learned for learned, _ in parts if len(learned)]
    tests = {_name(tests_on): joined(tests_on) for tests_on in _by_platform([test for _, test in parts if len(test)])}
    for method in methods:
        for seed in range(n_seeds):
            judged_by = partial(_learn, method, settings.get(method, {}), train, [test for _, test in parts if len(test)], seed)
            for name, judged in _cell(
                cells, "platforms", method, seed, settings.get(method, {}), [*train, *tests.values()], judged_by
            ).items():
                for platform, result in judged.items():
                    found.setdefault(name, {}).setdefault(platform, []).append(result)
    summary: dict[str, Any] = {name: {platform: over_seeds(results) for platform, results in rows.items()} for name, rows in found.items()}
    for rows in summary.values():
        rows[AVERAGE] = average(list(rows.values()))
    return summary


def run_gtx1660(methods: Sequence[str], n_seeds: int, cells: Cells, settings: Settings) -> dict[str, Result]:
    """Return the metrics by method on NNLQP's own labels; nothing where the published tables are not at hand."""
    folder = tables_directory()
    if folder is None:
        return {}
    train, test = read_gtx1660(folder, load_plugin(SPACES, "nasbench201")())
    found: dict[str, list[Result]] = {}
    for method in methods:
        for seed in range(n_seeds):
            judged_by = partial(learn_and_judge, method, settings.get(method, {}), [train], {"": test}, seed)
            for name, judged in _cell(cells, GTX1660, method, seed, settings.get(method, {}), [train, test], judged_by).items():
                found.setdefault(name, []).append(judged[""])
    return {name: over_seeds(results) for name, results in found.items()}


def _cell(
    cells: Cells,
    part: str,
    method: str,
    seed: int,
    settings: Mapping[str, Any],
    data: Sequence[LatencyTable],
    run: Callable[[Callable[[int, Result], None]], Result],
) -> dict[str, dict[str, Result]]:
    key = {"part": part, "seed": seed, "method": method, "settings": dict(settings), "data": digest_of(data)}

    def keep(epoch: int, result: Result) -> None:
        cells.keep({**key, "settings": {**settings, "n_epochs": epoch}}, result)

    result = cells.look_up_or_run(key, partial(run, keep))
    return {name: judged for name, judged in (result or {}).items() if name != "seconds"}


def _learn(
    method: str,
    settings: Mapping[str, Any],
    train: Sequence[LatencyTable],
    parts: Sequence[LatencyTable],
    seed: int,
    keep: Callable[[int, Result], None],
) -> dict[str, Any]:
    tests = {_name(tests_on): joined(tests_on) for tests_on in _by_platform(parts)}
    if method != OURS:
        return learn_and_judge(method, settings, train, tests, seed, keep)
    start = time.monotonic()
    predictor = untrained(method, settings).fit(train, seed)
    judged = judge_all(predictor, tests)
    for name, share in recalibrated_coverage(predictor, parts).items():
        judged[name]["coverage_recalibrated"] = share
    return {method: judged, "seconds": round(time.monotonic() - start, 1)}


def recalibrated_coverage(predictor: LatencyPredictor, parts: Sequence[LatencyTable]) -> dict[str, float]:
    """Return by test set the percentage of networks within intervals that were calibrated on the other half of the networks."""
    held: dict[str, list[NDArray[np.bool_]]] = {}
    for table, answer in zip(parts, cross_calibrated(predictor, parts), strict=True):
        held.setdefault(_name([table]), []).append((answer.low_ms <= table.latency_ms) & (table.latency_ms <= answer.high_ms))
    return {name: round(100.0 * float(np.concatenate(sides).mean()), 3) for name, sides in held.items()}


def _by_platform(tables: Sequence[LatencyTable]) -> list[list[LatencyTable]]:
    groups: dict[tuple[Any, int], list[LatencyTable]] = {}
    for table in tables:
        groups.setdefault((table.platform, table.batch_size), []).append(table)
    return [groups[key] for key in sorted(groups)]


def _name(tables: Sequence[LatencyTable]) -> str:
    return f"{tables[0].platform}" + (f" b{tables[0].batch_size}" if tables[0].batch_size > 1 else "")


def noise_floors(path: Path = RESULTS / "repeatability.json") -> dict[str, float]:
    """Return, by platform, the MAPE in percent of a predictor that knows the mean of every network, against single passes.

    Deviations taken for normal, the mean distance from the mean is sqrt(2 / pi) of the standard deviation; that is of
    ``python -m benchmarks.repeatability``, ten passes of each of eleven networks. Rows are single passes too.
    """
    variations: dict[str, list[float]] = {}
    for row in json.loads(path.read_text())["rows"]:
        if "cv_percent" in row:
            variations.setdefault(row["platform"], []).append(row["cv_percent"]["single pass"])
    return {platform: round(float((2.0 / np.pi) ** 0.5 * np.mean(values)), 2) for platform, values in sorted(variations.items())}


if __name__ == "__main__":
    main()
