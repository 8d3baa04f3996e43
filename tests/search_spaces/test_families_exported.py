from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from nnlqp_nas.core import GraphView
from nnlqp_nas.core.plugins import SPACES, load_plugin
from nnlqp_nas.graphs import read_graph, to_onnx

# Small enough to be exported within a second.
SMALL: dict[str, dict[str, int | float | str]] = {
    "alexnet": {"features_1": 1024, "features_2": 1024, "channels_5": 64},
    "squeezenet": {},
    "googlenet": {},
    "vit": {"width": 128, "depth": 6},
}


@pytest.mark.parametrize("family", SMALL)
def test_the_exported_module_reads_back_as_the_same_graph_and_computes_the_same(family: str) -> None:
    torch = pytest.importorskip("torch")
    from nnlqp_nas.graphs.torch_module import export_module

    space = load_plugin(SPACES, family)(resolution=96, n_classes=10)
    member = space.decode({**space.published, **SMALL[family]})
    module = space.module(member).eval()
    model = export_module(module)
    for view in GraphView:
        assert read_graph(model, view).key == space.graph(member, view).key
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(y, module(x).detach().numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("family", SMALL)
def test_the_written_model_runs_and_reads_back_at_another_batch_size(family: str) -> None:
    space = load_plugin(SPACES, family)(resolution=96, n_classes=10)
    graph = space.graph(space.decode({**space.published, **SMALL[family]}))
    model = to_onnx(graph, batch_size=3)
    assert read_graph(model).key == graph.key
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).standard_normal((3, 3, 96, 96)).astype(np.float32)
    (y,) = session.run(None, {session.get_inputs()[0].name: image})
    assert y.shape == (3, 10)
    assert np.isfinite(y).all()
    assert y.std() > 1e-3
