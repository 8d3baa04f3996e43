import pytest

from nnlqp_nas.backends.mnn import MnnBackend
from nnlqp_nas.core import Measurement, MeasurementFailure, Operator, Platform, UnknownPlatformError
from nnlqp_nas.core.plugins import BACKENDS, load_plugin
from nnlqp_nas.graphs import LayerBuilder
from nnlqp_nas.testing.backend_contract import QUICK, MeasurementBackendContract, write_network

pytest.importorskip("MNN")


@pytest.mark.slow
class TestFp32(MeasurementBackendContract):
    def make_backend(self) -> MnnBackend:
        return MnnBackend(Platform.parse("cpu-mnn-fp32"))


def test_the_entry_point_leads_to_the_class() -> None:
    assert load_plugin(BACKENDS, "mnn") is MnnBackend


def test_the_variant_sets_the_threads_and_the_facts_name_the_engine() -> None:
    (two,) = MnnBackend(Platform.parse("cpu-mnn-fp32-2t")).measure([write_network(8, 1)], QUICK)
    assert isinstance(two, Measurement)
    assert two.facts["n_threads"] == 2
    assert two.facts["engine"].startswith("MNN 3.")


def test_other_precisions_are_refused() -> None:
    with pytest.raises(UnknownPlatformError, match="cpu-mnn-fp32"):
        MnnBackend(Platform.parse("cpu-mnn-int8"))


def test_what_it_does_not_convert_is_a_failure_with_a_reason() -> None:
    net = LayerBuilder()
    x = net.input(4, 4)
    graph = net.finish(net.append(Operator("Hardmax", (("axis", 2),), (net.shape(x),), (), net.shape(x)), x))
    (failure,) = MnnBackend(Platform.parse("cpu-mnn-fp32")).measure([graph], QUICK)
    assert isinstance(failure, MeasurementFailure), failure
    assert "Hardmax" in failure.reason
