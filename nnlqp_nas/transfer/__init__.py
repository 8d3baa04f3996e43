"""Few-shot adaptation: learning a platform from few measurements, and choosing what to measure."""

from .evidence_gp import EvidenceGp
from .support_set import select_support_set

__all__ = ["EvidenceGp", "select_support_set"]
