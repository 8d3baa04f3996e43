"""The user's own function as a quality."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..core import Architecture, InvalidSettingError
from .quality import Quality


class CallableQuality(Quality):
    """Asks a function for the accuracy of one architecture at a time.

    >>> quality = CallableQuality(lambda architecture: train_and_test(architecture))

    Args:
        function: Architecture to accuracy in percent, or anything of which more is better.
        name: Name of the quality; the function's own unless given.
        metric: What the values are.
    """

    def __init__(self, function: Callable[[Architecture], float], name: str | None = None, metric: str = "accuracy, %") -> None:
        self._function = function
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.metric = metric

    def evaluate(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        values = np.array([float(self._function(architecture)) for architecture in architectures], dtype=np.float64)
        if not np.all(np.isfinite(values)):
            wrong = architectures[int(np.argmin(np.isfinite(values)))]
            raise InvalidSettingError(f"expected {self.name} to return a finite number, got another for {wrong.key}")
        return values
