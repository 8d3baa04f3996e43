import pytest

from nnlqp_nas.backends.ncnn import NcnnBackend
from nnlqp_nas.core import Measurement, MeasurementFailure, Operator, Platform, UnknownPlatformError
from nnlqp_nas.core.plugins import BACKENDS, load_plugin
from nnlqp_nas.graphs import LayerBuilder
from nnlqp_nas.testing.backend_contract import QUICK, MeasurementBackendContract, write_network

pytest.importorskip("ncnn")


def backend() -> NcnnBackend:
    return NcnnBackend(Platform.parse("cpu-ncnn-fp32"))


@pytest.mark.slow
class TestFp32(MeasurementBackendContract):
    def make_backend(self) -> NcnnBackend:
        return backend()


def test_the_entry_point_leads_to_the_class() -> None:
    assert load_plugin(BACKENDS, "ncnn") is NcnnBackend


def test_a_batch_is_run_one_by_one_and_the_facts_say_so() -> None:
    (one,) = backend().measure([write_network(8, 1)], QUICK)
    (four,) = backend().measure([write_network(8, 1)], QUICK, batch_size=4)
    assert isinstance(one, Measurement)
    assert isinstance(four, Measurement)
    assert one.facts["engine"].startswith("ncnn 1.")
    assert "n_runs_a_batch" not in one.facts
    assert (four.batch_size, four.facts["n_runs_a_batch"]) == (4, 4)


def test_an_operator_that_ncnn_has_not_is_a_failure_that_names_it() -> None:
    net = LayerBuilder()
    x = net.input(4, 4)
    shape = net.shape(x)
    graph = net.finish(net.append(Operator("Hardmax", (("axis", 2),), (shape,), (), shape), x))
    (failure,) = backend().measure([graph], QUICK)
    assert isinstance(failure, MeasurementFailure)
    assert failure.stage == "compile"
    assert "Hardmax" in failure.reason


def test_other_precisions_are_refused() -> None:
    with pytest.raises(UnknownPlatformError, match="cpu-ncnn-fp32"):
        NcnnBackend(Platform.parse("cpu-ncnn-int8"))
