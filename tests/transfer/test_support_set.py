from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.core import InvalidSettingError, ModelGraph
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.transfer import FewShotModel, describe_graphs, select_support_set, take

CONSTANT = NasBench201().graph(NasBench201().architecture(*["none"] * 6))


@pytest.fixture(scope="module")
def candidates() -> list[ModelGraph]:
    space, rng = NasBench201(), np.random.default_rng(0)
    return [space.graph(space.sample(rng)) for _ in range(200)]


@pytest.mark.parametrize("n", [1, 5, 20])
def test_distinct_networks_and_the_same_ones_for_the_same_seed(candidates: list[ModelGraph], n: int) -> None:
    chosen = select_support_set(candidates, n, seed=1)
    assert chosen == select_support_set(candidates, n, seed=1) == sorted(set(chosen))
    assert len({candidates[i].key for i in chosen}) == n


def test_all_distinct_candidates_can_be_chosen_and_no_more(candidates: list[ModelGraph]) -> None:
    n_distinct = len({graph.key for graph in candidates} - {CONSTANT.key})
    assert len(select_support_set(candidates, n_distinct)) == n_distinct
    for wrong in (0, n_distinct + 1):
        with pytest.raises(InvalidSettingError, match="distinct candidates"):
            select_support_set(candidates, wrong)


def test_the_choice_spans_the_candidates(candidates: list[ModelGraph]) -> None:
    flops = np.array([graph_cost(graph).flops for graph in candidates], dtype=float)
    chosen = flops[select_support_set(candidates, 20)]
    assert chosen.min() <= np.quantile(flops, 0.2)
    assert chosen.max() >= np.quantile(flops, 0.8)


def test_a_network_that_ignores_its_input_is_not_chosen(candidates: list[ModelGraph]) -> None:
    few = [CONSTANT, *[graph for graph in candidates if graph.key != CONSTANT.key][:3]]
    assert select_support_set(few, 3) == [1, 2, 3]


def test_members_of_a_space_are_drawn_and_chosen() -> None:
    space = NasBench201()
    chosen = select_support_set(space, 8, seed=2)
    assert chosen == select_support_set(space, 8, seed=2) != select_support_set(space, 8, seed=3)
    assert len({space.graph(member).key for member in chosen}) == 8


def test_the_choice_says_more_than_a_random_one(candidates: list[ModelGraph]) -> None:
    """By how far a linear fit to operator counts is from the truth on a device that sums over operators."""
    distinct = list({graph.key: graph for graph in candidates if graph.key != CONSTANT.key}.values())
    features = describe_graphs(distinct)
    log_ms = features["total"].values[:, 1] * 0.7 + features["kinds"].values @ np.linspace(-1.0, 1.0, len(features["kinds"].columns))
    chosen = select_support_set(distinct, 10)
    drawn = [np.random.default_rng(seed).permutation(len(distinct))[:10] for seed in range(5)]
    errors = []
    for support in (chosen, *drawn):
        mean, _ = FewShotModel.fit(take(features, support), np.exp(log_ms[support]), is_calibrated=False).predict(features)
        errors.append(float(np.sqrt(np.mean((mean - log_ms) ** 2))))
    assert errors[0] < np.median(errors[1:])
