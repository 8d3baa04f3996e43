"""Splits by network: nothing that is tested, validated or calibrated on was trained on, in whichever view."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnlqp_nas.core import InvalidSettingError
from nnlqp_nas.training import SplitRule, TrainingData
from nnlqp_nas.training.split import PARTS
from nnlqp_nas.training.training_data import MeasuredNetwork

from .conftest import ENGINE, draw_networks, optimised_keys


def networks_of(split, part):
    return optimised_keys([graph for table in getattr(split, part) for graph in table.graphs])


@settings(max_examples=15, deadline=None)
@given(test=st.floats(0.1, 0.6), validation=st.floats(0.1, 0.4), calibration=st.floats(0.1, 0.4), seed=st.integers(0, 99))
def test_no_network_is_in_two_parts_and_none_is_lost(data, test, validation, calibration, seed):
    split = SplitRule(test, validation, calibration, seed).split(data)
    parts = [networks_of(split, part) for part in PARTS]
    assert all(one.isdisjoint(other) for one, other in combinations(parts, 2))
    assert sum(len(table) for part in PARTS for table in getattr(split, part)) == sum(map(len, data.tables))


def test_every_domain_gives_its_share_to_the_test(data):
    split = SplitRule(0.25, 0.2, 0.2).split(data)
    for part, share in (("test", 0.25), ("validation", 0.15), ("calibration", 0.15), ("train", 0.45)):
        for domain in ("family0", "family1", "family2"):
            own = sum(len(table) for table in getattr(split, part) if table.domain == domain)
            every = sum(len(table) for table in data.tables if table.domain == domain)
            assert own / every == pytest.approx(share, abs=0.12)


def test_the_same_seed_splits_the_same_and_another_does_not(data):
    one, same, other = (networks_of(SplitRule(seed=seed).split(data), "test") for seed in (1, 1, 2))
    assert one == same != other


def test_folds_test_on_every_network_once(data):
    rule = SplitRule(n_folds=4)
    tested = [networks_of(rule.split(data, fold), "test") for fold in range(4)]
    assert all(one.isdisjoint(other) for one, other in combinations(tested, 2))
    assert set.union(*tested) == set(data.identity.values())
    assert max(map(len, tested)) - min(map(len, tested)) <= 2


def test_what_the_data_keeps_for_testing_is_the_test(networks):
    kept = [one for one in networks if one.platform == ENGINE][:7]
    data = TrainingData.of("formula", networks, [one.graph.key for one in kept])
    split = SplitRule(0.5).split(data)
    assert networks_of(split, "test") == optimised_keys([one.graph for one in kept])
    tested = {str(table.platform) for table in split.test}
    assert tested == {"cpu-formula-fp32", "gpu-formula-torch-fp32"}  # on the other platform too, where it runs as written


def test_repeated_measurements_count_with_their_median(networks):
    graph = networks[0].graph
    again = [MeasuredNetwork(graph, ENGINE, 1, latency_ms, "a") for latency_ms in (1.0, 5.0, 2.0)]
    (table,) = TrainingData.of("formula", again).tables
    assert table.latency_ms.tolist() == [2.0]


def test_the_digest_tells_other_data(networks, data):
    assert TrainingData.of("elsewhere", networks[::-1]).digest == data.digest
    assert TrainingData.of("formula", networks[:-1]).digest != data.digest


def test_shares_that_leave_a_part_empty_are_refused():
    for wrong in ({"test_share": 0.0}, {"test_share": 1.0}, {"n_folds": 0}, {"validation_share": 0.6, "calibration_share": 0.4}):
        with pytest.raises(InvalidSettingError, match="expected"):
            SplitRule(**wrong)
    with pytest.raises(InvalidSettingError, match="measure more"):
        SplitRule().split(TrainingData.of("formula", draw_networks(2)))
    with pytest.raises(InvalidSettingError, match="got none"):
        TrainingData.of("formula", [])
