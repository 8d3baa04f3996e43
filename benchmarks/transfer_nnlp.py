"""NNLP's transfer to platforms that its pretraining did not know, as NNLQP's scripts do it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.evaluation import NNLP, untrained
from benchmarks.measured_networks import MeasuredNetworks
from nnlqp_nas.core import LatencyPredictor, LatencyTable, Platform
from nnlqp_nas.training import EpochLoop

MOST_EPOCHS = 500
"""Epochs of NNLQP's transfer, whatever the number of samples."""


@dataclass(frozen=True, eq=False)
class NnlpTransfer:
    """One network pretrained on some platforms, which each of the others fine-tunes with its samples.

    NNLQP pretrains anew for each platform that is left out. Here all that are to be learned are left out at once, since a pretraining
    takes CPU hours on all networks; and the last epoch counts where NNLQP keeps the best one on the test networks.

    Attributes:
        networks: Networks that were measured on all platforms.
        targets: Platforms that the pretraining is not shown.
        n_networks: Networks drawn for the pretraining, the same on every platform.
        n_epochs: Epochs of the pretraining.
        n_passes: Most samples times epochs of a fine-tuning; 500 epochs where that is less.
        folder: For the epochs of the pretraining.
    """

    networks: MeasuredNetworks
    targets: tuple[Platform, ...]
    n_networks: int
    n_epochs: int
    n_passes: int
    folder: Path

    @property
    def setting(self) -> dict[str, Any]:
        """What was run, JSON types only."""
        numbers = {"n_networks": self.n_networks, "n_epochs": self.n_epochs, "n_passes": self.n_passes, "most_epochs": MOST_EPOCHS}
        return {"left_out": [str(platform) for platform in self.targets], "sources": [str(source) for source in self.sources], **numbers}

    @property
    def sources(self) -> list[Platform]:
        """Platforms that the pretraining knows."""
        return [platform for platform in self.networks.platforms if platform not in self.targets]

    def adaptation_epochs(self, n: int) -> int:
        """Return the epochs of a fine-tuning on n samples."""
        return max(1, min(MOST_EPOCHS, self.n_passes // n))

    def adapt(self, samples: LatencyTable) -> LatencyPredictor:
        """Fine-tune the pretrained network."""
        base = self._pretrained
        settings = replace(base.settings, n_adapt_epochs=self.adaptation_epochs(len(samples)))
        adapted: LatencyPredictor = replace(base, settings=settings).adapt(samples.platform, samples.graphs, samples.latency_ms)
        return adapted

    def train_alone(self, samples: LatencyTable, seed: int) -> LatencyPredictor:
        """Train a network on the samples alone, for as many epochs."""
        return untrained(NNLP, {"n_epochs": self.adaptation_epochs(len(samples))}).fit([samples], seed)

    @cached_property
    def _pretrained(self) -> Any:
        start: Any = untrained(NNLP, {"n_epochs": self.n_epochs})
        bar = tqdm(total=self.n_epochs, desc="pretrain nnlp", file=sys.stderr)
        loop = EpochLoop(start.start_training(self._training(), 0), (), self.folder, patience=None)
        return loop.finish(lambda progress: bar.update(progress.epoch - bar.n))

    def _training(self) -> Sequence[LatencyTable]:
        drawn = np.sort(np.random.default_rng(0).permutation(len(self.networks))[: self.n_networks])
        return [self.networks.table(source, drawn) for source in self.sources]
