from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
import torch

from nnlqp_nas.core import GraphView, InvalidModelError, ModelGraph
from nnlqp_nas.graphs import read_graph, to_onnx
from nnlqp_nas.graphs.torch_module import GraphModule, export_module, to_module
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

Zoo = Callable[[GraphView], ModelGraph]
SPACE = NasBench201(n_cells=1)


def members(n: int) -> list[ModelGraph]:
    rng = np.random.default_rng(0)
    return [SPACE.graph(SPACE.sample(rng), GraphView.AS_WRITTEN) for _ in range(n)]


def assert_module_agrees(graph: ModelGraph) -> None:
    module = to_module(graph).eval()
    model = export_module(module)
    assert read_graph(model, GraphView.AS_WRITTEN).key == graph.key
    x = torch.randn(graph.input_shapes[0], generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(y, module(x).detach().numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("view", list(GraphView))
def test_every_layer_exported_and_read_back_is_the_same_graph(zoo: Zoo, view: GraphView) -> None:
    assert_module_agrees(zoo(view))


@pytest.mark.parametrize("member", range(10))
def test_members_exported_and_read_back_are_the_same_graph(member: int) -> None:
    assert_module_agrees(members(10)[member])


def test_the_exporters_own_folding_gives_the_optimised_view() -> None:
    import io

    for written in members(3):
        file = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(to_module(written).eval(), (torch.zeros(1, 3, 32, 32),), file, opset_version=17, dynamo=False)  # type: ignore[arg-type]
        assert read_graph(file.getvalue()).key == read_graph(written).key


def test_modules_accept_any_batch_size_and_train(zoo: Zoo) -> None:
    module = to_module(zoo(GraphView.AS_WRITTEN))
    y = module(torch.randn(3, 3, 32, 32))
    assert y.shape == (3, 10)
    torch.nn.functional.cross_entropy(y, torch.tensor([1, 2, 3])).backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_layers_have_readable_names(zoo: Zoo) -> None:
    module = to_module(zoo(GraphView.AS_WRITTEN))
    assert isinstance(module, GraphModule)
    assert isinstance(module.layers["conv_1"], torch.nn.Conv2d)
    assert isinstance(module.layers["batchnormalization_2"], torch.nn.BatchNorm2d)


def test_exporting_leaves_the_module_as_it_was() -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4).eval(), torch.nn.ReLU()).train(True)
    module[1].eval()
    read_graph(module, input_shape=(3, 8, 8))
    assert [part.training for part in module] == [True, False, True]


def test_a_module_without_input_shape_is_refused() -> None:
    with pytest.raises(InvalidModelError, match="expected the shape of the input of Linear"):
        read_graph(torch.nn.Linear(3, 4))
    with pytest.raises(InvalidModelError, match=r"torch\.onnx\.export can trace"):
        read_graph(torch.nn.Linear(3, 4), input_shape=(5,))


class SequenceFirst(torch.nn.Module):
    """A class token and PyTorch's own attention, which puts the batch behind the sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.token = torch.nn.Parameter(torch.zeros(1, 1, 16))
        self.attention = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), tokens], 1)
        y: torch.Tensor = self.attention(tokens)[:, 0]
        return y


def test_attention_is_the_same_network_at_every_batch_size() -> None:
    module = SequenceFirst()
    keys = {read_graph(module, input_shape=(batch_size, 16, 3, 3)).key for batch_size in (1, 4)}
    graph = read_graph(module, input_shape=(1, 16, 3, 3))
    assert keys == {read_graph(to_onnx(graph, 4)).key}
    assert to_module(graph)(torch.zeros(3, 16, 3, 3)).shape == (3, 16)
