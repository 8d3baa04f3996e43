"""Keys of many networks at once are the keys of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnlqp_nas.core import GraphView, ModelGraph, Operator
from nnlqp_nas.core.graph_keys import WORTHWHILE, is_worthwhile, keys_side_by_side
from nnlqp_nas.core.plugins import SPACES, load_plugin, plugin_names

KINDS = tuple(Operator(name, (("n", i),)) for i, name in enumerate(("Conv", "Add", "Concat", "Mul", "Relu", "Sub")))


def afresh(graph: ModelGraph) -> ModelGraph:
    return replace(graph)


def draw_graph(rng: np.random.Generator) -> ModelGraph:
    """Return any graph: several arguments, the same node read twice, several outputs, one of them twice."""
    n = int(rng.integers(1, 12))
    sources = [tuple(int(s) for s in rng.integers(0, node, int(rng.integers(0, 5)))) if node else () for node in range(n)]
    outputs = tuple(int(node) for node in rng.integers(0, n, int(rng.integers(1, 4))))
    return ModelGraph(tuple(KINDS[int(k)] for k in rng.integers(0, len(KINDS), n)), tuple(sources), outputs)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 30))
def test_any_graphs_side_by_side_have_their_own_keys(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    graphs = [draw_graph(rng) for _ in range(n)]
    assert keys_side_by_side(graphs) == [graph.key for graph in graphs]


@pytest.mark.parametrize("view", list(GraphView))
def test_members_of_every_space_side_by_side(view: GraphView) -> None:
    rng = np.random.default_rng(0)
    spaces = [load_plugin(SPACES, name)() for name in plugin_names(SPACES)]
    graphs = [space.graph(space.sample(rng), view) for space in spaces for _ in range(2)]
    assert keys_side_by_side(graphs) == [afresh(graph).key for graph in graphs]


def test_keys_that_are_known_stay_and_few_are_not_worth_it() -> None:
    rng = np.random.default_rng(0)
    few, many = [draw_graph(rng)], [draw_graph(rng) for _ in range(4 * WORTHWHILE)]
    assert not is_worthwhile(few)
    assert not is_worthwhile([])
    assert is_worthwhile(many)
    known = [graph.key for graph in many[::2]]
    keys = ModelGraph.keys_of(many)
    assert keys[::2] == known
    assert keys == [afresh(graph).key for graph in many]
    assert ModelGraph.keys_of([]) == []
