"""The contract test that every model family inherits."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest

from ..core import Architecture, GraphView, InvalidSettingError
from ..graphs import Family, graph_cost
from .search_space_contract import SearchSpaceContract

N_DISTINCT = 500


class FamilyContract(SearchSpaceContract):
    """Tests the guarantees of :class:`nnlqp_nas.graphs.Family`; a subclass gives ``space`` and ``published_cost``.

    >>> class TestMyFamily(FamilyContract):
    ...     published_cost = (11_689_512, 1_814_073_344)
    ...
    ...     @pytest.fixture
    ...     def space(self):
    ...         return MyFamily()

    Attributes:
        published_cost: Parameters and multiply-accumulates of the default network, as published; the
            latter rounded to its last digit that is not zero.
    """

    published_cost: tuple[int, int]

    def test_default_is_the_published_network(self, space: Family) -> None:
        n_params, macs = self.published_cost
        cost = graph_cost(space.graph(space.default, GraphView.AS_WRITTEN))
        assert cost.params == n_params
        rounding = 10 ** (len(str(macs)) - len(str(macs).rstrip("0")))
        assert abs(cost.macs - macs) <= rounding // 2

    def test_default_is_a_member_and_its_encoding_the_published_one(self, space: Family) -> None:
        space.check(space.default)
        assert space.encode(space.default) == json.loads(json.dumps(dict(space.published)))

    def test_every_neighbour_is_another_network(self, space: Family, members: list[Architecture]) -> None:
        for member in (space.default, *members[:2]):
            neighbours = [member, *space.neighbours(member)]
            keys = {space.graph(neighbour).key for neighbour in neighbours}
            assert len(keys) == len(neighbours)

    def test_thousands_of_distinct_networks(self, space: Family) -> None:
        rng = np.random.default_rng(11)
        keys = {space.graph(space.sample(rng)).key for _ in range(N_DISTINCT)}
        assert len(keys) > 0.99 * N_DISTINCT
        assert space.size >= 10 * N_DISTINCT

    def test_resolution_and_classes_change_input_and_last_layer_only(self, space: Family) -> None:
        small = type(space)(resolution=160, n_classes=10)
        graph, usual = small.graph(small.default), space.graph(space.default)
        assert graph.input_shapes == ((1, 3, 160, 160),)
        assert graph.operators[graph.outputs[0]].output == (1, 10)
        assert [operator.op_type for operator in graph.operators] == [operator.op_type for operator in usual.operators]

    def test_settings_out_of_range_are_refused(self, space: Family) -> None:
        for settings in ({"resolution": 8}, {"n_classes": 0}):
            with pytest.raises(InvalidSettingError, match="expected"):
                type(space)(**settings)

    def test_encodings_name_every_parameter_and_a_choice_of_it(self, space: Family) -> None:
        encoding = space.encode(space.default)
        for name in islice(encoding, 5):
            fewer = {other: choice for other, choice in encoding.items() if other != name}
            for wrong in (fewer, {**encoding, name: -1}, {**encoding, "another": 1}):
                with pytest.raises(InvalidSettingError, match="expected"):
                    space.decode(wrong)
