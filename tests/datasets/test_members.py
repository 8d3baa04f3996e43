from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnlqp_nas.core import GraphView, InvalidSettingError, UnknownNameError, plugins
from nnlqp_nas.datasets.members import Member, draw_members
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

SMALL_SPACE = """
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
class Narrow(NasBench201):
    name = "narrow"
    def sample(self, rng):
        return self.architecture(*["none"] * 3, str(rng.choice(["avg_pool_3x3", "nor_conv_1x1", "nor_conv_3x3"])), "none", "none")
"""


@pytest.fixture
def narrow_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Install somebody's package with the space 'narrow', which draws few networks."""
    (tmp_path / "narrow_space.py").write_text(SMALL_SPACE)
    info = tmp_path / "narrow_space-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: narrow-space\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nnlqp_nas.search_spaces]\nnarrow = narrow_space:Narrow\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins._entries.cache_clear()
    yield "narrow"
    plugins._entries.cache_clear()
    sys.modules.pop("narrow_space", None)


def keys_of(members: list[Member]) -> list[str]:
    return [space.graph(architecture, GraphView.OPTIMISED).key for space, _, architecture in members]


@pytest.mark.parametrize("name", ["nasbench201", "squeezenet", "operator_probes"])
def test_a_larger_campaign_holds_the_members_of_a_smaller_one(name: str) -> None:
    large = draw_members(name, 12, seed=7)
    for n in (0, 1, 5):
        assert [member[2] for member in draw_members(name, n, seed=7)] == [member[2] for member in large[:n]]
    assert [member[2] for member in draw_members(name, 12, seed=8)] != [member[2] for member in large]


def test_no_graph_comes_twice_and_none_computes_nothing() -> None:
    members = draw_members("nasbench201", 60, seed=0)
    assert len(set(keys_of(members))) == 60
    assert all(len(space.graph(architecture, GraphView.OPTIMISED)) >= 3 for space, _, architecture in members)


def test_members_come_from_each_setting_in_turn() -> None:
    members = draw_members("nasbench201", 6, 0, [{"n_cells": 1}, {"n_cells": 2}])
    assert {settings["n_cells"] for _, settings, _ in members} == {1, 2}
    for space, settings, _ in members:
        assert isinstance(space, NasBench201)
        assert space.n_cells == settings["n_cells"]


def test_a_space_with_fewer_networks_is_refused(narrow_space: str) -> None:
    assert len(set(keys_of(draw_members(narrow_space, 3, 0)))) == 3
    with pytest.raises(InvalidSettingError, match="expected 4 distinct networks of narrow, found 3; ask for fewer"):
        draw_members(narrow_space, 4, 0)


def test_unknown_spaces_and_arguments_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="nasbench201"):
        draw_members("nasbench20", 1, 0)
    with pytest.raises(InvalidSettingError, match="n_cell"):
        draw_members("nasbench201", 1, 0, [{"n_cell": 1}])
