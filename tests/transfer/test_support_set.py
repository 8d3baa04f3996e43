from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.core import InvalidSettingError, ModelGraph
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.transfer import select_support_set


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
    n_distinct = len({graph.key for graph in candidates})
    assert len(select_support_set(candidates, n_distinct)) == n_distinct
    for wrong in (0, n_distinct + 1):
        with pytest.raises(InvalidSettingError, match="distinct candidates"):
            select_support_set(candidates, wrong)


def test_the_choice_spans_the_candidates(candidates: list[ModelGraph]) -> None:
    flops = np.array([graph_cost(graph).flops for graph in candidates], dtype=float)
    chosen = flops[select_support_set(candidates, 20)]
    assert chosen.min() <= np.quantile(flops, 0.2)
    assert chosen.max() >= np.quantile(flops, 0.8)
