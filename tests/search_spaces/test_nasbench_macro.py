from __future__ import annotations

import pytest

from nnlqp_nas.core import Architecture, GraphView, InvalidSettingError
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.search_spaces.nasbench_macro import NasBenchMacro
from nnlqp_nas.testing.search_space_contract import SearchSpaceContract

from .published_tables import read_table

SPACE = NasBenchMacro()


class TestNasBenchMacro(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> NasBenchMacro:
        return NasBenchMacro()


def count(architecture: Architecture) -> tuple[int, int]:
    cost = graph_cost(SPACE.graph(architecture, GraphView.AS_WRITTEN))
    return cost.macs, cost.params


# The benchmark's own counts for its smallest network and the one beside it; the test marked data compares all.
@pytest.mark.parametrize(("digits", "macs", "params"), [("00000000", 7_713_280, 387_882), ("00000001", 14_115_328, 791_594)])
def test_cost_of_known_networks(digits: str, macs: int, params: int) -> None:
    assert count(SPACE.decode(digits)) == (macs, params)


def test_identities_within_a_stage_cost_an_engine_nothing() -> None:
    early, late = SPACE.decode("11102110"), SPACE.decode("11120110")
    assert SPACE.graph(early).key == SPACE.graph(late).key
    assert SPACE.graph(early, GraphView.AS_WRITTEN).key != SPACE.graph(late, GraphView.AS_WRITTEN).key


@pytest.mark.parametrize("digits", ["0000000", "000000000", "00000003", 0, "0000000 "])
def test_malformed_digits_are_refused(digits: object) -> None:
    with pytest.raises(InvalidSettingError, match="expected 8 digits"):
        SPACE.decode(digits)


@pytest.mark.parametrize("settings", [{"n_classes": 0}, {"resolution": 4}])
def test_settings_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(InvalidSettingError, match="expected n_classes >= 1"):
        NasBenchMacro(**settings)


@pytest.mark.data
@pytest.mark.parametrize("stride", [40, pytest.param(1, marks=pytest.mark.slow)])
def test_cost_equals_the_published_one(stride: int) -> None:
    rows = read_table("nasbench_macro_accuracy", ["arch", "op_idx", "flops", "params"])
    assert len(rows) == SPACE.size
    for row in rows[::stride]:
        member = SPACE.decode(row["arch"])
        assert list(member.code) == list(row["op_idx"])
        assert count(member) == (row["flops"], row["params"])
