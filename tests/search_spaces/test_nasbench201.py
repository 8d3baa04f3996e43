from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.core import GraphView, InvalidSettingError
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.testing.search_space_contract import SearchSpaceContract

from .published_tables import read_table

SPACE = NasBench201()


class TestNasBench201(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> NasBench201:
        return NasBench201()


def keys(cell: str) -> tuple[str, str]:
    architecture = SPACE.decode(cell)
    return SPACE.graph(architecture).key, SPACE.graph(architecture, GraphView.AS_WRITTEN).key


@pytest.mark.parametrize(
    ("cell", "twin"),
    [
        # Node 1 feeds nothing: what computes it is dead.
        (
            "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
            "|avg_pool_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
        ),
        # A convolution of zeros is zeros.
        (
            "|none~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|none~0|none~1|skip_connect~2|",
            "|none~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|nor_conv_3x3~1|skip_connect~2|",
        ),
        # The same path through another node, joined by identities.
        (
            "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|",
            "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|none~2|",
        ),
    ],
)
def test_dead_branches_and_identities_cost_an_engine_nothing(cell, twin):
    (optimised, as_written), (optimised_twin, as_written_twin) = keys(cell), keys(twin)
    assert optimised == optimised_twin
    assert as_written != as_written_twin


def test_converters_drop_what_only_a_none_edge_reads_but_run_what_starts_from_zeros():
    def converted(cell: str) -> str:
        return SPACE.graph(SPACE.decode(cell), GraphView.CONVERTED).key

    unread = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
    assert converted(unread) == converted(unread.replace("|nor_conv_3x3~0|+", "|avg_pool_3x3~0|+"))
    from_zeros = "|none~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|none~0|none~1|skip_connect~2|"
    assert converted(from_zeros) != converted(from_zeros.replace("nor_conv_1x1~1", "none~1"))


def test_live_branches_distinguish():
    kept = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
    assert keys(kept)[0] != keys(kept.replace("|skip_connect~0|none~1", "|avg_pool_3x3~0|none~1"))[0]


@pytest.mark.parametrize("cell", ["", "|nor_conv_5x5~0|+|none~0|none~1|+|none~0|none~1|none~2|", "|none~0|+|none~0|none~1|"])
def test_malformed_cells_are_refused(cell):
    with pytest.raises(InvalidSettingError, match="expected"):
        SPACE.decode(cell)


# What the reference table counts for this cell, frozen here to need no table.
def test_cost_of_a_known_cell():
    cell = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
    cost = graph_cost(SPACE.graph(SPACE.decode(cell), GraphView.AS_WRITTEN))
    assert (cost.macs, cost.params) == (149_340_800, 1_045_466)


@pytest.mark.data
@pytest.mark.parametrize("stride", [100, pytest.param(1, marks=pytest.mark.slow)])
def test_cost_equals_that_of_the_reference_table(stride):
    rows = read_table("nasbench201_static", ["arch_str", "macs_m", "params_m"])[::stride]
    costs = [graph_cost(SPACE.graph(SPACE.decode(row["arch_str"]), GraphView.AS_WRITTEN)) for row in rows]
    ours = np.array([[cost.macs, cost.params] for cost in costs])
    table = np.array([[row["macs_m"], row["params_m"]] for row in rows]) * 1e6
    # The table holds millions as float32: seven digits are all there is.
    assert np.abs(ours / table - 1).max() < 1e-7


@pytest.mark.data
@pytest.mark.slow
def test_every_published_cell_decodes_to_its_operations():
    rows = read_table("nasbench201_static", ["arch_str", "ops"])
    assert len(rows) == SPACE.size
    for row in rows:
        architecture = SPACE.decode(row["arch_str"])
        assert list(architecture.code) == list(row["ops"])
        assert SPACE.encode(architecture) == row["arch_str"]


@pytest.mark.data
@pytest.mark.slow
def test_cells_without_a_path_to_the_output_share_one_optimised_graph():
    rows = read_table("nasbench201_static", ["arch_str", "output_connected"])
    cells = [row["arch_str"] for row in rows if not row["output_connected"]]
    assert len(cells) == 341
    assert len({SPACE.graph(SPACE.decode(cell)).key for cell in cells}) == 1
