"""A predictor that says the same of every network: the least that is true to the contract."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from ..core import CheckpointError, InvalidSettingError, LatencyPredictor, LatencyTable, ModelGraph, Platform, Prediction

_SPREAD = 4.0


class ConstantPredictor(LatencyPredictor):
    """Predicts, for each platform, the geometric mean of the latencies it was fitted on.

    The latency is taken to grow with the batch size; the interval is a factor of four each way.
    It is the floor that every other predictor must beat, and a stand-in for tests of what uses
    predictors.

    Args:
        latency_ms: Milliseconds at batch size 1 by platform.
    """

    name = "constant"

    def __init__(self, latency_ms: Mapping[Platform, float] | None = None) -> None:
        self.latency_ms = dict(latency_ms or {})

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(sorted(self.latency_ms))

    def _predict(self, graphs: Sequence[ModelGraph], platform: Platform, batch_size: int) -> Prediction:
        latency_ms = np.full(len(graphs), self.latency_ms[platform] * batch_size)
        return Prediction(latency_ms, latency_ms / _SPREAD, latency_ms * _SPREAD, np.zeros(len(graphs), dtype=bool))

    def fit(self, tables: Sequence[LatencyTable], seed: int = 0) -> Self:  # noqa: ARG002 - nothing is drawn
        logs: dict[Platform, list[float]] = {}
        for table in tables:
            logs.setdefault(table.platform, []).extend(np.log(table.latency_ms / table.batch_size).tolist())
        return type(self)({platform: math.exp(sum(values) / len(values)) for platform, values in logs.items() if values})

    def adapt(self, platform: Platform, graphs: Sequence[ModelGraph], latency_ms: ArrayLike, batch_size: int = 1) -> Self:
        known = np.asarray(latency_ms, dtype=float)
        if known.shape != (len(graphs),) or not np.all(np.isfinite(known) & (known > 0)):
            raise InvalidSettingError(f"expected {len(graphs)} finite latencies above 0 ms, got {latency_ms!r}")
        if not len(graphs):
            return self
        return type(self)({**self.latency_ms, platform: float(np.exp(np.log(known / batch_size).mean()))})

    def save(self, path: Path) -> None:
        from safetensors.numpy import save_file

        names = [str(platform) for platform in self.platforms]
        header = {"format": "nnlqp-nas-predictor", "version": "1", "predictor": self.name, "settings": json.dumps({"platforms": names})}
        save_file({"latency_ms": np.array([self.latency_ms[platform] for platform in self.platforms])}, path, metadata=header)

    @classmethod
    def load(cls, path: Path) -> Self:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                header, latency_ms = file.metadata(), file.get_tensor("latency_ms")
            platforms = [Platform.parse(name) for name in json.loads(header["settings"])["platforms"]]
            return cls(dict(zip(platforms, latency_ms.tolist(), strict=True)))
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"expected a checkpoint of {cls.name}, got {path.name}: {error}; save it again") from error
