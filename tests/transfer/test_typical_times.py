from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.core import Architecture, GraphView
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.transfer import GraphWork, TypicalTimes

from .slow_operator import SLOW, draw, log_ms

TIMES, OPERATOR_TIMES = "times", "operator_times"


@pytest.fixture(scope="module")
def work() -> GraphWork:
    return GraphWork.of(draw(150, 0))


@pytest.fixture(scope="module")
def times(work: GraphWork) -> TypicalTimes:
    return TypicalTimes.learn(work, np.stack([log_ms(work, factor) for factor in (1.0, 2.0, 4.0)], axis=1))


def test_shares_of_time_tell_what_a_slower_operator_costs(work: GraphWork, times: TypicalTimes) -> None:
    found = times.features(work)
    share = found[TIMES].values[:, found[TIMES].columns.index(SLOW)]
    grown = log_ms(work, 2.6) - log_ms(work, 2.5)
    assert np.corrcoef(share, grown)[0, 1] > 0.98
    np.testing.assert_allclose(found[OPERATOR_TIMES].values.sum(1), 1.0)
    assert len(found[TIMES]) == len(work)


def test_platforms_differ_in_the_operator_that_they_differ_in(times: TypicalTimes) -> None:
    scale = dict(zip(times.variants, times.spread.scale.tolist(), strict=True))
    assert scale[SLOW] == max(scale.values())


def test_networks_of_a_space_that_was_never_seen_have_shares_too(times: TypicalTimes) -> None:
    space, rng = NasBench201(), np.random.default_rng(0)
    strange = GraphWork.of([space.graph(space.sample(rng)) for _ in range(5)])
    found = times.features(strange)
    np.testing.assert_allclose(found[OPERATOR_TIMES].values.sum(1), 1.0)
    assert np.all(found[TIMES].values >= 0.0)


def test_some_of_the_networks_have_the_features_of_all(work: GraphWork, times: TypicalTimes) -> None:
    rows = np.array([3, 40])
    for name, group in times.features(work.take(rows)).items():
        np.testing.assert_allclose(group.values, times.features(work)[name].values[rows])


def test_networks_that_compute_nothing_take_no_time_of_any_operator(times: TypicalTimes) -> None:
    nothing = GraphWork.of([NasBench201().graph(Architecture("nasbench201", (0, 1, 1, 0, 4, 0)), GraphView.OPTIMISED)])
    for group in times.features(nothing).values():
        assert not group.values.any()
