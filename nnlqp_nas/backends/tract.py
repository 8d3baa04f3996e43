"""tract: reads ONNX itself and runs on one thread."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import InvalidSettingError, OperatorTime, Platform, TimingProtocol
from .engine import LoadedModel
from .isolated_backend import MODEL, IsolatedBackend


class TractBackend(IsolatedBackend):
    """tract on the CPU in single precision; it has no threads to set, so no platform with several is offered."""

    software = "tract"
    package = "tract"
    module = "tract"
    has_profiler = True

    @classmethod
    def known_platforms(cls) -> tuple[Platform, ...]:
        return (Platform("cpu", cls.software, "fp32"),)

    @staticmethod
    def load(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> LoadedModel:  # noqa: ARG004
        return _TractModel(folder, inputs)

    @staticmethod
    def profile_runs(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> list[OperatorTime]:  # noqa: ARG004
        return _TractModel(folder, inputs).profile()

    def _n_threads(self, protocol: TimingProtocol) -> int:
        if protocol.n_threads != 1:
            raise InvalidSettingError(
                f"expected one thread for {self.platform}, got {protocol.n_threads}; tract ignores the number of threads"
            )
        return 1

    @classmethod
    def _offers(cls, platform: Platform) -> bool:
        return platform in cls.known_platforms()


class _TractModel(LoadedModel):
    """An optimised model with its state, and the tensors that it reads."""

    def __init__(self, folder: Path, inputs: list[NDArray[np.float32]]) -> None:
        import tract  # type: ignore[import-untyped]

        self._runnable = tract.onnx().load(str(folder / MODEL)).into_model().into_runnable()
        self._state = self._runnable.spawn_state()
        self.feed(inputs)
        self._results: list[Any] = []

    def run(self) -> None:
        self._results = self._state.run(self._inputs)

    def outputs(self) -> list[NDArray[np.float32]]:
        return [result.to_numpy() for result in self._results]

    def feed(self, inputs: Sequence[NDArray[Any]]) -> None:
        import tract

        self._inputs = [tract.Tensor.from_numpy(value) for value in inputs]

    def profile(self) -> list[OperatorTime]:
        """Return the mean times of tract's own profiler, which runs the network for some seconds."""
        nodes = json.loads(self._runnable.profile_json(self._inputs))["nodes"]
        # Constants have no time.
        return [OperatorTime(one["node_name"], one["op_name"], one["secs_per_iter"] * 1e3) for one in nodes if one.get("secs_per_iter")]

    @property
    def facts(self) -> Mapping[str, Any]:
        import tract

        return {"engine": f"tract {tract.version()}"}
