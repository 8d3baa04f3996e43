"""The latency of an oracle as a profiler of NNI."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from nni.nas.nn.pytorch import ModelSpace
from nni.nas.profiler import Profiler

from ...core import InvalidSettingError, LatencyOracle, Measurement, MeasurementFailure, ModelGraph
from .frozen import export_graph
from .mapped_space import map_space, require_shape
from .nni_space import has_plain_choices

End = Literal["high", "predicted"]


class LatencyProfiler(Profiler):  # type: ignore[misc]  # of any type, as all of NNI
    """Tells how long the members of an NNI model space take, from any oracle of this project.

    Samples are mapped to graphs directly where the space can be (:func:`map_space`); any other
    space is exported, a fraction of a second a sample. Each network is asked about once.

    >>> profiler = LatencyProfiler(MobileNetV3Space(), nnlqp_nas.load_oracle("cpu-onnxruntime-fp32"))
    >>> profiler.profile(sample)    # milliseconds

    Args:
        model_space: The space whose samples are profiled.
        oracle: Tells latencies.
        batch_size: Inputs per run.
        input_shape: (C, H, W) of the networks' input; None where NNI's hub says it.
        end: What :meth:`profile` returns: the upper end of the interval, for budgets that are to
            hold, or the prediction itself.

    Raises:
        InvalidSettingError: If nothing says the shape of the input, or ``end`` is none of these.
    """

    def __init__(
        self,
        model_space: ModelSpace,
        oracle: LatencyOracle,
        batch_size: int = 1,
        input_shape: Sequence[int] | None = None,
        end: End = "high",
    ) -> None:
        super().__init__(model_space)
        if end not in get_args(End):
            raise InvalidSettingError(f"expected end to be one of {', '.join(get_args(End))}, got '{end}'")
        self.oracle = oracle
        self.batch_size = batch_size
        self.end = end
        self._model_space = model_space
        self._mapped = map_space(model_space, input_shape) if has_plain_choices(model_space) else None
        self._input_shape = () if self._mapped else require_shape(model_space, input_shape)
        self._graph_keys: dict[str, str] = {}
        self._answers: dict[str, Measurement | MeasurementFailure] = {}

    def profile(self, sample: Mapping[str, Any]) -> float:
        """Return the latency of a sample in milliseconds for the whole batch; infinity where it cannot be told."""
        return self.profile_many([sample])[0]

    def profile_many(self, samples: Sequence[Mapping[str, Any]]) -> list[float]:
        """Return the latencies of n samples, in their order: one query of the oracle for those not asked before."""
        return [self._read(answer) for answer in self.measure_many(samples)]

    def measure_many(self, samples: Sequence[Mapping[str, Any]]) -> list[Measurement | MeasurementFailure]:
        """Return what the oracle says of n samples: intervals, sources, reasons."""
        new: dict[str, ModelGraph] = {}
        names = [_name(sample) for sample in samples]
        for name, sample in zip(names, samples, strict=True):
            if name not in self._graph_keys:
                graph = self.graph(sample)
                self._graph_keys[name] = graph.key
                if graph.key not in self._answers:
                    new[graph.key] = graph
        if new:
            self._answers |= zip(new, self.oracle.query(list(new.values()), self.batch_size), strict=True)
        return [self._answers[self._graph_keys[name]] for name in names]

    def graph(self, sample: Mapping[str, Any]) -> ModelGraph:
        """Return the graph of a sample, in the view that the oracle's platform executes."""
        view = self.oracle.platform.view
        if self._mapped is None:
            return export_graph(self._model_space, sample, self._input_shape, view)
        return self._mapped.space.graph(self._mapped.to_architecture(sample), view)

    def _read(self, answer: Measurement | MeasurementFailure) -> float:
        if isinstance(answer, MeasurementFailure):
            return math.inf
        return answer.interval_ms[1] if self.end == "high" and answer.interval_ms else answer.latency_ms


def _name(sample: Mapping[str, Any]) -> str:
    return repr(sorted(sample.items()))
