"""Accuracies from the user's own files of NATS-Bench (topology) or NAS-Bench-201."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import Architecture, InvalidSettingError, UnknownNameError
from ..core.plugins import SPACES, load_plugin
from .quality import Quality
from .safe_pickle import read_plain_pickle

SPLITS = {
    ("cifar10", "test"): ("cifar10", "ori-test"),
    ("cifar10", "valid"): ("cifar10-valid", "x-valid"),
    ("cifar100", "test"): ("cifar100", "x-test"),
    ("cifar100", "valid"): ("cifar100", "x-valid"),
    ("imagenet16_120", "test"): ("ImageNet16-120", "x-test"),
    ("imagenet16_120", "valid"): ("ImageNet16-120", "x-valid"),
}
"""(data set, split) in the names of the benchmarks' authors: what was trained on, and what it was tested on."""

_OLD_NAMES = {"12": "less", "200": "full"}


class NatsBenchTss(Quality):
    """Looks accuracies up in the files that the authors of NATS-Bench (arXiv 2009.00437) published.

    ``path`` is one of

    * the folder ``NATS-tss-v1_0-3ffb9-simple``, of which only what is asked for is read;
    * the file ``NATS-tss-v1_0-3ffb9.pickle.pbz2``, some gigabytes in memory;
    * NAS-Bench-201's own file, ``NAS-Bench-201-v1_1-096897.pth``.

    The first two are pickles: they are read by :class:`~nnlqp_nas.quality.safe_pickle.PlainUnpickler`, which runs
    nothing; the third by ``torch.load(weights_only=True)``. A value is the accuracy after the last epoch, mean over
    the seeds.

    Args:
        path: File or folder.
        dataset: ``cifar10``, ``cifar100`` or ``imagenet16_120``.
        split: ``test`` or ``valid``; CIFAR-10's test networks were trained on its validation part too.
        n_epochs: 200, or the short training of 12.

    Raises:
        UnknownNameError: If there is no such data set.
        InvalidSettingError: If ``split`` or ``n_epochs`` is another one, or the files cannot be read.
    """

    space = "nasbench201"

    def __init__(self, path: Path | str, dataset: str = "cifar10", split: str = "test", n_epochs: int = 200) -> None:
        datasets = sorted({name for name, _ in SPLITS})
        if dataset not in datasets:
            raise UnknownNameError.among("data set", dataset, datasets)
        if (dataset, split) not in SPLITS:
            raise InvalidSettingError(f"expected a split test or valid, got {split!r}")
        if str(n_epochs) not in _OLD_NAMES:
            raise InvalidSettingError(f"expected n_epochs to be 200 or 12, got {n_epochs!r}")
        self.name = f"nats_bench_tss:{dataset}_{split}_{n_epochs}"
        self.metric = f"{dataset} {split} accuracy after {n_epochs} epochs, %"
        self._trained_on, self._tested_on = SPLITS[dataset, split]
        self._n_epochs = str(n_epochs)
        self._space = load_plugin(SPACES, self.space)()
        self._path = Path(path)
        self._records: Mapping[int, Any] | None = None
        self._index = self._read_index()
        self._values: dict[Architecture, float] = {}

    def evaluate(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        for architecture in architectures:
            if architecture not in self._values:
                self._space.check(architecture)
                self._values[architecture] = self._look_up(self._space.encode(architecture))
        return np.array([self._values[architecture] for architecture in architectures], dtype=np.float64)

    def _read_index(self) -> dict[str, int]:
        if self._path.is_dir():
            content = read_plain_pickle(self._path / "meta.pickle.pbz2")
        elif self._path.suffix == ".pth":
            content = _read_pth(self._path)
        else:
            content = read_plain_pickle(self._path)
        try:
            if not self._path.is_dir():
                self._records = dict(content["arch2infos"])
            return {str(cell): number for number, cell in enumerate(content["meta_archs"])}
        except (KeyError, TypeError) as error:
            raise InvalidSettingError(f"expected a file of NATS-Bench with meta_archs and arch2infos, got '{self._path}'") from error

    def _look_up(self, cell: str) -> float:
        try:
            number = self._index[cell]
            trainings = self._records[number] if self._records is not None else self._read_record(number)
            record = trainings[self._n_epochs] if self._n_epochs in trainings else trainings[_OLD_NAMES[self._n_epochs]]
            runs = [record["all_results"][self._trained_on, seed] for seed in record["dataset_seed"][self._trained_on]]
            accuracies = [float(run["eval_acc1es"][f"{self._tested_on}@{run['epochs'] - 1}"]) for run in runs]
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidSettingError(f"expected {self.metric} of {cell} in '{self._path}', found none: no {error}") from error
        mean = sum(accuracies) / len(accuracies) if accuracies else float("nan")
        if not np.isfinite(mean):
            raise InvalidSettingError(f"expected {self.metric} of {cell} in '{self._path}' to be finite, got {accuracies}")
        return mean

    def _read_record(self, number: int) -> Any:
        return read_plain_pickle(self._path / f"{number:06d}.pickle.pbz2")


def _read_pth(path: Path) -> Any:
    import pickle

    import torch

    try:
        with torch.serialization.safe_globals(_plain_globals()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidSettingError(f"expected a file that torch.load reads with weights_only=True, got '{path}': {reason}") from error


def _plain_globals() -> list[Any]:
    """Return what the file may name beside what PyTorch allows: containers, and NumPy's scalars under both their addresses."""
    scalar = import_module("numpy._core.multiarray").scalar
    numbers = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)]
    return [defaultdict, set, np.dtype, *numbers, scalar, (scalar, "numpy.core.multiarray.scalar")]
