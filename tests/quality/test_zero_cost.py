from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.core import Architecture, GraphView, InvalidSettingError, UnknownNameError
from nnlqp_nas.graphs import LayerBuilder, graph_cost
from nnlqp_nas.quality import ZeroCostProxy
from nnlqp_nas.quality.zero_cost import METRICS, naswot_kernel, naswot_score, synflow_score
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.testing.quality_contract import QualityContract, draw_members

torch = pytest.importorskip("torch")

SPACE = NasBench201(channels=4, n_cells=1)
MEMBERS = draw_members(SPACE, 4)


class TestZeroCostProxy(QualityContract):
    @pytest.fixture(params=METRICS)
    def quality(self, request) -> ZeroCostProxy:
        return ZeroCostProxy(SPACE, request.param, batch_size=8)

    @pytest.fixture
    def members(self) -> list[Architecture]:
        return MEMBERS


def images_for(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 3, 32, 32), dtype=np.float32)


def rectified(*activations) -> LayerBuilder:
    net = LayerBuilder(GraphView.AS_WRITTEN)
    x = net.input(3, 32, 32)
    for activation in activations:
        x = activation(net, net.batch_norm(net.conv(x, 4, 3)))
    return net.finish(net.linear(net.flatten(net.global_avg_pool(x)), 10))


@pytest.mark.parametrize(
    ("activation", "n_outputs"),
    [
        (LayerBuilder.relu, 4 * 32 * 32),
        (LayerBuilder.hard_swish, 4 * 32 * 32),
        (LayerBuilder.swish, 4 * 32 * 32),
        (LayerBuilder.sigmoid, 0),
    ],
)
def test_the_kernel_counts_rectifiers_that_agree(activation, n_outputs):
    kernel = naswot_kernel(rectified(activation, activation), images_for(6))
    # An image agrees with itself on all of them, with others on fewer; agreement is symmetric; its kernel has no negative eigenvalue.
    assert np.array_equal(np.diag(kernel), np.full(6, 2.0 * n_outputs))
    assert np.array_equal(kernel, kernel.T)
    assert np.all((kernel >= 0) & (kernel <= 2 * n_outputs))
    assert np.linalg.eigvalsh(kernel).min() > -1e-6 * max(1, n_outputs)


def test_the_kernel_is_that_of_the_hamming_distance():
    graph, images = rectified(LayerBuilder.relu), images_for(5)
    module = _module(graph, 3)
    with torch.no_grad():
        x = torch.from_numpy(images)
        for name, layer in module.layers.items():
            x = layer(x)
            if name.startswith("relu"):
                break
    active = (x.flatten(1) > 0).numpy()
    distance = (active[:, None] != active[None]).sum(axis=2)
    assert np.array_equal(naswot_kernel(graph, images, seed=3), active.shape[1] - distance)


def _module(graph, seed):
    from nnlqp_nas.graphs.torch_module import to_module

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return to_module(graph)


def test_equal_images_make_the_score_smallest():
    graph, images = rectified(LayerBuilder.relu), images_for(4)
    same = np.repeat(images[:1], 4, axis=0)
    n_outputs = 4 * 32 * 32
    assert naswot_score(graph, same) == pytest.approx(np.log(4 * n_outputs + 1), rel=1e-9)
    assert naswot_score(graph, images) > naswot_score(graph, same)
    # Hadamard: a determinant is at most the product of the diagonal.
    assert naswot_score(graph, images) <= 4 * np.log(n_outputs + 1)


def test_a_network_without_rectifiers_has_a_score_of_zero():
    assert naswot_score(rectified(LayerBuilder.sigmoid), images_for(3)) == 0.0


def test_synflow_of_a_linear_network_is_known():
    net = LayerBuilder(GraphView.AS_WRITTEN)
    graph = net.finish(net.linear(net.linear(net.input(3), 4, bias=False), 2, bias=False))
    module = _module(graph, 0)
    first, second = (parameter.detach().double().abs() for parameter in module.parameters())
    if first.shape != (4, 3):
        first, second = second, first
    # R = 1' |W2| |W1| 1; each layer's terms sum to R.
    expected = 2 * float((second @ first).sum())
    assert synflow_score(module) == pytest.approx(expected, rel=1e-12)


def test_synflow_equals_its_definition_by_differences():
    net = LayerBuilder(GraphView.AS_WRITTEN)
    x = net.relu(net.conv(net.input(1, 4, 4), 2, 3, bias=True))
    module = _module(net.finish(net.linear(net.flatten(net.global_avg_pool(x)), 3)), 1)
    score = synflow_score(module)  # leaves the absolute parameters, in double precision, behind
    ones, expected, step = torch.ones(1, 1, 4, 4, dtype=torch.float64), 0.0, 1e-6
    with torch.no_grad():
        for weight in (parameter for parameter in module.parameters() if parameter.dim() > 1):
            flat = weight.view(-1)
            for at in range(len(flat)):
                value = float(flat[at])
                flat[at] = value + step
                above = float(module(ones).sum())
                flat[at] = value - step
                expected += abs(value * (above - float(module(ones).sum())) / (2 * step))
                flat[at] = value
    assert score == pytest.approx(expected, rel=1e-6)


def test_costs_are_those_of_the_graph():
    for proxy in ("params", "macs", "flops"):
        values = ZeroCostProxy(SPACE, proxy).evaluate(MEMBERS)
        costs = [graph_cost(SPACE.graph(member, GraphView.AS_WRITTEN)) for member in MEMBERS]
        assert values.tolist() == [getattr(cost, proxy) for cost in costs]


def test_seeds_and_images_are_followed():
    state = torch.random.get_rng_state()
    scores = [ZeroCostProxy(SPACE, "naswot", 8, seed).evaluate(MEMBERS[:1])[0] for seed in (0, 0, 1)]
    assert scores[0] == scores[1] != scores[2]
    own = ZeroCostProxy(SPACE, "naswot", images=images_for(8, seed=0)).evaluate(MEMBERS[:1])[0]
    assert own == scores[0]
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_cell_of_nothing_has_scores_too():
    nothing = Architecture("nasbench201", (0,) * 6)
    for proxy in METRICS:
        assert np.isfinite(ZeroCostProxy(SPACE, proxy, 4).evaluate([nothing]))


def test_wrong_settings_are_refused():
    with pytest.raises(UnknownNameError, match="nearest known: naswot"):
        ZeroCostProxy(SPACE, "naswat")
    with pytest.raises(InvalidSettingError, match=r"expected images of shape \(n, \*\(3, 32, 32\)\), got \(8, 3, 16, 16\)"):
        ZeroCostProxy(SPACE, images=images_for(8)[:, :, :16, :16]).evaluate(MEMBERS)
    with pytest.raises(InvalidSettingError, match="expected batch_size >= 2, got 1"):
        ZeroCostProxy(SPACE, batch_size=1)
