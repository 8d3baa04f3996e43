"""What a search maximises: shipped surrogates, tables, zero-cost proxies, training, or the user's own function."""

from .callable_quality import CallableQuality
from .nats_bench import NatsBenchTss
from .quality import Quality
from .surrogate import AccuracySurrogate
from .table import TableQuality

__all__ = ["AccuracySurrogate", "CallableQuality", "NatsBenchTss", "Quality", "TableQuality"]
