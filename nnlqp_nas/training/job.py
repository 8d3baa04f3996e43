"""One training of several: its split, its epochs, its intervals, its errors, in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import CheckpointError, LatencyPredictor
from .epoch_loop import EpochLoop, Progress, read_progress
from .judgement import judge
from .split import SplitRule
from .training_data import TrainingData

CHECKPOINT, RESULT = "checkpoint.safetensors", "result.json"


@dataclass(frozen=True)
class TrainingJob:
    """What to train, on what, and where to keep it; may run in a process of its own.

    Attributes:
        folder: For its files.
        start: The predictor to train.
        from_scratch: Whether only the settings of ``start`` count.
        rule: How to split.
        seed: Of the training.
        fold: Which of the rule's folds tests.
        patience: Epochs without a better one after which it stops; None runs all.
        device: Where to train, as PyTorch names devices.
    """

    folder: Path
    start: LatencyPredictor
    from_scratch: bool
    rule: SplitRule
    seed: int
    fold: int = 0
    patience: int | None = None
    device: str = "cpu"

    def run(self, data: TrainingData, on_epoch: Callable[[Progress], None] = lambda _: None) -> dict[str, Any]:
        """Train, or go on, and return the result, which is kept: a job that is done is not done again.

        Returns:
            ``seed``, ``fold``, ``networks`` by part, ``epochs``, ``kept_epoch``, ``validation_mape``,
            ``history`` and the ``errors`` on the test networks by platform.
        """
        if self.is_done:
            return self.result()
        split = self.rule.split(data, self.fold)
        training = self.start.start_training(split.train, self.seed, self.from_scratch, self.device)
        loop = EpochLoop(training, split.validation, self.folder, self.patience)
        predictor = loop.finish(on_epoch)
        if split.calibration:
            predictor = predictor.calibrated(split.calibration)
        predictor.save(self.folder / CHECKPOINT)
        result = {
            "seed": self.seed,
            "fold": self.fold,
            "networks": split.n_networks,
            "epochs": loop.progress.epoch,
            "kept_epoch": loop.progress.best_epoch,
            "validation_mape": loop.progress.best_mape,
            "history": [{"loss": loss if loss == loss else None, "validation_mape": mape} for loss, mape in loop.history],
            "errors": judge(predictor, split.test),
        }
        draft = self.folder / f".{RESULT}"
        draft.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        draft.replace(self.folder / RESULT)
        return result

    @property
    def is_done(self) -> bool:
        """Whether its result is there."""
        return (self.folder / RESULT).is_file()

    @property
    def checkpoint(self) -> Path:
        """The file of the trained predictor."""
        return self.folder / CHECKPOINT

    def result(self) -> dict[str, Any]:
        """Return the kept result.

        Raises:
            CheckpointError: If it is damaged.
        """
        try:
            kept: dict[str, Any] = json.loads((self.folder / RESULT).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"expected the result of a training in {self.folder}, got {error}; remove the folder to begin again"
            ) from error
        return kept

    def progress(self) -> Progress:
        """Return how far it is, by its files."""
        return read_progress(self.folder) or Progress(0, 1)
