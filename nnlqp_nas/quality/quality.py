"""The contract of a quality: what a search maximises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core import Architecture


class Quality(ABC):
    """Tells how good architectures are; more is better.

    Guarantees: as many values as architectures, in the same order; all finite.

    Attributes:
        name: Name of the quality, as an outcome states it.
        metric: What the values are, such as ``CIFAR-10 test accuracy, %``.
        space: Name of the only search space it can judge, or None.
    """

    name: str
    metric: str
    space: str | None = None

    @abstractmethod
    def evaluate(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return the quality of each architecture: float64, shape (n,), percent where it is an accuracy.

        Raises:
            InvalidSettingError: If an architecture cannot be judged, or a value is not finite.
        """
