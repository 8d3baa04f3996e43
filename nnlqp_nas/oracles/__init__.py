"""Latency oracles: predicted, measured, cached, cascade; each wraps what it adds to."""

from .cached import CachedOracle
from .cascade import CascadeOracle
from .deferred import DeferredOracle
from .lowering import LoweringOracle
from .measured import MeasuredOracle
from .predicted import PredictedOracle

__all__ = ["CachedOracle", "CascadeOracle", "DeferredOracle", "LoweringOracle", "MeasuredOracle", "PredictedOracle"]
