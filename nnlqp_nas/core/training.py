"""The contract of a training that is run an epoch at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import UnsupportedError
from .latency_table import LatencyTable

if TYPE_CHECKING:
    from .predictor import LatencyPredictor

TrainingState = dict[str, NDArray[Any]]
"""Named arrays of numbers; what a training needs to go on, fit for any array file."""


class TrainingRun(ABC):
    """A predictor that learns; whoever drives it decides when to look, to stop and to keep.

    It knows the training networks alone: validation, early stopping, progress and the file in
    which :attr:`state` outlives a killed process are the driver's, the same for every predictor.

    Guarantees (``nnlqp_nas.testing.TrainingRunContract`` tests them):

    * ``epoch`` counts the calls of :meth:`advance`, those before a :meth:`restore` included;
    * :meth:`predictor` is a snapshot that further epochs do not change;
    * a run that another run's :attr:`state` was restored into goes on exactly as that one would have
      on the same machine.
    """

    @property
    @abstractmethod
    def n_epochs(self) -> int:
        """How many epochs the predictor's settings ask for."""

    @property
    @abstractmethod
    def epoch(self) -> int:
        """How many epochs are behind."""

    @abstractmethod
    def advance(self) -> float:
        """Run one epoch and return its mean training loss."""

    @abstractmethod
    def predictor(self) -> LatencyPredictor:
        """Return the predictor as it stands; its intervals say nothing before it is calibrated."""

    @property
    @abstractmethod
    def state(self) -> TrainingState:
        """All that the next epochs depend on besides the tables: weights, moments, schedules, random states."""

    @abstractmethod
    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what another run of the same tables, settings and seed was at.

        Raises:
            CheckpointError: If it is no such state.
        """


class WholeTraining(TrainingRun):
    """The training of a predictor that learns everything at once; its only epoch is ``fit``.

    Args:
        start: The predictor to fit; only its settings count.
        tables: Training networks.
        seed: Passed on.

    Raises:
        UnsupportedError: If it is to go on from what it has learned, which ``fit`` cannot.
    """

    n_epochs = 1

    def __init__(self, start: LatencyPredictor, tables: Sequence[LatencyTable], seed: int, from_scratch: bool) -> None:
        if not from_scratch:
            raise UnsupportedError(f"a predictor of kind {start.name} cannot be fine-tuned; train it from scratch, or adapt() it")
        self._start = start
        self._tables = tables
        self._seed = seed
        self._fitted: LatencyPredictor | None = None

    @property
    def epoch(self) -> int:
        return int(self._fitted is not None)

    def advance(self) -> float:
        self._fitted = self._start.fit(self._tables, self._seed)
        return float("nan")  # fit does not tell

    def predictor(self) -> LatencyPredictor:
        return self._fitted or self._start

    @property
    def state(self) -> TrainingState:
        return {"epoch": np.array(self.epoch)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        if int(state["epoch"]):
            self.advance()  # it takes no longer than reading it back would, and fit is the same for the same seed
