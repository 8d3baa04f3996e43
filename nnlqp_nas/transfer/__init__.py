"""Few-shot adaptation: learning a platform from few measurements, and choosing what to measure."""

from .describing import DescribingPredictor
from .evidence_gp import EvidenceGp
from .feature_group import FeatureGroup, Features, take
from .few_shot import COVERAGE, OWN, FewShotModel, source_features
from .graph_features import VARIANTS, GraphWork, describe_graphs
from .sample_report import Refit, SampleReport
from .support_set import choose_rows, select_support_set
from .typical_times import TypicalTimes
from .variant_factors import VariantFactors
from .variant_spread import VariantSpread

__all__ = [
    "COVERAGE",
    "OWN",
    "VARIANTS",
    "DescribingPredictor",
    "EvidenceGp",
    "FeatureGroup",
    "Features",
    "FewShotModel",
    "GraphWork",
    "Refit",
    "SampleReport",
    "TypicalTimes",
    "VariantFactors",
    "VariantSpread",
    "choose_rows",
    "describe_graphs",
    "select_support_set",
    "source_features",
    "take",
]
