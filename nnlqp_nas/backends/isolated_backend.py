"""Backends that run every network in a child process: all that engines have in common."""

from __future__ import annotations

import importlib.util
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core import (
    InvalidSettingError,
    Measurement,
    MeasurementBackend,
    MeasurementError,
    MeasurementFailure,
    MissingExtraError,
    ModelGraph,
    OperatorTime,
    Platform,
    Source,
    TimingProtocol,
    UnknownPlatformError,
)
from .agreement import REFERENCE
from .artefacts import Artefacts, made_once
from .core_speed import MACHINE
from .cores import leased_cores
from .engine import LoadedModel
from .host import host_facts, host_name
from .isolation import ChildFailure, run_isolated
from .nursery import Nursery
from .passes import combine, has_agreement
from .pipeline import Pipeline
from .rewrites import needed_rewrites

MODEL = "model.onnx"
_SEED = 0


class IsolatedBackend(MeasurementBackend):
    """Measures each network in a fresh process: pinned, with limits of time and memory.

    What the engine refuses, if it says so, runs on ONNX Runtime beside it, and the facts of the measurement tell; see
    :class:`Pipeline`.

    An engine is one subclass: :meth:`known_platforms`, :meth:`load`, and where it needs them
    :meth:`compile` (conversion, quantisation; a process of its own too), :attr:`rewrites`, :meth:`settings`,
    :meth:`environment` and :meth:`profile_runs`. The class must stand in a module that a fresh
    interpreter can import; :attr:`imports` names what its methods import besides, for a nursery to import beforehand.

    Args:
        platform: What to measure; a variant ``<n>t`` sets the number of threads.
        cores: Cores to measure on, the favourite first; None for all that this process may use.
        memory_limit_bytes: Largest memory of the measuring process; None for no limit.

    Attributes:
        artefacts: Where conversions are kept; give several backends the same one to convert a network once for all
            of them. None converts anew for each measurement.
        nursery: What processes are forked from, see :meth:`nursed`; None starts a fresh interpreter for each.

    Raises:
        UnknownPlatformError: If this engine does not offer the platform.
    """

    artefacts: Artefacts | None = None
    nursery: Nursery | None = None
    module: ClassVar[str]
    imports: ClassVar[tuple[str, ...]] = ()

    def __init__(self, platform: Platform, cores: Sequence[int] | None = None, memory_limit_bytes: int | None = 8 << 30) -> None:
        super().__init__(platform)
        if not self._offers(platform):
            raise UnknownPlatformError.among("platform", str(platform), map(str, self.known_platforms()))
        self.cores = cores
        self.memory_limit_bytes = memory_limit_bytes

    # What an engine says of itself, in this process.

    @property
    def compiles(self) -> bool:
        """Whether :meth:`compile` has to be called before :meth:`load`."""
        return False

    @property
    def artefact(self) -> str:
        """Name of what :meth:`compile` leaves; backends that name the same one share it."""
        return f"{self.software}.{self.platform.precision}"

    @property
    def rewrites(self) -> tuple[str, ...]:
        """Names of what :data:`REWRITES` has for operators that the engine lacks, in the order in which they are done."""
        return ()

    def indivisible_reason(self) -> str | None:
        """Return why ONNX Runtime cannot run what the engine refuses, None where it can."""
        return None

    def settings(self, n_threads: int) -> dict[str, Any]:
        """Return what :meth:`load` and :meth:`compile` need to know, JSON types only."""
        return {"n_threads": n_threads, "precision": self.platform.precision}

    def environment(self, n_threads: int) -> dict[str, str]:
        """Return the environment variables to set before the engine is imported."""
        return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(n_threads))

    def unavailable_reason(self) -> str | None:
        if importlib.util.find_spec(self.module) is None:
            return f"{self.package} is not installed: pip install 'nnlqp-nas[{self.software}]'"
        return None

    # What an engine does, in the measuring process.

    @staticmethod
    @abstractmethod
    def load(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> LoadedModel:
        """Load ``folder / MODEL``, or what :meth:`compile` left, ready to run on ``inputs``."""

    @staticmethod
    def compile(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> None:
        """Turn ``folder / MODEL`` into what :meth:`load` reads; called where :attr:`compiles`."""

    @staticmethod
    def profile_runs(folder: Path, inputs: list[NDArray[np.float32]], settings: Mapping[str, Any]) -> list[OperatorTime]:
        """Run the model under the engine's profiler; called where :attr:`has_profiler`."""
        raise NotImplementedError

    # The same for every engine.

    @property
    def host(self) -> str:
        return host_name()

    def measure(
        self,
        graphs: Sequence[ModelGraph],
        protocol: TimingProtocol | None = None,
        batch_size: int = 1,
        on_result: Callable[[Measurement | MeasurementFailure], None] | None = None,
    ) -> list[Measurement | MeasurementFailure]:
        if batch_size < 1:
            raise InvalidSettingError(f"expected a batch size >= 1, got {batch_size}")
        self._check_installed()
        protocol = replace(protocol or TimingProtocol(), n_threads=self._n_threads(protocol or TimingProtocol()))
        results = []
        with self.nursed(protocol) if len(graphs) > 1 and self.nursery is None else nullcontext():
            for graph in graphs:
                results.append(self._measure_one(graph, protocol, batch_size))
                if on_result is not None:
                    on_result(results[-1])
        return results

    @contextmanager
    def nursed(self, protocol: TimingProtocol | None = None) -> Iterator[None]:
        """Fork measuring processes from an interpreter that has imported the engine: starting and importing is half of a short measurement.

        :meth:`measure` does so by itself for several networks; a caller that measures them one by one may.
        """
        environment = self.environment(self._n_threads(protocol or TimingProtocol()))
        try:
            with Nursery(("onnxruntime", self.module, *self.imports, type(self).__module__), environment) as self.nursery:
                yield
        finally:
            self.nursery = None

    def profile(self, graph: ModelGraph, batch_size: int = 1) -> list[OperatorTime]:
        if not self.has_profiler:
            return super().profile(graph, batch_size)
        self._check_installed()
        protocol = replace(TimingProtocol(), n_threads=self._n_threads(TimingProtocol()))
        answer = self._run_job("profile", graph, protocol, batch_size)
        if isinstance(answer, ChildFailure):
            raise MeasurementError(f"expected {self.platform} to run the network, got ({answer.stage}) {answer.reason}")
        return sorted((OperatorTime(*fields) for fields in answer), key=lambda one: -one.time_ms)

    def _measure_one(self, graph: ModelGraph, protocol: TimingProtocol, batch_size: int) -> Measurement | MeasurementFailure:
        begin = time.perf_counter()
        answer = self._run_job("time", graph, protocol, batch_size)
        taken: dict[str, Any] = {"graph_key": graph.key, "platform": self.platform, "batch_size": batch_size}
        taken |= {"host": self.host, "taken_at": datetime.now(UTC)}
        if isinstance(answer, ChildFailure):
            return MeasurementFailure(**taken, stage=answer.stage, reason=answer.reason)
        times = combine(answer["passes"], protocol)
        facts = {name: times[name] for name in times if name not in ("median_ms", "low_ms", "high_ms", "std_ms", "n_runs")}
        facts |= {
            "n_threads": protocol.n_threads,
            "os": host_facts()["os"],
            **answer["facts"],
            "spent_s": round(time.perf_counter() - begin, 3),
        }
        return Measurement(
            **taken,
            latency_ms=times["median_ms"],
            interval_ms=(times["low_ms"], times["high_ms"]),
            std_ms=times["std_ms"],
            n_runs=times["n_runs"],
            source=Source.MEASURED,
            facts=facts,
        )

    def _run_job(self, task: str, graph: ModelGraph, protocol: TimingProtocol, batch_size: int) -> Any:
        with ExitStack() as held:
            artefacts = self.artefacts or held.enter_context(Artefacts())
            folder = artefacts.folder(graph.key, batch_size)
            failure = made_once(folder, MODEL, lambda: self._convert(graph, batch_size, folder))
            if failure is not None:
                return failure
            cores = held.enter_context(leased_cores(protocol.n_threads, self.cores))
            rewrites = needed_rewrites(self.rewrites, {operator.op_type for operator in graph.operators})
            return self._run_child(task, folder, self._job(graph, protocol, batch_size, cores), protocol, rewrites)

    def _run_child(self, task: str, folder: Path, job: dict[str, Any], protocol: TimingProtocol, rewrites: Sequence[str]) -> Any:
        passes: list[Any] = []
        until_s: float | None = None

        def run(name: str, /, **fields: Any) -> Any:
            pass_s = None if until_s is None else (until_s - time.monotonic()) / max(protocol.n_passes - len(passes), 1)
            job_of = {**job, **fields, "task": name, "quiet_ns": MACHINE.quiet_ns, "pass_s": pass_s}
            return run_isolated(folder, job_of, protocol.time_limit_s, self.environment(protocol.n_threads), self.nursery)

        # Where ONNX Runtime itself cannot run the network there is no reference, and the facts tell of no agreement.
        made_once(folder, REFERENCE, lambda: run("refer"))
        if protocol.patience_s is not None:
            until_s = time.monotonic() + protocol.patience_s
        pipeline = Pipeline(folder, MODEL, self.artefact if self.compiles else None, rewrites, run)
        while not has_agreement(passes, protocol):
            if passes and until_s is not None and time.monotonic() >= until_s:
                break
            answer = pipeline.perform(task)
            if isinstance(answer, ChildFailure) or task != "time":
                return answer
            passes.append(answer["times"])
            MACHINE.learn(answer["quiet_ns"])
        facts = {**answer["facts"], "quiet_us": None if MACHINE.quiet_ns is None else round(MACHINE.quiet_ns / 1e3, 2)}
        return {"facts": facts, "passes": passes}

    def _convert(self, graph: ModelGraph, batch_size: int, folder: Path) -> ChildFailure | None:
        from ..graphs import write_onnx

        try:
            write_onnx(folder / MODEL, graph, batch_size, _SEED)
        except Exception as error:  # whatever a strange graph provokes is that graph's result
            return ChildFailure("convert", f"{type(error).__name__}: {' '.join(str(error).split())}"[:500])
        return None

    def _job(self, graph: ModelGraph, protocol: TimingProtocol, batch_size: int, cores: Sequence[int]) -> dict[str, Any]:
        return {
            "model": MODEL,
            "engine": f"{type(self).__module__}:{type(self).__qualname__}",
            "settings": self.settings(protocol.n_threads),
            "indivisible_reason": self.indivisible_reason(),
            "protocol": asdict(protocol),
            "input_shapes": [[batch_size * shape[0], *shape[1:]] for shape in graph.input_shapes],
            "seed": _SEED,
            "cores": list(cores),
            "memory_limit_bytes": self.memory_limit_bytes,
            "is_retrying": protocol.n_threads == 1 and self.platform.hardware.split("-")[0] == "cpu",
        }

    def _n_threads(self, protocol: TimingProtocol) -> int:
        tokens = [token for token in self.platform.variant.split("-") if _is_thread_count(token)]
        return int(tokens[0][:-1]) if tokens else protocol.n_threads

    @classmethod
    def _offers(cls, platform: Platform) -> bool:
        """True for a known platform, whatever its number of threads."""
        known = {_without_threads(one) for one in cls.known_platforms()}
        return _without_threads(platform) in known

    def _check_installed(self) -> None:
        if importlib.util.find_spec(self.module) is None:
            raise MissingExtraError.for_extra(self.package, self.software)
        reason = self.unavailable_reason()
        if reason is not None:
            raise MeasurementError(f"expected {self.platform} to be available here, got: {reason}")


def _is_thread_count(token: str) -> bool:
    return token.endswith("t") and token[:-1].isdigit() and int(token[:-1]) > 0


def _without_threads(platform: Platform) -> Platform:
    return replace(platform, variant="-".join(token for token in platform.variant.split("-") if not _is_thread_count(token)))
