from __future__ import annotations

import numpy as np

from nnlqp_nas.search_spaces.fbnet import FbNet
from nnlqp_nas.transfer import FeatureGroup, describe_graphs

GROUP = FeatureGroup(("a", "b", "c"), np.array([[1.0, 2.0, 3.0], [4.0, 0.0, 6.0]]))


def test_values_are_found_by_their_columns_and_what_is_left_out_is_told() -> None:
    values, rest = GROUP.aligned(("c", "new", "a"))
    np.testing.assert_array_equal(values, [[3.0, 0.0, 1.0], [6.0, 0.0, 4.0]])
    np.testing.assert_array_equal(rest, [4.0, 0.0])


def test_the_same_columns_stay_as_they_are() -> None:
    values, rest = GROUP.aligned(GROUP.columns)
    np.testing.assert_array_equal(values, GROUP.values)
    np.testing.assert_array_equal(rest, [0.0, 0.0])


def test_columns_of_zeros_go() -> None:
    assert GROUP.take([1]).without_zeros().columns == ("a", "c")


def test_shares_of_a_network_add_up_to_one_whatever_the_batch_size() -> None:
    space, rng = FbNet(), np.random.default_rng(0)
    graphs = [space.graph(space.sample(rng)) for _ in range(5)]
    for batch_size in (1, 32):
        features = describe_graphs(graphs, batch_size)
        for name in ("kinds", "operators", "operator_flops", "operator_bytes"):
            np.testing.assert_allclose(features[name].values.sum(1), 1.0)
        np.testing.assert_allclose(features["kind_work"].values.sum(1), 2.0)


def test_a_network_is_described_alike_alone_and_among_others() -> None:
    space, rng = FbNet(), np.random.default_rng(1)
    graphs = [space.graph(space.sample(rng)) for _ in range(4)]
    together, alone = describe_graphs(graphs), describe_graphs(graphs[2:3])
    for name, group in alone.items():
        values, rest = together[name].aligned(group.columns)
        np.testing.assert_allclose(values[2], group.values[0])
        assert rest[2] < 1e-12
