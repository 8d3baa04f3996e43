"""NNLQP's transfer experiment on measured rows: each platform is left out, and learned from few networks of all families.

    python -m benchmarks.transfer_platform                                  # the shipped rows
    python -m benchmarks.transfer_platform --rows rows/*.parquet --leave-out cpu-openvino-bf16
    python -m benchmarks.transfer_platform --nnlp cpu-litert-fp32 cpu-onnxruntime-fp32   # NNLP learns these two from the others: hours

``few_shot`` is what ``adapt`` does: it knows what the other platforms took for every network, as an evolving database does, and
chooses its samples by ``select_support_set``'s rule. ``random samples`` does not choose; ``predicted sources`` was told nothing of the
networks but their graphs: each other platform is predicted from other networks; ``no pretraining`` knows no other platform. NNLP is
pretrained on the other platforms and fine-tuned, or trained on the samples alone; it and the operator table take random samples, as
NNLQP draws them (section 8.5 there). MAPE, Acc(10 %) and Spearman are over all networks of the platform that were not sampled; "all" takes
four fifths. Networks that every platform measured count; operator probes, which are no networks, with ``--with-probes`` alone.
With ``--repeated`` only those count whose rows are means of passes that agree (``benchmarks.remeasure``), so that it is the method
that errs, and not the labels. Finished parts are kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.evaluation import Cells, Result, print_table
from benchmarks.measured_networks import MeasuredNetworks, only_repeated
from benchmarks.record import RESULTS, record
from benchmarks.transfer_experiment import METHODS, METRICS, TransferExperiment
from benchmarks.transfer_nnlp import NnlpTransfer
from benchmarks.transfer_picture import draw_transfer
from nnlqp_nas.core import Platform
from nnlqp_nas.datasets.latency_row import read_rows
from nnlqp_nas.datasets.measured import MEASURED, tables_of

FOLDER = RESULTS / ".cells"


def main() -> None:
    """Run the command line."""
    arguments = _parse()
    rows = read_rows(arguments.rows or sorted(MEASURED.glob("*.parquet")))
    networks = MeasuredNetworks.of(tables_of(only_repeated(rows) if arguments.repeated else rows), arguments.with_probes)
    experiment = _experiment(networks, arguments)
    platforms = [str(platform) for platform in networks.platforms if not arguments.leave_out or str(platform) in arguments.leave_out]
    found = {name: experiment.judge(Platform.parse(name)) for name in platforms}
    summary = _over_platforms(found)
    result = {
        "n_networks": len(networks),
        "families": {str(family): int((networks.families == family).sum()) for family in np.unique(networks.families)},
        "data": networks.digest,
        "seeds": {"few_shot": experiment.n_seeds, "others": experiment.n_compared},
        "nnlp": {**experiment.nnlp.setting, "seeds": 1} if experiment.nnlp else None,
        "mean": summary,
        "platforms": found,
    }
    record(arguments.name, result, arguments.quick, arguments.json)
    if not arguments.json:
        for metric, title in (("mape", "MAPE, %"), ("family_mape", "MAPE, %, mean of families"), ("acc10", "Acc(10 %), %")):
            print_table(f"{title}, mean of {len(found)} platforms left out", _by_method(summary), metric)
    if not arguments.quick:
        draw_transfer(Path(__file__).parents[1] / "docs" / f"{arguments.name}.png", summary, found)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, nargs="+", help="measured rows, parquet (default: those shipped)")
    parser.add_argument("--leave-out", nargs="+", default=[], help="platforms to learn (default: each)")
    parser.add_argument("--methods", nargs="*", default=METHODS, choices=METHODS)
    parser.add_argument("--samples", type=int, nargs="+", default=[10, 20, 32, 100, 200, 300])
    parser.add_argument("--skip-all", action="store_true", help="leave out four fifths of the networks, which take longest to learn from")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--compared-seeds", type=int, default=3, help="of all methods but few_shot")
    parser.add_argument("--with-probes", action="store_true", help="operator probes are sampled and predicted too")
    parser.add_argument(
        "--repeated", action="store_true", help="only networks that were measured until two passes agreed, where there are some"
    )
    parser.add_argument("--name", default="transfer_platform", help="of the result that is kept, and of the picture")
    parser.add_argument("--nnlp", nargs="+", default=[], metavar="PLATFORM", help="platforms that NNLP learns (default: none)")
    parser.add_argument("--nnlp-samples", type=int, nargs="+", default=[32, 100, 300])
    parser.add_argument("--nnlp-networks", type=int, default=600, help="networks of its pretraining")
    parser.add_argument("--nnlp-epochs", type=int, default=50, help="of its pretraining")
    parser.add_argument("--nnlp-passes", type=int, default=50_000, help="most samples times epochs of a fine-tuning; at most 500 epochs")
    parser.add_argument("--cells", type=Path, default=FOLDER / "transfer_platform.jsonl", help="finished parts, to go on from")
    parser.add_argument("--finished", action="store_true", help="report the finished parts alone")
    parser.add_argument("--quick", action="store_true", help="one platform, 20 samples, one seed; the figures are not kept")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.samples, arguments.seeds, arguments.compared_seeds = [20], 1, 1
        arguments.leave_out = arguments.leave_out or ["cpu-openvino-bf16"]
    return arguments


def _experiment(networks: MeasuredNetworks, arguments: argparse.Namespace) -> TransferExperiment:
    targets = tuple(sorted(map(Platform.parse, arguments.nnlp)))
    numbers = arguments.nnlp_networks, arguments.nnlp_epochs, arguments.nnlp_passes
    setting = f"{networks.digest}-{'-'.join(map(str, targets))}-{'-'.join(map(str, numbers))}"
    nnlp = NnlpTransfer(networks, targets, *numbers, FOLDER / "transfer_nnlp" / setting) if targets else None
    cells = Cells(None if arguments.quick else arguments.cells, not arguments.finished)
    return TransferExperiment(
        networks,
        arguments.samples,
        not arguments.skip_all,
        arguments.seeds,
        arguments.compared_seeds,
        arguments.methods,
        nnlp,
        arguments.nnlp_samples,
        cells,
    )


def _over_platforms(found: Mapping[str, Mapping[str, Mapping[str, Result]]]) -> dict[str, dict[str, Result]]:
    """Return the mean over platforms, by number of samples and method; NNLP's is over the platforms that it learned."""
    summary: dict[str, dict[str, Result]] = {}
    for label in dict.fromkeys(label for by_label in found.values() for label in by_label):
        rows = [by_label[label] for by_label in found.values() if label in by_label]
        for method in dict.fromkeys(method for row in rows for method in row):
            told = [row[method] for row in rows if method in row]
            means = {metric: round(float(np.mean([one[metric] for one in told])), 3) for metric in METRICS}
            coverage = {"coverage": round(float(np.mean([one["coverage"] for one in told])), 3)} if "coverage" in told[0] else {}
            summary.setdefault(label, {})[method] = {**means, **coverage, "n_platforms": len(told)}
    return summary


def _by_method(summary: Mapping[str, Mapping[str, Result]]) -> dict[str, dict[str, Result]]:
    methods = dict.fromkeys(method for row in summary.values() for method in row)
    return {method: {label: row[method] for label, row in summary.items() if method in row} for method in methods}


if __name__ == "__main__":
    main()
