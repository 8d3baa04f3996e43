from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from nnlqp_nas.core import GraphView, InvalidSettingError
from nnlqp_nas.graphs import graph_cost, read_graph
from nnlqp_nas.search_spaces.fbnet import N_LAYERS, OPERATIONS, FbNet
from nnlqp_nas.testing.search_space_contract import SearchSpaceContract

from .published_tables import read_table

SPACE = FbNet()


class TestFbNet(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> FbNet:
        return FbNet()


class TestFbNetImageNet(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> FbNet:
        return FbNet("imagenet")


def uniform(operation: str, dataset: str = "cifar100") -> tuple[int, int]:
    space = FbNet(dataset)
    cost = graph_cost(space.graph(space.decode([operation] * N_LAYERS), GraphView.AS_WRITTEN))
    return cost.macs, cost.params


# Values of this definition, which equals the published costs on all rows (see the test marked data); frozen here to need no table.
@pytest.mark.parametrize(
    ("operation", "dataset", "cost"),
    [
        ("skip", "cifar100", (11_608_960, 780_660)),
        ("k5_e1_g2", "cifar100", (24_102_528, 967_220)),
        ("k5_e6", "cifar100", (160_926_080, 3_749_652)),
        ("k5_e6", "imagenet", (572_634_080, 5_754_072)),
    ],
)
def test_cost_of_networks_of_equal_layers(operation: str, dataset: str, cost: tuple[int, int]) -> None:
    assert uniform(operation, dataset) == cost


def test_dataset_must_be_a_published_one() -> None:
    with pytest.raises(InvalidSettingError, match="expected a dataset among cifar100, imagenet, got 'cifar10'"):
        FbNet("cifar10")


def test_skips_that_keep_the_shape_cost_an_engine_nothing() -> None:
    early, late = ["k5_e3", "skip"], ["skip", "k5_e3"]
    graphs = [SPACE.decode(["k3_e1"] * 6 + pair + ["k3_e1"] * 14) for pair in (early, late)]
    assert len({SPACE.graph(member).key for member in graphs}) == 1
    assert len({SPACE.graph(member, GraphView.AS_WRITTEN).key for member in graphs}) == 2


def test_the_exported_module_reads_back_as_the_same_graph_and_computes_the_same() -> None:
    torch = pytest.importorskip("torch")
    from nnlqp_nas.graphs.torch_module import export_module

    rng = np.random.default_rng(4)
    layers = [OPERATIONS[i % len(OPERATIONS)] for i in range(N_LAYERS)]
    member = SPACE.decode([str(name) for name in rng.permutation(layers)])
    module = SPACE.module(member).eval()
    model = export_module(module)
    for view in GraphView:
        assert read_graph(model, view).key == SPACE.graph(member, view).key
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(y, module(x).detach().numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.data
@pytest.mark.parametrize("stride", [50, pytest.param(1, marks=pytest.mark.slow)])
def test_cost_equals_the_published_one(stride: int) -> None:
    columns = ["macs_cifar_m", "params_cifar_m", "macs_imagenet_m"]
    rows = read_table("fbnet_latency", ["op_idx", "op_names", *columns])[::stride]
    imagenet = FbNet("imagenet")
    ours = []
    for row in rows:
        member = SPACE.decode(row["op_names"])
        assert list(member.code) == list(row["op_idx"])
        cost = graph_cost(SPACE.graph(member, GraphView.AS_WRITTEN))
        ours.append([cost.macs, cost.params, graph_cost(imagenet.graph(member, GraphView.AS_WRITTEN)).macs])
    published = np.array([[row[column] * 1e6 for column in columns] for row in rows])
    # The table holds millions as float32: seven digits are all there is.
    assert np.abs(np.array(ours) / published - 1).max() < 1e-7
