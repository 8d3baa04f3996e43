from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from nnlqp_nas.core import GraphView, ModelGraph
from nnlqp_nas.graphs import LayerBuilder, optimised
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

SPACE = NasBench201(n_cells=1)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=6, max_size=6))
def test_the_pass_gives_what_the_builder_writes(code: list[int]) -> None:
    architecture = SPACE.architecture(*(SPACE.parameters[0].choices[digit] for digit in code))
    written = SPACE.graph(architecture, GraphView.AS_WRITTEN)
    assert optimised(written).key == SPACE.graph(architecture, GraphView.OPTIMISED).key
    assert optimised(optimised(written)).key == optimised(written).key


def test_every_layer_survives_the_pass(zoo: Callable[[GraphView], ModelGraph]) -> None:
    assert optimised(zoo(GraphView.AS_WRITTEN)) == zoo(GraphView.OPTIMISED)


def test_a_convolution_that_others_read_keeps_its_batch_normalisation() -> None:
    net = LayerBuilder(GraphView.AS_WRITTEN)
    x = net.conv(net.input(3, 8, 8), 4)
    graph = optimised(net.finish(net.add(net.batch_norm(x), x)))
    assert [operator.op_type for operator in graph.operators] == ["Input", "Conv", "BatchNormalization", "Add"]
