"""Epochs with validation, early stopping, and files in which they outlive the process."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..core import CheckpointError, LatencyPredictor, LatencyTable, TrainingRun
from .judgement import mean_mape

_STATE, _BEST, _PROGRESS = "state.safetensors", "best.safetensors", "progress.json"
_LOSE_AT_MOST_S = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is.

    Attributes:
        epoch: Epochs behind.
        n_epochs: Epochs asked for.
        best_epoch: The epoch whose weights are kept so far; 0 before the first.
        best_mape: Its mean MAPE on the validation networks, percent; None without validation.
        is_over: Whether nothing is left to do, by the count or by early stopping.
    """

    epoch: int
    n_epochs: int
    best_epoch: int = 0
    best_mape: float | None = None
    is_over: bool = False


class EpochLoop:
    """Runs a training to its end or to its early stop, and keeps the epoch that is best on the validation networks.

    Guarantees: a process that was killed, however hard, loses a second or one epoch; the loop of the
    same training over the same folder goes on from there.

    Args:
        run: The training, at its beginning.
        validation: Networks to choose the epoch on; none keeps the last epoch.
        folder: For the files; is made where it is missing.
        patience: Epochs without a better one after which it stops; None runs all.
    """

    def __init__(self, run: TrainingRun, validation: Sequence[LatencyTable], folder: Path, patience: int | None) -> None:
        self._run = run
        self._validation = validation
        self._folder = folder
        self._patience = patience
        self._saved_at_s = float("-inf")
        folder.mkdir(parents=True, exist_ok=True)
        self.history: list[tuple[float, float | None]] = []
        """Training loss and validation MAPE of every epoch behind."""
        self.progress = Progress(0, run.n_epochs)
        self._resume()

    def finish(self, on_epoch: Callable[[Progress], None] = lambda _: None) -> LatencyPredictor:
        """Run what is left and return the predictor of the kept epoch.

        Raises:
            CheckpointError: If the folder's files are damaged.
        """
        on_epoch(self.progress)
        while not self.progress.is_over:
            self._advance()
            on_epoch(self.progress)
        kept: LatencyPredictor = type(self._run.predictor()).load(self._folder / _BEST)
        return kept

    def _advance(self) -> None:
        loss = self._run.advance()
        predictor = self._run.predictor()
        mape = mean_mape(predictor, self._validation) if self._validation else None
        self.history.append((loss, mape))
        before, epoch = self.progress, self._run.epoch
        is_better = mape is None or before.best_mape is None or mape < before.best_mape
        best_epoch, best_mape = (epoch, mape) if is_better else (before.best_epoch, before.best_mape)
        is_over = epoch >= self._run.n_epochs or (self._patience is not None and epoch - best_epoch >= self._patience)
        self.progress = Progress(epoch, self._run.n_epochs, best_epoch, best_mape, is_over)
        if is_better and (mape is not None or is_over):
            predictor.save(self._folder / _BEST)
        if is_over or (is_better and mape is not None) or time.monotonic() - self._saved_at_s > _LOSE_AT_MOST_S:
            self._save()

    def _save(self) -> None:
        facts = {"progress": json.dumps(asdict(self.progress)), "history": json.dumps(self.history)}
        arrays = {name: np.ascontiguousarray(array) for name, array in self._run.state.items()}
        _write_whole(self._folder / _STATE, save(arrays, metadata=facts))
        _write_whole(self._folder / _PROGRESS, facts["progress"].encode())
        self._saved_at_s = time.monotonic()

    def _resume(self) -> None:
        path = self._folder / _STATE
        if not path.is_file():
            return
        try:
            with safe_open(path, framework="numpy") as file:
                facts = file.metadata() or {}
                state: dict[str, NDArray[Any]] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            progress = Progress(**json.loads(facts["progress"]))
            self.history = [(float(loss), mape) for loss, mape in json.loads(facts["history"])]
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"expected the state of a training in {path}, got {error}; remove the folder to begin again") from error
        if not progress.is_over:
            self._run.restore(state)
        self.progress = progress


def read_progress(folder: Path) -> Progress | None:
    """Return how far the training in a folder is; None where it has not begun."""
    path = folder / _PROGRESS
    if not path.is_file():
        return None
    try:
        return Progress(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"expected the progress of a training in {path}, got {error}; remove the folder to begin again") from error


def _write_whole(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
