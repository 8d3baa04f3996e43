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


class LatencyPredictor(ABC):
    """Tells latencies without running anything.

    Guarantees (``nnlqp_nas.testing.LatencyPredictorContract`` tests them):

    * predictions keep the order of the graphs;
    * a batch of graphs gets the same answers as its members one by one (to 1e-4 relative);
    * pure: predicting changes nothing, and ``fit`` and ``adapt`` return a new predictor and
      leave the old one as it was;
    * adapted without any measurement, it predicts as before;
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

    @abstractmethod
    def adapt(self, platform: Platform, graphs: Sequence[ModelGraph], latency_ms: ArrayLike, batch_size: int = 1) -> LatencyPredictor:
        """Return a predictor that also predicts ``platform``, from a few measurements there; from none, it stays as it is.

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
