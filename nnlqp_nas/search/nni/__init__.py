"""NNI 3.0 under a latency budget: its model spaces priced by an oracle, its strategies held to a budget.

The package of NNI is imported when one of these names is first used; ``pip install 'nnlqp-nas[nni]'`` brings it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .installed import require_nni

if TYPE_CHECKING:
    from .architecture_model import ArchitectureModel, as_model_space
    from .budget import keep_within_budget, within_budget
    from .hpo import as_hpo_search_space, constrained_metric, read_hpo_parameters
    from .latency_profiler import LatencyProfiler
    from .mapped_space import MappedSpace, map_space
    from .module_writer import Choices, write_module
    from .multi_trial import KeptModel, run_strategy
    from .nni_space import NniSpace
    from .quality_evaluator import QualityEvaluator

_HOMES = {
    "ArchitectureModel": "architecture_model",
    "Choices": "module_writer",
    "KeptModel": "multi_trial",
    "LatencyProfiler": "latency_profiler",
    "MappedSpace": "mapped_space",
    "NniSpace": "nni_space",
    "QualityEvaluator": "quality_evaluator",
    "as_hpo_search_space": "hpo",
    "as_model_space": "architecture_model",
    "constrained_metric": "hpo",
    "keep_within_budget": "budget",
    "map_space": "mapped_space",
    "read_hpo_parameters": "hpo",
    "run_strategy": "multi_trial",
    "within_budget": "budget",
    "write_module": "module_writer",
}

__all__ = [
    "ArchitectureModel",
    "Choices",
    "KeptModel",
    "LatencyProfiler",
    "MappedSpace",
    "NniSpace",
    "QualityEvaluator",
    "as_hpo_search_space",
    "as_model_space",
    "constrained_metric",
    "keep_within_budget",
    "map_space",
    "read_hpo_parameters",
    "run_strategy",
    "within_budget",
    "write_module",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    require_nni()
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
