"""Published accuracies of networks, read where their tables lie: what the shipped surrogates are fitted to.

Nothing of a table is copied into the project.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet

from nnlqp_nas import load_space
from nnlqp_nas.core import Architecture


@dataclass(frozen=True)
class AccuracyTable:
    """A published table of accuracies and how its surrogate is fitted.

    Attributes:
        file: Name of the table, without its suffix.
        columns: A column of percent for each output, in the order of the surrogate's data sets.
        encoding: Columns that the space decodes: one, or several as a dictionary.
        what: What the surrogate predicts.
        data: Where the numbers come from.
        n_fit: Networks to fit.
        n_validation: Networks to choose settings by.
        headroom: Percent between the best accuracy fitted and the ceiling, for each output.
    """

    file: str
    columns: tuple[str, ...]
    encoding: tuple[str, ...]
    what: str
    data: str
    n_fit: int
    n_validation: int
    headroom: tuple[float, ...]


TABLES = {
    "nasbench201": AccuracyTable(
        "nasbench201_accuracy_200ep",
        ("cifar10_test_200ep", "cifar100_test_200ep", "imagenet16_120_test_200ep"),
        ("arch_str",),
        "NAS-Bench-201 test accuracy after 200 epochs (mean over seeds), predicted from the cell",
        "NATS-Bench topology space (Dong et al., arXiv 2009.00437); the table itself is not shipped",
        4500,
        500,
        (1.0, 4.0, 5.0),
    ),
    "nasbench_macro": AccuracyTable(
        "nasbench_macro_accuracy",
        ("cifar10_test_mean",),
        ("arch",),
        "NAS-Bench-Macro CIFAR-10 test accuracy (mean of three runs), predicted from the layers",
        "NAS-Bench-Macro (Su et al., arXiv 2103.11922), Apache-2.0; the table itself is not shipped",
        3000,
        500,
        (1.0,),
    ),
    "accel_nasbench": AccuracyTable(
        "accel_nasbench",
        ("val_top1",),
        ("e", "k", "l", "se"),
        "ImageNet top-1 accuracy after Accel-NASBench's short proxy training (one seed), predicted from the stages",
        "Accel-NASBench (Ahmad et al., arXiv 2404.08005), Apache-2.0; the table itself is not shipped",
        4100,
        512,
        (2.0,),
    ),
    "mobilenetv3": AccuracyTable(
        "ofa_mbv3_w10_accuracy",
        ("imagenet_top1",),
        ("ks", "e", "d", "r"),
        "ImageNet top-1 accuracy of sub-networks of Once-for-All's MobileNetV3 of width 1.0 at 224 pixels. The networks come from "
        "searches, so that good ones are over-represented (71.0 to 77.5 %): poorer ones are extrapolated",
        "DyNAS-T (Cummings et al., arXiv 2202.12954), Apache-2.0; the table itself is not shipped",
        1600,
        200,
        (2.0,),
    ),
}


def read_accuracies(space: str, folder: Path) -> tuple[list[Architecture], NDArray[np.float64]]:
    """Return the n networks of a table, each once, and their mean accuracies: float64, shape (n, outputs), percent."""
    table = TABLES[space]
    rows = parquet.read_table(folder / f"{table.file}.parquet", columns=[*table.encoding, *table.columns]).to_pylist()
    decode = _decoder(space, table.encoding)
    found: dict[Architecture, list[list[float]]] = {}
    for row in rows:
        found.setdefault(decode(row), []).append([row[column] for column in table.columns])
    return list(found), np.array([np.mean(values, axis=0) for values in found.values()])


def _decoder(space: str, columns: tuple[str, ...]) -> Callable[[dict[str, Any]], Architecture]:
    decode = load_space(space).decode
    if len(columns) == 1:
        return lambda row: decode(row[columns[0]])
    return lambda row: decode({column: row[column] for column in columns})
