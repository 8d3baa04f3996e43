"""What a search maximises: the shipped accuracy surrogate, or the user's own function."""

from .callable_quality import CallableQuality
from .quality import Quality
from .surrogate import AccuracySurrogate

__all__ = ["AccuracySurrogate", "CallableQuality", "Quality"]
