"""Search spaces in NNI's experiments of hyper-parameters, whose trials ask ``nni.get_next_parameter()``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core import Architecture, InvalidSettingError, SearchSpace


def as_hpo_search_space(space: SearchSpace) -> dict[str, dict[str, Any]]:
    """Return a search space in the notation of NNI's ``experiment.config.search_space``."""
    return {parameter.name: {"_type": "choice", "_value": list(parameter.choices)} for parameter in space.parameters}


def read_hpo_parameters(space: SearchSpace, parameters: Mapping[str, Any]) -> Architecture:
    """Return the architecture that ``nni.get_next_parameter()`` names.

    Raises:
        InvalidSettingError: If a choice is missing or none of those offered.
    """
    missing = [parameter.name for parameter in space.parameters if parameter.name not in parameters]
    if missing:
        raise InvalidSettingError(f"expected a choice for each of {', '.join(missing)}, got {dict(parameters)}")
    return space.architecture(*(parameters[parameter.name] for parameter in space.parameters))


def constrained_metric(accuracy: float | None, latency_ms: float, budget_ms: float) -> float:
    """Return what a trial reports to a tuner that knows no constraints and maximises.

    By Deb's rule (Computer Methods in Applied Mechanics and Engineering 186, 2000, section 3): what
    is within the budget counts by its accuracy, and everything above it is worse, the more so the
    slower it is. An accuracy is at least 0.

    Args:
        accuracy: Of a network within the budget; None for one above it, which need not be evaluated.
        latency_ms: Of the network.
        budget_ms: Largest latency allowed.
    """
    if accuracy is None or latency_ms > budget_ms:
        return 1.0 - max(1.0, latency_ms / budget_ms)
    return accuracy
