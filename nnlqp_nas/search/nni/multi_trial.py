"""A search of NNI's in this process: no file, no port, no manager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nni.nas.evaluator import Evaluator
from nni.nas.execution import SequentialExecutionEngine
from nni.nas.nn.pytorch import ModelSpace
from nni.nas.space import ModelStatus, SimplifiedModelSpace
from nni.nas.strategy import Strategy

from ...core import InvalidSettingError
from .budget import keep_within_budget
from .latency_profiler import LatencyProfiler


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A model that a search evaluated.

    Attributes:
        sample: NNI's sample.
        metric: What its evaluation reported.
        latency_ms: What the profiler told, milliseconds for the whole batch.
    """

    sample: Mapping[str, Any]
    metric: float
    latency_ms: float


def run_strategy(
    strategy: Strategy,
    model_space: ModelSpace,
    evaluator: Evaluator,
    profiler: LatencyProfiler,
    budget_ms: float,
    n_models: int = 50,
    patience: int = 1000,
) -> list[KeptModel]:
    """Search a model space under a latency budget and return the models evaluated, the best first.

    Args:
        strategy: A multi-trial strategy that maximises; an object runs once.
        model_space: What is searched.
        evaluator: Reports the metric of a model.
        profiler: Tells latencies of samples of ``model_space``.
        budget_ms: Largest latency allowed.
        n_models: Models to evaluate; those above the budget do not count.
        patience: The search ends when so many models in a row were above the budget.

    Raises:
        InvalidSettingError: If no model was within the budget.
    """
    engine = SequentialExecutionEngine(max_model_count=n_models)
    keep_within_budget(strategy, profiler, budget_ms, patience)(SimplifiedModelSpace.from_model(model_space, evaluator), engine)
    trained = list(engine.list_models(ModelStatus.Trained))
    if not trained:
        raise InvalidSettingError(
            f"expected a budget that a model of {type(model_space).__name__} meets on {profiler.oracle.platform}, got {budget_ms:g} ms: "
            f"{patience} in a row were above it; raise budget_ms"
        )
    latencies_ms = profiler.profile_many([model.sample for model in trained])
    kept = [KeptModel(model.sample, float(model.metric), ms) for model, ms in zip(trained, latencies_ms, strict=True)]
    return sorted(kept, key=lambda model: -model.metric)
