"""What a search maximises: shipped surrogates, tables, zero-cost proxies, training, or the user's own function."""

from .callable_quality import CallableQuality
from .nats_bench import NatsBenchTss
from .quality import Quality
from .surrogate import AccuracySurrogate
from .table import TableQuality
from .trained_accuracy import TrainedAccuracy
from .zero_cost import ZeroCostProxy

__all__ = ["AccuracySurrogate", "CallableQuality", "NatsBenchTss", "Quality", "TableQuality", "TrainedAccuracy", "ZeroCostProxy"]
