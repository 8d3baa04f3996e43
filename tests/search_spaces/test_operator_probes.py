from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest

from nnlqp_nas.core import GraphView, InvalidSettingError, ModelGraph, Operator
from nnlqp_nas.core.plugins import SPACES, load_plugin, plugin_names
from nnlqp_nas.graphs import graph_cost, operator_cost, read_graph, to_onnx, viewed
from nnlqp_nas.search_spaces.operator_probes import _LAYER_OPTIONS, MAPS, OperatorProbes, _count_layers, _fitted
from nnlqp_nas.search_spaces.probe_heads import HEADS
from nnlqp_nas.search_spaces.probe_layers import LAYERS
from nnlqp_nas.testing.search_space_contract import SearchSpaceContract

SPACE = OperatorProbes()
N_PROBES = 300  # as many as the data set measures


class TestOperatorProbes(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> OperatorProbes:
        return OperatorProbes()


def drawn(n: int) -> list[ModelGraph]:
    rng = np.random.default_rng(0)
    return [SPACE.graph(SPACE.sample(rng)) for _ in range(n)]


@pytest.fixture(scope="module")
def probes() -> list[ModelGraph]:
    return drawn(N_PROBES)


def pairs(graph: ModelGraph) -> Iterator[tuple[str, str]]:
    """Yield the types of every two operators of which one reads the other."""
    for operator, sources in zip(graph.operators, graph.sources, strict=True):
        for source in sources:
            yield graph.operators[source].op_type, operator.op_type


def families() -> list[str]:
    return [name for name in plugin_names(SPACES) if load_plugin(SPACES, name).__module__.startswith("nnlqp_nas.") and name != SPACE.name]


@pytest.mark.parametrize("family", families())
def test_probes_hold_every_operator_and_pair_of_the_families(probes: list[ModelGraph], family: str) -> None:
    space, rng = load_plugin(SPACES, family)(), np.random.default_rng(1)
    graphs = [space.graph(space.sample(rng)) for _ in range(20)]
    used = {pair for graph in graphs for pair in pairs(graph)}
    assert used - {pair for probe in probes for pair in pairs(probe)} == set()


def kind(operator: Operator) -> str:
    groups = operator.attribute("group", 1)
    if operator.op_type != "Conv":
        return operator.op_type
    return f"Conv {operator.weights[0][2] > 1} {groups == operator.inputs[0][1]}"


@pytest.mark.parametrize("family", families())
def test_no_layer_of_the_families_is_far_beyond_the_largest_probe(probes: list[ModelGraph], family: str) -> None:
    largest: dict[str, tuple[int, int]] = {}
    for operator in {operator for probe in probes for operator in probe.operators}:
        size, macs = largest.get(kind(operator), (0, 0))
        largest[kind(operator)] = max(size, prod(operator.output)), max(macs, operator_cost(operator).macs)
    space, rng = load_plugin(SPACES, family)(), np.random.default_rng(1)
    for operator in {operator for _ in range(20) for operator in space.graph(space.sample(rng)).operators}:
        size, macs = largest[kind(operator)]
        assert prod(operator.output) <= 3 * size, operator
        assert operator_cost(operator).macs <= 3 * macs, operator


def test_probes_hold_depthwise_convolutions_of_all_kernels_on_small_and_large_maps(probes: list[ModelGraph]) -> None:
    found = set()
    for probe in probes:
        for operator in probe.operators:
            group = operator.attribute("group")
            if operator.op_type == "Conv" and group == operator.inputs[0][1]:
                found.add((operator.weights[0][2], operator.attribute("strides"), operator.output[2] > 28))
    assert found >= set(product((3, 5, 7), ((1, 1), (2, 2)), (False, True)))


def test_probes_are_small_and_differ(probes: list[ModelGraph]) -> None:
    macs = np.array([graph_cost(probe).macs for probe in probes])
    assert np.median(macs) < 1e9
    assert macs.max() < 40e9
    assert len({probe.key for probe in probes}) > 0.99 * N_PROBES


def test_a_probe_is_what_its_encoding_says() -> None:
    layers = [{"layer": "depthwise", "kernel": 5, "stride": 2, "activation": "relu6"}, {"layer": "attention", "ratio": 4}]
    probe = SPACE.decode({"map": "64x28", "stem": "7x7/2", "head": "classifier", "layers": layers})
    graph = SPACE.graph(probe)
    assert SPACE.encode(probe)["layers"] == layers
    assert graph.input_shapes == ((1, 3, 56, 56),)
    assert [operator.op_type for operator in graph.operators[:5]] == ["Input", "Conv", "Relu", "Conv", "Clip"]
    assert graph.operators[4].output == (1, 64, 14, 14)
    assert next(operator.output for operator in graph.operators if operator.op_type == "Softmax") == (1, 4, 196, 196)


def test_layers_that_do_not_fit_a_map_are_the_first_one() -> None:
    def with_layer(map_: str, **layer: object) -> object:
        return SPACE.encode(SPACE.decode({"map": map_, "stem": "3x3", "head": "pool", "layers": [layer]}))["layers"][0]

    assert with_layer("64x56", layer="attention", ratio=4)["layer"] == "conv"
    assert with_layer("96x7", layer="max_pool_2")["layer"] == "conv"
    assert with_layer("96x7", layer="avg_pool", stride=2) == {"layer": "avg_pool", "kernel": 3, "stride": 1}


@pytest.mark.parametrize("wrong", [{"map": "65x28"}, {"head": "none"}, {"layers": []}, {"layers": [{"layer": "conv", "kernl": 3}]}])
def test_what_is_not_offered_is_refused(wrong: dict[str, object]) -> None:
    encoding = SPACE.encode(SPACE.sample(np.random.default_rng(0)))
    with pytest.raises(InvalidSettingError, match="expected"):
        SPACE.decode({**encoding, **wrong})


@pytest.mark.parametrize("side", sorted({m.side for m in MAPS.values()}))
def test_size_counts_canonical_codes(side: int) -> None:
    codes = list(product(range(len(LAYERS)), *(range(len(choices)) for choices in _LAYER_OPTIONS.values())))
    distinct = {_fitted(code, side) for code in codes}
    n_behind = {left: len({_fitted(code, left) for code in codes}) for left in {left for _, left in distinct}}
    assert _count_layers(side, 1) == len(distinct)
    assert _count_layers(side, 2) == sum(n_behind[left] for _, left in distinct)


def every_layer_and_head() -> Iterator[Any]:
    for layer in LAYERS:
        yield pytest.param({"map": "64x14", "stem": "3x3", "head": "pool", "layers": [{"layer": layer}, {"layer": "gate"}]}, id=layer)
    for head in HEADS:
        encoding = {"map": "64x14", "stem": "patch", "head": head, "layers": [{"layer": "conv"}]}
        yield pytest.param(encoding, id=f"head-{head}", marks=[pytest.mark.slow] if head.startswith("features") else [])


@pytest.mark.parametrize("encoding", list(every_layer_and_head()))
def test_module_writer_and_reader_agree_on_every_layer_and_head(encoding: dict[str, object]) -> None:
    pytest.importorskip("torch")
    from nnlqp_nas.graphs.torch_module import export_module

    space = OperatorProbes(n_classes=10)
    probe = space.decode(encoding)
    written = space.graph(probe, GraphView.AS_WRITTEN)
    assert read_graph(export_module(space.module(probe).eval()), GraphView.AS_WRITTEN).key == written.key
    for view in GraphView:
        graph = space.graph(probe, view)
        assert viewed(written, view).key == graph.key
    assert read_graph(to_onnx(space.graph(probe), 2)).key == space.graph(probe).key
