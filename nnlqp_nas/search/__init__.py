"""Latency-constrained search: the problem, Optuna's samplers on it, verification, the outcome."""

from .budget import Budget, CostBudget, LatencyBudget
from .candidate import Candidate
from .optuna_search import OptunaSearch
from .outcome import Finding, SearchOutcome
from .problem import SearchProblem
from .refine import Refined, RefiningSearch

__all__ = [
    "Budget",
    "Candidate",
    "CostBudget",
    "Finding",
    "LatencyBudget",
    "OptunaSearch",
    "Refined",
    "RefiningSearch",
    "SearchOutcome",
    "SearchProblem",
]
