"""Contract test classes that every plug-in inherits, and small true implementations to test against.

The contracts need pytest; the implementations need nothing. Each name is imported when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "ConstantPredictor": "constant_predictor",
    "FamilyContract": "family_contract",
    "InstantBackend": "instant_backend",
    "LatencyDatabaseContract": "database_contract",
    "LatencyOracleContract": "oracle_contract",
    "LatencyPredictorContract": "predictor_contract",
    "MeasurementBackendContract": "backend_contract",
    "SearchSpaceContract": "search_space_contract",
    "TrainingRunContract": "training_contract",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
