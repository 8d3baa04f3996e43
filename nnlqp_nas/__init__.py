"""nnlqp-nas: how long does this network take on that platform?

>>> import nnlqp_nas
>>> space = nnlqp_nas.load_space("nasbench201")
>>> oracle = nnlqp_nas.load_oracle("cpu-onnxruntime-fp32")
>>> answers = oracle.query([space.sample(rng) for _ in range(1000)])
>>> answers[0].latency_ms, answers[0].interval_ms, answers[0].source

Every name is imported when it is first used, so that ``import nnlqp_nas`` is light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import known_platforms, load_oracle, load_predictor, load_space, open_database, resolve_platform
    from .core import Architecture, Measurement, MeasurementFailure, ModelGraph, NnlqpError, Platform, Source, TimingProtocol

_API = ("known_platforms", "load_oracle", "load_predictor", "load_space", "open_database", "resolve_platform")
_CORE = ("Architecture", "Measurement", "MeasurementFailure", "ModelGraph", "NnlqpError", "Platform", "Source", "TimingProtocol")

__all__ = [
    "Architecture",
    "Measurement",
    "MeasurementFailure",
    "ModelGraph",
    "NnlqpError",
    "Platform",
    "Source",
    "TimingProtocol",
    "known_platforms",
    "load_oracle",
    "load_predictor",
    "load_space",
    "open_database",
    "resolve_platform",
]


def __getattr__(name: str) -> Any:
    if name in _API:
        return getattr(import_module(".api", __name__), name)
    if name in _CORE:
        return getattr(import_module(".core", __name__), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
