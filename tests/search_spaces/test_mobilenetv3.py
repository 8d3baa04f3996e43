from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlqp_nas.core import Architecture, GraphView, InvalidSettingError
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.search_spaces.mobilenetv3 import DEPTHS, EXPANSIONS, KERNELS, RESOLUTIONS, MobileNetV3, make_divisible
from nnlqp_nas.testing.search_space_contract import SearchSpaceContract

from .published_tables import read_table

SPACE = MobileNetV3()


class TestMobileNetV3(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> MobileNetV3:
        return MobileNetV3()


class TestMobileNetV3Width1(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> MobileNetV3:
        return MobileNetV3(width=1.0, n_classes=10)


class TestMobileNetV3At224(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> MobileNetV3:
        return MobileNetV3(width=1.0, resolution=224)


def count(space: MobileNetV3, architecture: Architecture) -> tuple[int, int]:
    cost = graph_cost(space.graph(architecture, GraphView.AS_WRITTEN))
    return cost.macs, cost.params


def uniform(width: float, kernel: int, expansion: int, depth: int, resolution: int) -> tuple[int, int]:
    space = MobileNetV3(width)
    encoding = {"ks": [kernel] * 20, "e": [expansion] * 20, "d": [depth] * 5, "r": resolution}
    return count(space, space.decode(encoding))


# Values that the published tables confirm (see the tests marked data), frozen here to need no table.
@pytest.mark.parametrize(
    ("network", "macs", "params"),
    [((1.0, 3, 3, 2, 128), 41_476_224, 3_410_792), ((1.2, 7, 6, 4, 224), 843_101_040, 10_701_632)],
)
def test_cost_of_the_smallest_and_the_largest_network(network, macs, params):
    assert uniform(*network) == (macs, params)


def test_size_counts_distinct_members():
    assert SPACE.size == 25 * (9**2 + 9**3 + 9**4) ** 5


def test_width_must_be_a_published_one():
    with pytest.raises(InvalidSettingError, match=r"expected a width of 1.0 or 1.2, got 0.5"):
        MobileNetV3(width=0.5)


def test_a_fixed_resolution_leaves_codes_as_they_are():
    fixed, rng = MobileNetV3(1.0, resolution=224), np.random.default_rng(0)
    member = fixed.sample(rng)
    assert fixed.encode(member)["r"] == 224
    assert MobileNetV3(1.0).decode(fixed.encode(member)) == member
    assert fixed.size * 25 == SPACE.size
    with pytest.raises(InvalidSettingError, match="expected r to be 224"):
        fixed.decode({**fixed.encode(member), "r": 128})
    with pytest.raises(InvalidSettingError, match="expected a resolution in steps of 4 from 128 to 224, or None, got 225"):
        MobileNetV3(resolution=225)


def test_channels_are_rounded_as_the_authors_do():
    assert [make_divisible(value) for value in (19.2, 28.8, 48.0, 96.0, 134.4, 192.0, 5)] == [24, 32, 48, 96, 136, 192, 8]


@given(
    ks=st.lists(st.sampled_from(KERNELS), min_size=20, max_size=20),
    e=st.lists(st.sampled_from(EXPANSIONS), min_size=20, max_size=20),
    d=st.lists(st.sampled_from(DEPTHS), min_size=5, max_size=5),
    r=st.sampled_from(RESOLUTIONS),
    junk=st.integers(-9, 9),
)
def test_entries_beyond_the_depth_do_not_matter(ks, e, d, r, junk):
    architecture = SPACE.decode({"ks": ks, "e": e, "d": d, "r": r})
    for stage, depth in enumerate(d):
        for block in range(depth, 4):
            ks[4 * stage + block] = e[4 * stage + block] = junk
    assert SPACE.decode({"ks": ks, "e": e, "d": d, "r": r}) == architecture
    assert SPACE.decode(SPACE.encode(architecture)) == architecture


def test_active_entries_must_be_choices():
    encoding = SPACE.encode(SPACE.sample(np.random.default_rng(0)))
    for field, value in (("ks", [9] * 20), ("e", [5] * 20), ("d", [5] * 5), ("r", 225), ("ks", [3] * 19)):
        with pytest.raises(InvalidSettingError, match="expected"):
            SPACE.decode({**encoding, field: value})


def test_first_block_of_a_stage_has_no_shortcut_and_the_others_do():
    graph = SPACE.graph(SPACE.decode({"ks": [3] * 20, "e": [3] * 20, "d": [2, 3, 4, 2, 2], "r": 128}))
    n_shortcuts = sum(operator.op_type == "Add" for operator in graph.operators)
    assert n_shortcuts == 1 + sum(depth - 1 for depth in (2, 3, 4, 2, 2))


@pytest.mark.slow
def test_two_thousand_graphs_with_keys_take_less_than_two_seconds():
    rng = np.random.default_rng(0)
    members = [SPACE.sample(rng) for _ in range(2000)]
    started = time.process_time()
    keys = {SPACE.graph(member).key for member in members}
    assert time.process_time() - started < 2.0
    assert len(keys) == len(members)


def _errors(table: str, space: MobileNetV3, columns: tuple[str, str], scale: float, stride: int) -> np.ndarray:
    rows = read_table(table, ["ks", "e", "d", "r", *columns])[::stride]
    ours = [count(space, space.decode(row)) for row in rows]
    published = [[row[column] * scale for column in columns] for row in rows]
    return np.abs(np.array(ours) / np.array(published) - 1).max(axis=0)


@pytest.mark.data
@pytest.mark.parametrize("stride", [50, pytest.param(1, marks=pytest.mark.slow)])
def test_cost_equals_the_published_one_at_width_1_2(stride):
    # The table holds millions as float32: seven digits are all there is.
    assert np.all(_errors("ofa_latency", MobileNetV3(1.2), ("macs_m", "params_m"), 1e6, stride) < 1e-7)


@pytest.mark.data
@pytest.mark.parametrize("stride", [50, pytest.param(1, marks=pytest.mark.slow)])
def test_cost_equals_the_published_one_at_width_1(stride):
    assert np.all(_errors("ofa_mbv3_w10_accuracy", MobileNetV3(1.0), ("macs", "params"), 1, stride) == 0)


def test_graph_of_a_foreign_architecture_is_another_space():
    with pytest.raises(InvalidSettingError):
        SPACE.check(Architecture("nasbench201", (0,) * 6))
