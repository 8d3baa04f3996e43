"""How right predictors are on a family of networks that they were not trained on.

    python -m benchmarks.unseen_structure [--quick] [--json] [--rows FILE]... [--methods M]... [--families F]... [--seeds N]

Leaves one of NNLQP's ten families out (ViT apart) on one platform at batch size 1, trains on the others, the operator probes
and the Once-for-All networks, and tests on all networks of the family that was left out. The Once-for-All space is MobileNetV3
too: where MobileNetV3-Large is left out, so is it. Nothing is chosen on the test family but in the column nnlp_selected, which
keeps NNLP's best epoch there, as NNLQP's published figures do. A last row tests within the families on a fifth of the networks.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nnlqp_nas.core import InvalidSettingError, LatencyTable
from nnlqp_nas.datasets.latency_row import LatencyRow, read_rows
from nnlqp_nas.datasets.measured import MEASURED, tables_of
from nnlqp_nas.datasets.members import draw_members

from .evaluation import METHODS, Cells, Result, average, digest_of, draw, joined, learn_and_judge, over_seeds, print_table, split
from .record import RESULTS, record

FAMILIES = (
    "alexnet",
    "efficientnet",
    "googlenet",
    "mnasnet",
    "mobilenetv2",
    "mobilenetv3_large",
    "nasbench201",
    "resnet",
    "squeezenet",
    "vgg",
)
APART = "vit"
ALWAYS = ("operator_probes", "mobilenetv3")
CUT = tuple(family for family in (*FAMILIES, APART) if family != "nasbench201")
CAMPAIGN_SEED = 7
"""Of conf/campaign.yaml, which drew the networks of the shipped rows."""

SAME_FAMILY = {"mobilenetv3_large": ("mobilenetv3",)}
IN_DOMAIN, AVERAGE = "within families", "average of ten"
TESTED = 0.2
LEAST = 5
QUICK_SETTINGS: dict[str, dict[str, Any]] = {
    "kernel_gnn": {"n_epochs": 4, "n_members": 1, "n_far_folds": 0},
    "nnlp": {"width": 32, "n_epochs": 2},
}
QUICK_METHODS = ("kernel_gnn", "flops_linear", "nnlp")

Settings = Mapping[str, Mapping[str, Any]]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few epochs of small networks; the figures are not kept")
    parser.add_argument("--json", action="store_true", help="print the document that is kept")
    parser.add_argument("--rows", type=Path, action="append", metavar="FILE", help="measured rows; the shipped ones unless given")
    parser.add_argument("--platform", default="cpu-onnxruntime-fp32")
    parser.add_argument("--methods", action="append", metavar="M", help=f"of {', '.join(METHODS)}; all unless given")
    parser.add_argument("--families", action="append", metavar="F", help="families to leave out; all that were measured unless given")
    parser.add_argument(
        "--n-per-family", type=int, metavar="N", help="the first N of the campaign of each family but NAS-Bench-201, and of ViT"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cells", type=Path, default=RESULTS / ".cells" / "unseen_structure.jsonl", help="finished parts, to go on from")
    parser.add_argument(
        "--finished", action="store_true", help="report the finished parts alone; a method's average needs all ten families"
    )
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tables = read_tables(arguments.rows or sorted(MEASURED.glob("*.parquet")), arguments.platform, arguments.n_per_family)
    methods = tuple(arguments.methods or (QUICK_METHODS if arguments.quick else METHODS))
    held_out = tuple(arguments.families or [family for family in (*FAMILIES, APART, IN_DOMAIN) if family in tables or family == IN_DOMAIN])
    cells = Cells(None if arguments.quick else arguments.cells, not arguments.finished)
    n_seeds = 1 if arguments.quick else arguments.seeds
    summary = run(tables, held_out, methods, n_seeds, cells, QUICK_SETTINGS if arguments.quick else {})
    result = {
        "platform": arguments.platform,
        "networks": {family: len(table) for family, table in tables.items()},
        "n_per_family": arguments.n_per_family or "all",
        "data": digest_of(tables.values()),
        "seeds": list(range(n_seeds)),
        "split": "one family left out; all its networks are for testing alone, and with mobilenetv3_large the space mobilenetv3 too; "
        f"'{IN_DOMAIN}': {TESTED:.0%} of the networks of every training family test",
        "methods": list(summary),
        "summary": summary,
    }
    record("unseen_structure", result, arguments.quick, arguments.json)
    if not arguments.json:
        for metric, title in (("mape", "MAPE, %"), ("acc10", "Acc(10 %), %"), ("kendall", "Kendall tau"), ("coverage", "coverage, %")):
            print_table(title, summary, metric)
    if not arguments.quick:
        draw("unseen_structure", f"Family left out, {arguments.platform}", summary)


def read_tables(paths: Sequence[Path], platform: str, n_per_family: int | None = None) -> dict[str, LatencyTable]:
    """Return what was measured on a platform at batch size 1, by family.

    Args:
        paths: Files of rows.
        platform: Which rows count.
        n_per_family: How many networks of each of :data:`CUT`, the first of the campaign, whatever else was measured since.

    Raises:
        InvalidSettingError: If fewer than two families were measured.
    """
    by_family: dict[str, list[LatencyTable]] = {}
    rows = [row for row in read_rows(paths) if row.platform == platform and row.batch_size == 1]
    for table in tables_of(rows if n_per_family is None else first_of_campaign(rows, n_per_family)):
        by_family.setdefault(table.domain, []).append(table)
    tables = {family: joined(parts) for family, parts in sorted(by_family.items())}
    if len([table for table in tables.values() if len(table) >= LEAST]) < 2:
        raise InvalidSettingError(f"expected at least 2 families measured on {platform}, got {sorted(tables)}; give --rows")
    return tables


def first_of_campaign(rows: Sequence[LatencyRow], n: int) -> list[LatencyRow]:
    """Return the rows of the first networks of each family that is cut, and all others."""
    drawn = {family: {architecture for _, _, architecture in draw_members(family, n, CAMPAIGN_SEED)} for family in CUT}
    return [row for row in rows if row.space not in drawn or row.architecture in drawn[row.space]]


def training_tables(tables: Mapping[str, LatencyTable], family: str) -> list[LatencyTable]:
    """Return what may be learned from where ``family`` is left out; ViT is no family of the ten and helps none of them."""
    absent = {family, *SAME_FAMILY.get(family, ())}
    allowed = (*FAMILIES, *ALWAYS)
    return [replace(table, domain=name) for name, table in tables.items() if name in allowed and name not in absent]


def run(
    tables: Mapping[str, LatencyTable], held_out: Sequence[str], methods: Sequence[str], n_seeds: int, cells: Cells, settings: Settings
) -> dict[str, dict[str, Result]]:
    """Return the metrics by method and family left out, mean and deviation over seeds."""
    found: dict[str, dict[str, list[Result]]] = {}
    for method in methods:
        for seed in range(n_seeds):
            for family in held_out:
                train, test = _task(tables, family, seed)
                changed = settings.get(method, {})
                key = {"family": family, "seed": seed, "method": method, "settings": dict(changed), "data": digest_of([*train, test])}
                result = cells.look_up_or_run(key, partial(learn_and_judge, method, changed, train, {"": test}, seed))
                for name, judged in (result or {}).items():
                    if name != "seconds":
                        found.setdefault(name, {}).setdefault(family, []).append(judged[""])
    summary = {name: {family: over_seeds(results) for family, results in rows.items()} for name, rows in found.items()}
    for rows in summary.values():
        of_ten = [rows[family] for family in held_out if family in FAMILIES and family in rows]
        if len(of_ten) == len(set(held_out) & set(FAMILIES)):
            rows[AVERAGE] = average(of_ten)
    return summary


def _task(tables: Mapping[str, LatencyTable], family: str, seed: int) -> tuple[list[LatencyTable], LatencyTable]:
    if family != IN_DOMAIN:
        return training_tables(tables, family), tables[family]
    parts = [split(table, TESTED, seed) for table in training_tables(tables, family)]
    return [train for train, _ in parts], joined([test for train, test in parts if train.domain in FAMILIES])


if __name__ == "__main__":
    main()
