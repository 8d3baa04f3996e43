from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnlqp_nas.core import GraphView, ModelGraph, Operator
from nnlqp_nas.graphs import LayerBuilder, read_graph, to_onnx
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

SPACE = NasBench201(n_cells=1)
GRAPH = SPACE.graph(SPACE.decode("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_3x3~1|skip_connect~2|"))


def permuted(graph: ModelGraph, rng: np.random.Generator) -> ModelGraph:
    """The same graph, its nodes in another topological order, commutative arguments shuffled."""
    waiting = {node: set(sources) for node, sources in enumerate(graph.sources)}
    order: list[int] = []
    while waiting:
        ready = [node for node, sources in waiting.items() if sources <= set(order)]
        order.append(ready[int(rng.integers(len(ready)))])
        del waiting[order[-1]]
    place = {node: at for at, node in enumerate(order)}
    sources = []
    for node in order:
        read = [place[source] for source in graph.sources[node]]
        if graph.operators[node].op_type == "Add":
            rng.shuffle(read)
        sources.append(tuple(read))
    return ModelGraph(tuple(graph.operators[node] for node in order), tuple(sources), tuple(place[node] for node in graph.outputs))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32))
def test_the_order_of_nodes_leaves_the_key(seed: int) -> None:
    assert permuted(GRAPH, np.random.default_rng(seed)).key == GRAPH.key


@pytest.mark.parametrize("seed", [0, 1])
def test_names_and_weights_leave_the_key(seed: int) -> None:
    model = to_onnx(GRAPH, seed=seed)
    names: dict[str, str] = {}
    for node in model.graph.node:
        node.name = ""
        for values in (node.input, node.output):
            for at, name in enumerate(values):
                values[at] = names.setdefault(name, f"value{len(names)}") if name else ""
    for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        value.name = names[value.name]
    onnx.checker.check_model(model)
    assert read_graph(model).key == GRAPH.key


def changed(operator: Operator, what: str, at: int) -> Operator | None:
    attributes, inputs, weights = operator.attributes, operator.inputs, operator.weights
    if what == "attribute":
        if not attributes:
            return None
        name, value = attributes[at % len(attributes)]
        other = (*value[:-1], int(value[-1]) + 1) if isinstance(value, tuple) else f"{value}+"
        kept = tuple(pair for pair in attributes if pair[0] != name)
        return Operator(operator.op_type, tuple(sorted((*kept, (name, other)))), inputs, weights, operator.output)
    if what == "weight":
        return Operator(operator.op_type, attributes, inputs, (*weights, (7,)), operator.output)
    if what == "output":
        return Operator(operator.op_type, attributes, inputs, weights, (*operator.output[:-1], operator.output[-1] + 1))
    return Operator(operator.op_type + "X", attributes, inputs, weights, operator.output)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, len(GRAPH) - 1), st.sampled_from(["attribute", "weight", "output", "type"]), st.integers(0, 9))
def test_any_change_of_an_operator_changes_the_key(node: int, what: str, at: int) -> None:
    operator = changed(GRAPH.operators[node], what, at)
    if operator is not None:
        operators = (*GRAPH.operators[:node], operator, *GRAPH.operators[node + 1 :])
        assert ModelGraph(operators, GRAPH.sources, GRAPH.outputs).key != GRAPH.key


@settings(deadline=None, max_examples=60)
@given(st.integers(2, len(GRAPH) - 1), st.integers(0, len(GRAPH)))
def test_any_change_of_an_edge_changes_the_key(node: int, source: int) -> None:
    sources = (source % node, *GRAPH.sources[node][1:])
    if sorted(sources) != sorted(GRAPH.sources[node]):
        rewired = ModelGraph(GRAPH.operators, (*GRAPH.sources[:node], sources, *GRAPH.sources[node + 1 :]), GRAPH.outputs)
        assert rewired.key != GRAPH.key


def test_another_output_changes_the_key() -> None:
    assert ModelGraph(GRAPH.operators, GRAPH.sources, (*GRAPH.outputs, len(GRAPH) - 3)).key != GRAPH.key


def test_keys_are_the_same_on_every_machine(zoo: Callable[[GraphView], ModelGraph]) -> None:
    assert GRAPH.key == "9eaf4db72286603292e0a51351df7996"
    assert zoo(GraphView.OPTIMISED).key == "6f4fe6f8788c9ae742182805551a9be7"


def test_order_of_commuting_arguments_of_unequal_shapes_does_not_matter() -> None:
    def gated(is_gate_first: bool) -> ModelGraph:
        net = LayerBuilder()
        x = net.input(8, 4, 4)
        gate = net.sigmoid(net.global_avg_pool(x))
        return net.finish(net.mul(gate, x) if is_gate_first else net.mul(x, gate))

    model = to_onnx(gated(False))
    product = next(node for node in model.graph.node if node.op_type == "Mul")
    product.input[:] = reversed(product.input)
    assert gated(True).key == gated(False).key == read_graph(model).key
