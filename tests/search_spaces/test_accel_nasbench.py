from __future__ import annotations

from math import prod

import numpy as np
import pytest

from nnlqp_nas.core import GraphView, InvalidSettingError, ModelGraph
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.search_spaces.accel_nasbench import AccelNasBench
from nnlqp_nas.testing.search_space_contract import SearchSpaceContract

from .published_tables import read_table

SPACE = AccelNasBench()
EFFICIENTNET_B0 = {"e": [1, 6, 6, 6, 6, 6, 6], "k": [3, 3, 5, 3, 5, 5, 3], "l": [1, 2, 2, 3, 3, 4, 1], "se": [True] * 7}


class TestAccelNasBench(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> AccelNasBench:
        return AccelNasBench()


def test_size_is_the_number_of_codes() -> None:
    assert SPACE.size == 36**6 * 48


# The benchmark's README names EfficientNet-B0 as a member; 5,288,548 is the published number of its parameters.
def test_efficientnet_b0_is_a_member_with_its_published_parameters() -> None:
    member = SPACE.decode(EFFICIENTNET_B0)
    assert SPACE.encode(member) == EFFICIENTNET_B0
    assert graph_cost(SPACE.graph(member, GraphView.AS_WRITTEN)).params == 5_288_548


@pytest.mark.parametrize(
    ("field", "value"),
    [("e", [2] * 7), ("k", [7] * 7), ("l", [4] * 7), ("se", [1] * 7), ("se", ["yes"] * 7), ("e", [1] * 6), ("k", 3)],
)
def test_encodings_hold_the_choices_offered(field: str, value: object) -> None:
    with pytest.raises(InvalidSettingError, match="expected"):
        SPACE.decode({**EFFICIENTNET_B0, field: value})


@pytest.mark.parametrize("settings", [{"resolution": 8}, {"n_classes": 0}])
def test_settings_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(InvalidSettingError, match="expected a resolution >= 32"):
        AccelNasBench(**settings)


def counted_by_the_benchmark(graph: ModelGraph) -> int:
    """Multiply-accumulates as its counter has them: normalisation is four a number, mean pooling one a number read and one a result."""
    macs = graph_cost(graph).macs
    for operator in graph.operators:
        if operator.op_type == "BatchNormalization":
            macs += 4 * prod(operator.output)
        elif operator.op_type == "GlobalAveragePool":
            macs += prod(operator.inputs[0]) + prod(operator.output)
    return macs


@pytest.mark.data
@pytest.mark.parametrize("stride", [50, pytest.param(1, marks=pytest.mark.slow)])
def test_cost_equals_the_published_one(stride: int) -> None:
    rows = read_table("accel_nasbench", ["e", "k", "l", "se", "macs_m", "params_m"])[::stride]
    graphs = [SPACE.graph(SPACE.decode({field: row[field] for field in ("e", "k", "l", "se")}), GraphView.AS_WRITTEN) for row in rows]
    ours = np.array([[counted_by_the_benchmark(graph), graph_cost(graph).params] for graph in graphs])
    published = np.array([[row["macs_m"], row["params_m"]] for row in rows]) * 1e6
    # The table holds millions as float32: seven digits are all there is.
    assert np.abs(ours / published - 1).max() < 1e-7
