"""Predictors that say by what they compare networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ..core import ModelGraph, Platform
from .feature_group import FeatureGroup


@runtime_checkable
class DescribingPredictor(Protocol):
    """A predictor that learns platforms as a :class:`FewShotModel` of features it can state."""

    def transfer_features(self, graphs: Sequence[ModelGraph], platform: Platform, batch_size: int = 1) -> dict[str, FeatureGroup]:
        """Return the features of n networks; they depend on nothing measured on ``platform``."""
        ...
