"""The contract of a latency database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence

from .measurement import Measurement, MeasurementFailure
from .platform import Platform


class LatencyDatabase(ABC):
    """Remembers true measurements.

    Guarantees (``nnlqp_nas.testing.LatencyDatabaseContract`` tests them):

    * append-only: a row never changes and never goes; the newest row answers;
    * predictions are refused: only measured rows are stored;
    * two writers at once lose no rows;
    * :attr:`revision` grows with every row added, and is 0 when empty.
    """

    @abstractmethod
    def look_up(
        self, graph_keys: Sequence[str], platform: Platform, batch_size: int = 1, host: str | None = None
    ) -> list[Measurement | None]:
        """Return the newest measurement of each network, or None; same order, source ``database``.

        Args:
            graph_keys: n structural keys.
            platform: Where.
            batch_size: Inputs per run.
            host: Only rows of this machine; None takes any.

        Raises:
            DatabaseError: If the database cannot be read.
        """

    @abstractmethod
    def add(self, results: Iterable[Measurement | MeasurementFailure]) -> int:
        """Append measurements and failures, all or none, and return how many.

        Raises:
            InvalidSettingError: If one of them is a prediction.
            DatabaseError: If the database cannot be written.
        """

    @abstractmethod
    def select(self, platform: Platform | None = None, batch_size: int | None = None, since_revision: int = 0) -> Iterator[Measurement]:
        """Yield measurements in the order they were added.

        Raises:
            DatabaseError: If the database cannot be read.
        """

    @abstractmethod
    def count_rows(self) -> dict[Platform, int]:
        """Return the number of measurements by platform.

        Raises:
            DatabaseError: If the database cannot be read.
        """

    @property
    @abstractmethod
    def revision(self) -> int:
        """A number that grows with every row added."""

    @abstractmethod
    def close(self) -> None:
        """Release files and connections; may be called twice."""
