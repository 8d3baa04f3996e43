"""Which networks to measure on a new platform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

import numpy as np

from ..core import INPUT, Architecture, GraphView, InvalidSettingError, ModelGraph, SearchSpace
from .evidence_gp import CONSTANT
from .feature_group import FeatureGroup, Features, Matrix
from .few_shot import CONTRAST, LEVEL
from .graph_features import KIND_WORK, KINDS, OPERATOR_BYTES, OPERATOR_FLOPS, OPERATORS, TOTAL, VARIANTS, describe_graphs
from .typical_times import KIND_TIMES, OPERATOR_TIMES, TIMES

DESIGN = {
    LEVEL: 0.7,
    CONTRAST: 0.9,
    TOTAL: 0.2,
    KINDS: 0.2,
    KIND_WORK: 0.1,
    VARIANTS: 0.3,
    TIMES: 1.0,
    KIND_TIMES: 0.3,
    OPERATOR_TIMES: 0.3,
    OPERATORS: 0.15,
    OPERATOR_FLOPS: 0.1,
    OPERATOR_BYTES: 0.1,
    CONSTANT: 0.05,
}
"""Amplitudes that samples are chosen with: larger ones of the operators than are likely, for a choice that does not trust the sources."""
DESIGN_NOISE = 0.1
N_CANDIDATES = 1000

Describe = Callable[[Sequence[ModelGraph]], Features]


@overload
def select_support_set(candidates: Sequence[ModelGraph], n: int, seed: int = 0, *, describe: Describe = describe_graphs) -> list[int]: ...


@overload
def select_support_set(
    candidates: SearchSpace, n: int, seed: int = 0, *, describe: Describe = describe_graphs, view: GraphView = GraphView.OPTIMISED
) -> list[Architecture]: ...


def select_support_set(
    candidates: Sequence[ModelGraph] | SearchSpace,
    n: int,
    seed: int = 0,
    *,
    describe: Describe = describe_graphs,
    view: GraphView = GraphView.OPTIMISED,
) -> list[int] | list[Architecture]:
    """Choose ``n`` distinct networks whose latencies would tell most about those of all candidates.

    Under a Gaussian process over features of the graphs, each next network is the one that
    reduces the variance of all candidates' latencies most, which depends on nothing that has to
    be measured (active learning of Cohn, Journal of Artificial Intelligence Research 1996).

    Args:
        candidates: Networks, or a space to draw from; equal graphs count once, and a network whose
            output does not depend on its input is not a candidate.
        n: Number to choose.
        seed: Seed of the drawing, and of which candidates are looked at where there are very many.
        describe: Features of networks; those of a predictor know its source platforms too.
        view: Which graph of an architecture is meant.

    Returns:
        ``n`` positions among the candidates, ascending; or ``n`` members of the space.

    Raises:
        InvalidSettingError: If there are fewer than ``n`` distinct candidates.
    """
    if isinstance(candidates, SearchSpace):
        rng = np.random.default_rng(seed)
        members = [candidates.sample(rng) for _ in range(N_CANDIDATES)]
        return [members[i] for i in _select([candidates.graph(member, view) for member in members], n, seed, describe)]
    return _select(candidates, n, seed, describe)


def choose_rows(features: Features, n: int) -> list[int]:
    """Return ``n`` rows of the features, in the order in which they were chosen."""
    groups = {name: group for name, group in features.items() if name in DESIGN}
    n_candidates = len(next(iter(groups.values())))
    covariance = np.full((n_candidates, n_candidates), DESIGN[CONSTANT] ** 2)
    for name, group in groups.items():
        covariance += DESIGN[name] ** 2 * _centred_product(group)
    chosen: list[int] = []
    for _ in range(n):
        own = np.diag(covariance)
        gain = np.einsum("ij,ij->j", covariance, covariance) / (own + DESIGN_NOISE**2)
        gain[chosen] = -1.0
        best = int(gain.argmax())
        chosen.append(best)
        column = covariance[:, best] / np.sqrt(own[best] + DESIGN_NOISE**2)
        covariance -= column[:, None] * column
    return chosen


def _select(graphs: Sequence[ModelGraph], n: int, seed: int, describe: Describe) -> list[int]:
    place = {graph.key: i for i, graph in reversed(list(enumerate(graphs))) if _depends_on_input(graph)}
    distinct = np.array(sorted(place.values()), dtype=np.int64)
    if not 1 <= n <= len(distinct):
        raise InvalidSettingError(f"expected 1 to {len(distinct)} samples of {len(distinct)} distinct candidates, got {n}")
    looked_at = np.sort(np.random.default_rng(seed).permutation(distinct)[: max(N_CANDIDATES, n)])
    return sorted(int(looked_at[i]) for i in choose_rows(describe([graphs[i] for i in looked_at]), n))


def _centred_product(group: FeatureGroup) -> Matrix:
    centred = group.values - group.values.mean(0)
    return np.asarray(centred @ centred.T, dtype=np.float64)


def _depends_on_input(graph: ModelGraph) -> bool:
    depends: list[bool] = []
    for operator, sources in zip(graph.operators, graph.sources, strict=True):
        depends.append(operator.op_type == INPUT or any(depends[source] for source in sources))
    return any(depends[node] for node in graph.outputs)
