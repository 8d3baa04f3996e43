"""Latency tables: known latencies, to train predictors on and to test them against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidSettingError
from .graph import ModelGraph
from .platform import Platform


@dataclass(frozen=True, eq=False)
class LatencyTable:
    """Known latencies of n networks on one platform at one batch size.

    Guarantees: as many latencies as graphs; every latency finite and positive.

    Attributes:
        platform: Where they were measured.
        batch_size: Inputs per run.
        graphs: The n networks, in the view that the platform executes.
        latency_ms: float64, shape (n,), milliseconds for the whole batch.
        domain: Name of the search space or family the networks come from.
    """

    platform: Platform
    batch_size: int
    graphs: Sequence[ModelGraph]
    latency_ms: NDArray[np.float64]
    domain: str = field(default="")

    def __post_init__(self) -> None:
        if self.latency_ms.shape != (len(self.graphs),):
            raise InvalidSettingError(f"expected {len(self.graphs)} latencies, one a graph, got shape {self.latency_ms.shape}")
        if not np.all(np.isfinite(self.latency_ms) & (self.latency_ms > 0)):
            raise InvalidSettingError(f"expected finite latencies above 0 ms on {self.platform}")

    def __len__(self) -> int:
        return len(self.graphs)
