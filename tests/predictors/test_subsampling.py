"""The stride at which a node's readers read it, against the definition, node by node."""

from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.core import GraphView, ModelGraph
from nnlqp_nas.graphs.layer_builder import LayerBuilder
from nnlqp_nas.predictors.colouring import colour, edges_of
from nnlqp_nas.predictors.operator_features import is_pointwise, kind_of, strides_of
from nnlqp_nas.predictors.subsampling import subsampling
from nnlqp_nas.search_spaces.resnet import ResNet

_ELEMENTWISE = ("relu", "add", "clip", "sigmoid", "hard_sigmoid", "hard_swish", "gelu", "mul", "elementwise", "normalise")


def strides_one_by_one(graph: ModelGraph) -> list[int]:
    """By the definition, from the last node to the first."""
    strides = [1] * len(graph)
    for node in reversed(range(len(graph))):
        read_at = []
        for reader, sources in enumerate(graph.sources):
            if node in sources:
                operator = graph.operators[reader]
                if kind_of(operator) in _ELEMENTWISE and all(shape == operator.output for shape in operator.inputs):
                    read_at.append(strides[reader])
                else:
                    read_at.append(strides_of(operator)[0] if is_pointwise(operator) else 1)
        strides[node] = min(read_at, default=1)
    return strides


def _strides(graphs: list[ModelGraph]) -> list[int]:
    sizes = np.array([len(graph) for graph in graphs])
    operators = [operator for graph in graphs for operator in graph.operators]
    return subsampling(np.concatenate([graph.digests for graph in graphs]), operators, *edges_of(graphs, sizes)).tolist()


@pytest.mark.parametrize("view", list(GraphView))
def test_it_is_what_the_definition_says(view: GraphView) -> None:
    space, rng = ResNet(), np.random.default_rng(3)
    graphs = [space.graph(space.sample(rng), view) for _ in range(20)]
    expected = [strides_one_by_one(graph) for graph in graphs]
    assert _strides(graphs) == [stride for strides in expected for stride in strides]
    assert [_strides([graph]) for graph in graphs] == expected
    assert {stride for strides in expected for stride in strides} == {1, 2}


def test_it_passes_through_sums_and_activations_until_somebody_reads_every_pixel() -> None:
    def network(kernel: int) -> ModelGraph:
        net = LayerBuilder()
        x = net.input(8, 16, 16)
        trunk = net.conv(x, 16, 3)
        total = net.relu(net.add(net.conv(x, 16, 1), trunk))
        return net.finish(net.add(net.conv(total, 32, 1, 2), net.conv(total, 32, kernel, 2)))

    told = dict(reversed(list(zip([kind_of(o) for o in network(1).operators], _strides([network(1)]), strict=True))))
    assert {kind: told[kind] for kind in ("input", "conv_pointwise", "conv_3x3", "relu")} == {
        "input": 1,
        "conv_pointwise": 2,
        "conv_3x3": 2,
        "relu": 2,
    }
    assert set(_strides([network(3)])) == {1}


def test_operators_read_at_other_strides_have_other_colours() -> None:
    def network(stride: int) -> ModelGraph:
        net = LayerBuilder()
        x = net.relu(net.conv(net.input(8, 16, 16), 16, 3))
        return net.finish(net.conv(x, 32, 1, stride))

    colouring = colour([network(1), network(2)], 0)
    assert sorted(zip([kind_of(o) for o in colouring.operators], colouring.strides.tolist(), strict=True)) == [
        ("conv_3x3", 1),
        ("conv_3x3", 2),
        ("conv_pointwise", 1),
        ("conv_pointwise_strided", 1),
        ("input", 1),
        ("relu", 1),
        ("relu", 2),
    ]
