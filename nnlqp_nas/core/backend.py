"""The contract of a measurement backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from .graph import ModelGraph
from .measurement import Measurement, MeasurementFailure
from .platform import Platform
from .timing_protocol import TimingProtocol


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """Time that one node took, as the engine's own profiler tells.

    Attributes:
        name: Name of the node in the engine's graph.
        op_type: Operator type.
        time_ms: Milliseconds per run.
        fell_back: True where the node ran on a slower fallback than the engine's own kernels.
    """

    name: str
    op_type: str
    time_ms: float
    fell_back: bool = False


class MeasurementBackend(ABC):
    """Measures networks on one platform by running them.

    Guarantees (``nnlqp_nas.testing.MeasurementBackendContract`` tests them):

    * as many results as graphs, in the same order;
    * one bad graph is a :class:`MeasurementFailure` with its reason, never an exception, and
      leaves the others as they are;
    * the network runs in a process of its own, which is killed at the time limit;
    * ``n_runs`` is the true number of counted runs.

    Attributes:
        software: The ``software`` part of the platforms that this class measures.
        package: What has to be installed, for the message where it is not.
        has_profiler: Whether :meth:`profile` answers.
    """

    software: ClassVar[str]
    package: ClassVar[str]
    has_profiler: ClassVar[bool] = False

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    @classmethod
    @abstractmethod
    def known_platforms(cls) -> tuple[Platform, ...]:
        """Platforms that this class offers, whether available here or not."""

    @abstractmethod
    def unavailable_reason(self) -> str | None:
        """Return why this machine cannot measure the platform, or None where it can."""

    @property
    def is_available(self) -> bool:
        """True where this machine can measure the platform."""
        return self.unavailable_reason() is None

    @property
    @abstractmethod
    def host(self) -> str:
        """The machine that measures, as every measurement states it."""

    @abstractmethod
    def measure(
        self,
        graphs: Sequence[ModelGraph],
        protocol: TimingProtocol | None = None,
        batch_size: int = 1,
        on_result: Callable[[Measurement | MeasurementFailure], None] | None = None,
    ) -> list[Measurement | MeasurementFailure]:
        """Run each network and return its latency, or why there is none.

        Args:
            graphs: n networks, in the view that the platform executes.
            protocol: How to time; None takes the protocol's defaults.
            batch_size: Inputs per run.
            on_result: Called with each result as soon as it is there.

        Raises:
            MissingExtraError: If the engine is not installed.
        """

    def profile(self, graph: ModelGraph, batch_size: int = 1) -> list[OperatorTime]:
        """Return the time of each node, slowest first.

        Raises:
            UnsupportedError: If the engine has no profiler.
            MeasurementError: If the network does not run.
        """
        from .errors import UnsupportedError

        what = f"{len(graph)} nodes at batch size {batch_size}"
        raise UnsupportedError(f"expected an engine with an operator profiler for {what}, got {self.platform}; try cpu-onnxruntime-fp32")
