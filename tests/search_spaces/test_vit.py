from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.core import GraphView
from nnlqp_nas.graphs import graph_cost, read_graph, to_onnx
from nnlqp_nas.search_spaces.vit import VisionTransformer
from nnlqp_nas.testing.family_contract import FamilyContract

SPACE = VisionTransformer()


class TestVisionTransformer(FamilyContract):
    # DeiT-Tiny: parameters of timm's deit_tiny_patch16_224; 1.254 GMACs with attention's two products, at 197 tokens.
    published_cost = (5_717_416, 1_254_000_000)

    @pytest.fixture
    def space(self) -> VisionTransformer:
        return SPACE


def test_vit_base_is_a_member_and_the_published_network() -> None:
    cost = graph_cost(SPACE.graph(SPACE.base, GraphView.AS_WRITTEN))
    assert cost.params == 86_567_656
    assert cost.macs == pytest.approx(17.56e9, abs=0.005e9)


def test_ratios_beyond_the_depth_do_not_matter() -> None:
    encoding = dict(SPACE.published)
    assert SPACE.decode({**encoding, "mlp_ratio_13": 4, "mlp_ratio_14": 3}) == SPACE.default
    assert SPACE.decode({**encoding, "mlp_ratio_12": 3}) != SPACE.default


def small() -> tuple[VisionTransformer, dict[str, int | float | str]]:
    return VisionTransformer(resolution=64, n_classes=10), {**SPACE.published, "width": 128, "depth": 6}


def test_the_exported_module_reads_back_as_the_same_graph_and_computes_the_same() -> None:
    torch = pytest.importorskip("torch")
    import onnxruntime

    from nnlqp_nas.graphs.torch_module import export_module

    space, encoding = small()
    member = space.decode(encoding)
    module = space.module(member).eval()
    model = export_module(module)
    for view in GraphView:
        assert read_graph(model, view).key == space.graph(member, view).key
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(y, module(x).detach().numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_written_model_runs_and_reads_back_at_any_batch_size(batch_size: int) -> None:
    import onnxruntime

    space, encoding = small()
    graph = space.graph(space.decode(encoding))
    model = to_onnx(graph, batch_size)
    assert read_graph(model).key == graph.key
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: np.ones((batch_size, 3, 64, 64), np.float32)})
    assert y.shape == (batch_size, 10)
    assert np.isfinite(y).all()
    assert y.std() > 1e-3
