"""Predictions: the latencies of many networks on one platform, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidSettingError


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted latencies of n networks, in the order they were given.

    Guarantees: all arrays have shape (n,); ``0 < low_ms <= latency_ms <= high_ms``, all finite.

    Attributes:
        latency_ms: float64, shape (n,), milliseconds for the whole batch.
        low_ms: float64, shape (n,), lower end of the interval.
        high_ms: float64, shape (n,), upper end of the interval.
        is_extrapolating: bool, shape (n,), True where the predictor was not trained on networks
            like this one on this platform; the interval is widened there.
        coverage: Stated probability that the interval holds the true latency.
    """

    latency_ms: NDArray[np.float64]
    low_ms: NDArray[np.float64]
    high_ms: NDArray[np.float64]
    is_extrapolating: NDArray[np.bool_]
    coverage: float = 0.9

    def __post_init__(self) -> None:
        shapes = {array.shape for array in (self.latency_ms, self.low_ms, self.high_ms, self.is_extrapolating)}
        if len(shapes) != 1 or self.latency_ms.ndim != 1:
            raise InvalidSettingError(f"expected four arrays of one shape (n,), got {sorted(shapes)}")
        ordered = (self.low_ms > 0) & (self.low_ms <= self.latency_ms) & (self.latency_ms <= self.high_ms)
        if not np.all(ordered & np.isfinite(self.high_ms)):
            raise InvalidSettingError("expected 0 < low <= latency <= high, all finite, for every prediction")

    def __len__(self) -> int:
        return len(self.latency_ms)
