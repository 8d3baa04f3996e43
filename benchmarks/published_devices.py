"""How right predictors are on devices whose latencies were published, in the spaces in which they were.

    NNLQP_NAS_DATA=<published tables> python -m benchmarks.published_devices [--quick] [--json] [--spaces S]... [--methods M]...

HELP's, HW-NAS-Bench's and LatBench's columns of NAS-Bench-201, HELP's of FBNet (CIFAR-100) and of the Once-for-All MobileNetV3: 900
random networks of a space teach, as in BRP-NAS, 500 others test, the same ones on all devices; a seed draws both and the training.
NNLQP's GTX 1660 labels of NAS-Bench-201 keep the split that came with them. A method is trained once a space, for all of its devices; the
project's own predictor with the settings for seen families of benchmarks.multi_platform. Noise floors are what isomorphic networks differ
by: docs/predicting.md. BRP-NAS knows cells alone, one network a device, and takes an hour: it is run where it is named, and on the GTX 1660
alone; so is NNLP. Finished parts are kept, and gone on from.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnlqp_nas.core import InvalidSettingError, LatencyTable
from nnlqp_nas.core.plugins import SPACES, load_plugin
from nnlqp_nas.datasets.nnlqp_labels import read_gtx1660
from nnlqp_nas.datasets.published import PublishedTable, tables_directory

from .evaluation import METHODS, NNLP, OURS, Cells, Result, average, digest_of, draw, learn_and_judge, over_seeds, print_table
from .multi_platform import IN_DOMAIN
from .record import RESULTS, record
from .unseen_structure import QUICK_SETTINGS, Settings

N_TRAIN, N_TEST = 900, 500
GTX1660 = "gtx1660"
PUBLISHED: dict[str, dict[str, Any]] = {"nasbench201": {}, "fbnet": {}, "mobilenetv3": {"width": 1.2}}
TITLES = {"nasbench201": "NAS-Bench-201", "fbnet": "FBNet", "mobilenetv3": "MobileNetV3", GTX1660: "NNLQP's GTX 1660"}
BRP = "brp_nas"
SLOW = (NNLP, BRP)
QUICK_METHODS = ("kernel_gnn", "flops_linear")

Devices = dict[str, list[Result]]
Task = tuple[list[LatencyTable], dict[str, LatencyTable]]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few networks and epochs on the smallest table; the figures are not kept")
    parser.add_argument("--json", action="store_true", help="print the document that is kept")
    parser.add_argument("--spaces", action="append", metavar="S", help=f"of {', '.join(TITLES)}; all unless given")
    parser.add_argument(
        "--methods", action="append", metavar="M", help=f"of {', '.join(METHODS)}; all but {' and '.join(SLOW)} unless given"
    )
    parser.add_argument("--brp-epochs", type=int, default=250, metavar="N", help="passes of BRP-NAS's training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cells", type=Path, default=RESULTS / ".cells" / "published_devices.jsonl", help="finished parts, to go on from")
    parser.add_argument("--finished", action="store_true", help="report the finished parts alone")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    names = tuple(arguments.spaces or (("mobilenetv3",) if arguments.quick else TITLES))
    unknown = set(names) - set(TITLES)
    if unknown:
        raise InvalidSettingError(f"expected spaces of {', '.join(TITLES)}, got {', '.join(sorted(unknown))}")
    methods = tuple(arguments.methods or (QUICK_METHODS if arguments.quick else [one for one in METHODS if one not in SLOW]))
    settings: Settings = QUICK_SETTINGS if arguments.quick else {OURS: IN_DOMAIN, BRP: {"n_epochs": arguments.brp_epochs}}
    cells = Cells(None if arguments.quick else arguments.cells, not arguments.finished)
    sizes = (60, 40) if arguments.quick else (N_TRAIN, N_TEST)
    n_seeds = 1 if arguments.quick else arguments.seeds
    found, digests = run(names, methods, n_seeds, cells, settings, sizes)
    summary = {method: {TITLES[name]: over_devices(devices) for name, devices in of.items()} for method, of in found.items()}
    by_device = {
        method: {name: {device: over_seeds(results) for device, results in devices.items()} for name, devices in of.items()}
        for method, of in found.items()
    }
    result = {
        "data": digests,
        "seeds": list(range(n_seeds)),
        "split": f"{sizes[0]} random networks of a space teach, {sizes[1]} others test; {TITLES[GTX1660]}: its own 1,800 and 200",
        "methods": list(summary),
        "settings": settings,
        "summary": summary,
        "devices": by_device,
    }
    record("published_devices", result, arguments.quick, arguments.json)
    if not arguments.json:
        for metric, title in (("mape", "MAPE, %"), ("acc10", "Acc(10 %), %"), ("kendall", "Kendall tau"), ("coverage", "coverage, %")):
            print_table(f"{title}, mean over devices", summary, metric)
    if not arguments.quick:
        draw("published_devices", "Published devices in their spaces, mean over devices", summary)


def run(
    names: Sequence[str], methods: Sequence[str], n_seeds: int, cells: Cells, settings: Settings, sizes: tuple[int, int]
) -> tuple[dict[str, dict[str, Devices]], dict[str, list[str]]]:
    """Return the metrics by method, space and device, one of each seed, and the digests of the data by space."""
    found: dict[str, dict[str, Devices]] = {}
    digests: dict[str, list[str]] = {}
    for name in names:
        for seed in range(n_seeds):
            train, tests = task(name, seed, sizes)
            digests.setdefault(name, []).append(digest_of([*train, *tests.values()]))
            for method in methods:
                if method in SLOW and name != GTX1660:
                    continue
                changed = settings.get(method, {})
                key = {"space": name, "seed": seed, "method": method, "settings": dict(changed), "data": digests[name][-1]}
                result = cells.look_up_or_run(key, partial(learn_and_judge, method, changed, train, tests, seed))
                for told, devices in (result or {}).items():
                    for device, judged in devices.items() if told != "seconds" else ():
                        found.setdefault(told, {}).setdefault(name, {}).setdefault(device, []).append(judged)
    return found, digests


def over_devices(devices: Devices) -> Result:
    """Return the mean over devices of every metric, mean and standard deviation of that over seeds."""
    return over_seeds([average(of_seed) for of_seed in zip(*devices.values(), strict=True)])


def task(name: str, seed: int, sizes: tuple[int, int]) -> Task:
    """Return what teaches, and what tests by device.

    Raises:
        InvalidSettingError: If the published tables are not at hand.
    """
    folder = tables_directory()
    if folder is None:
        raise InvalidSettingError("expected the folder of the published tables in the variable NNLQP_NAS_DATA, got nothing")
    if name == GTX1660:
        train, test = read_gtx1660(folder, load_plugin(SPACES, "nasbench201")())
        return [train], {str(test.platform): test}
    published = PublishedTable(folder, load_plugin(SPACES, name)(**PUBLISHED[name]))
    n_train, n_test = sizes
    rows = np.random.default_rng(seed).permutation(len(published.architectures))[: n_train + n_test].tolist()
    tests: Mapping[str, LatencyTable] = {column: published.table(column, rows[n_train:]) for column in published.columns}
    return [published.table(column, rows[:n_train]) for column in published.columns], dict(tests)


if __name__ == "__main__":
    main()
