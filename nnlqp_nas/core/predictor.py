"""The contract of a latency predictor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from .errors import InvalidSettingError, UnknownPlatformError
from .graph import ModelGraph
from .latency_table import LatencyTable
from .platform import Platform
from .prediction import Prediction
from .training import TrainingRun, WholeTraining


class LatencyPredictor(ABC):
    """Tells latencies without running anything.

    Guarantees (``nnlqp_nas.testing.LatencyPredictorContract`` tests them):

    * predictions keep the order of the graphs;
    * a batch of graphs gets the same answers as its members one by one (to 1e-4 relative);
    * pure: predicting changes nothing, and ``fit`` and ``adapt`` return a new predictor and
      leave the old one as it was;
    * ``load(save(p))`` predicts what ``p`` predicts.
    """

    name: str

    @property
    @abstractmethod
    def platforms(self) -> tuple[Platform, ...]:
        """Platforms it can predict, sorted."""

    @abstractmethod
    def _predict(self, graphs: Sequence[ModelGraph], platform: Platform, batch_size: int) -> Prediction:
        """Predict; the arguments have been checked and ``graphs`` is not empty."""

    @abstractmethod
    def fit(self, tables: Sequence[LatencyTable], seed: int = 0) -> Self:
        """Return a predictor of the same settings, trained on ``tables`` alone."""

    def start_training(
        self,
        tables: Sequence[LatencyTable],
        seed: int = 0,
        from_scratch: bool = True,
        device: str = "cpu",  # noqa: ARG002 - fit() runs where it likes
    ) -> TrainingRun:
        """Return a training on ``tables`` that is run epoch by epoch and can be stopped and resumed.

        ``fit`` is one whole such training. A predictor that has no epochs needs not override this.

        Args:
            tables: Training networks: what is to choose the stop, calibrate or test is not among them.
            seed: Of everything that is drawn.
            from_scratch: Take the settings alone; False goes on from what this predictor has learned.
            device: Where to train, as PyTorch names devices.

        Raises:
            InvalidSettingError: If ``tables`` hold no network.
            UnsupportedError: If this kind of predictor cannot go on from what it has learned.
        """
        return WholeTraining(self, tables, seed, from_scratch)

    def calibrated(self, tables: Sequence[LatencyTable]) -> Self:  # noqa: ARG002 - see below
        """Return the predictor with intervals made from networks that it did not learn from.

        One whose intervals come from its own training returns itself; platforms and batch sizes that
        are not in ``tables`` keep the intervals that they have.
        """
        return self

    @abstractmethod
    def adapt(self, platform: Platform, graphs: Sequence[ModelGraph], latency_ms: ArrayLike, batch_size: int = 1) -> LatencyPredictor:
        """Return a predictor that also predicts ``platform``, from a few measurements there.

        Args:
            platform: The new platform, or a known one to adapt further.
            graphs: The n measured networks, in the view that ``platform`` executes.
            latency_ms: float, shape (n,), their latencies in milliseconds for the whole batch.
            batch_size: Inputs per run.

        Raises:
            InvalidSettingError: If the lengths differ or a latency is not finite and positive.
            UnsupportedError: If this predictor cannot adapt.
        """

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write a checkpoint that :meth:`load` reads."""

    @classmethod
    @abstractmethod
    def load(cls, path: Path) -> Self:
        """Read a checkpoint.

        Raises:
            CheckpointError: If the file is truncated, of another format, or unsafe.
        """

    def predict(self, graphs: Sequence[ModelGraph], platform: Platform, batch_size: int = 1) -> Prediction:
        """Predict the latency of each network.

        Args:
            graphs: n networks, in the view that ``platform`` executes.
            platform: One of :attr:`platforms`.
            batch_size: Inputs per run.

        Returns:
            n predictions, in the order of ``graphs``.

        Raises:
            UnknownPlatformError: If ``platform`` is not one of :attr:`platforms`.
            InvalidSettingError: If ``batch_size`` is below 1.
        """
        if platform not in self.platforms:
            raise UnknownPlatformError.among("platform", str(platform), map(str, self.platforms))
        if batch_size < 1:
            raise InvalidSettingError(f"expected a batch size >= 1, got {batch_size}")
        if not graphs:
            nothing = np.zeros(0)
            return Prediction(nothing, nothing, nothing, np.zeros(0, dtype=bool))
        return self._predict(graphs, platform, batch_size)
