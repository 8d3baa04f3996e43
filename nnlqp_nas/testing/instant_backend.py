"""A device that exists only as a formula: a true backend for tests of what uses backends."""

from __future__ import annotations

import platform as machine
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import ClassVar

import numpy as np

from ..core import (
    INPUT,
    PART,
    InvalidSettingError,
    Measurement,
    MeasurementBackend,
    MeasurementError,
    MeasurementFailure,
    ModelGraph,
    OperatorTime,
    Platform,
    Source,
    TimingProtocol,
)
from ..graphs import OperatorCost, operator_cost

PLATFORM = Platform.parse("cpu-instant-fp32")
_MACS_A_MS = 1e7
_BYTES_A_MS = 1e7
_START_MS = 0.002
_JITTER = 0.01
_PSEUDO = frozenset({INPUT, PART, "Zero"})


class InstantBackend(MeasurementBackend):
    """Times networks on a roofline device of 10 GMAC/s and 10 GB/s, in virtual time.

    Every node takes 2 us and the longer of its arithmetic and its traffic. A run jitters by 1 %,
    seeded by the network, so that equal networks get equal measurements. It is small but true: it
    keeps the whole contract of a backend except that nothing runs in a process of its own, since
    nothing runs. Use it to test oracles, searches and campaigns without waiting.
    """

    software: ClassVar[str] = "instant"
    package: ClassVar[str] = "nothing"
    has_profiler: ClassVar[bool] = True

    def __init__(self, platform: Platform = PLATFORM) -> None:
        super().__init__(platform)

    @classmethod
    def known_platforms(cls) -> tuple[Platform, ...]:
        return (PLATFORM,)

    def unavailable_reason(self) -> str | None:
        return None

    @property
    def host(self) -> str:
        return f"formula on {machine.machine() or 'any machine'}"

    def measure(
        self,
        graphs: Sequence[ModelGraph],
        protocol: TimingProtocol | None = None,
        batch_size: int = 1,
        on_result: Callable[[Measurement | MeasurementFailure], None] | None = None,
    ) -> list[Measurement | MeasurementFailure]:
        if batch_size < 1:
            raise InvalidSettingError(f"expected a batch size >= 1, got {batch_size}")
        results = []
        for graph in graphs:
            results.append(self._measure_one(graph, protocol or TimingProtocol(), batch_size))
            if on_result is not None:
                on_result(results[-1])
        return results

    def profile(self, graph: ModelGraph, batch_size: int = 1) -> list[OperatorTime]:
        stranger = _stranger(graph)
        if stranger is not None:
            raise MeasurementError(f"expected operators that ONNX defines, got {stranger}")
        times = [
            OperatorTime(f"{operator.op_type}_{node}", operator.op_type, _time_ms(operator_cost(operator, batch_size)))
            for node, operator in enumerate(graph.operators)
            if operator.op_type not in _PSEUDO
        ]
        return sorted(times, key=lambda one: -one.time_ms)

    def _measure_one(self, graph: ModelGraph, protocol: TimingProtocol, batch_size: int) -> Measurement | MeasurementFailure:
        stranger = _stranger(graph)
        if stranger is not None:
            return self._failure(graph, batch_size, "load", f"expected operators that ONNX defines, got {stranger}")
        base_ms = sum(one.time_ms for one in self.profile(graph, batch_size)) or _START_MS
        if protocol.warmup_s + protocol.min_runs * base_ms / 1e3 > protocol.time_limit_s:
            return self._failure(graph, batch_size, "time", f"over the time limit of {protocol.time_limit_s:g} s")
        rng = np.random.default_rng(int(graph.key[:16], 16) + batch_size)
        runs_ms = base_ms * (1 + _JITTER * np.abs(rng.standard_normal(protocol.min_runs)))
        low_ms, median_ms, high_ms = np.quantile(runs_ms, (0.25, 0.5, 0.75)).tolist()
        return Measurement(
            graph_key=graph.key,
            platform=self.platform,
            batch_size=batch_size,
            latency_ms=median_ms,
            source=Source.MEASURED,
            interval_ms=(low_ms, high_ms),
            std_ms=float(runs_ms.std()),
            n_runs=len(runs_ms),
            host=self.host,
            taken_at=datetime.now(UTC),
            facts={"is_virtual": True},
        )

    def _failure(self, graph: ModelGraph, batch_size: int, stage: str, reason: str) -> MeasurementFailure:
        return MeasurementFailure(
            graph_key=graph.key,
            platform=self.platform,
            batch_size=batch_size,
            stage=stage,
            reason=reason,
            host=self.host,
            taken_at=datetime.now(UTC),
        )


def _time_ms(cost: OperatorCost) -> float:
    return _START_MS + max(cost.macs / _MACS_A_MS, cost.moved_bytes / _BYTES_A_MS)


def _stranger(graph: ModelGraph) -> str | None:
    """Return an operator type that ONNX does not define, if the network has one."""
    import onnx.defs

    return next((op.op_type for op in graph.operators if op.op_type not in _PSEUDO and not onnx.defs.has(op.op_type)), None)
