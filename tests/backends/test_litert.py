import pytest

from nnlqp_nas.backends.litert import LiteRtBackend
from nnlqp_nas.core import GraphView, Measurement, MeasurementFailure, Platform
from nnlqp_nas.core.plugins import BACKENDS, load_plugin
from nnlqp_nas.testing.backend_contract import QUICK, MeasurementBackendContract, write_impossible_network, write_network


def backend_of(name: str) -> LiteRtBackend:
    return LiteRtBackend(Platform.parse(name))


@pytest.mark.slow
class TestFp32(MeasurementBackendContract):
    def make_backend(self) -> LiteRtBackend:
        return backend_of("cpu-litert-fp32")


@pytest.mark.slow
class TestInt8(MeasurementBackendContract):
    def make_backend(self) -> LiteRtBackend:
        return backend_of("cpu-litert-int8dyn")


@pytest.mark.slow
class TestTwoThreads(MeasurementBackendContract):
    def make_backend(self) -> LiteRtBackend:
        return backend_of("cpu-litert-fp32-2t")


def test_the_entry_point_leads_to_the_class() -> None:
    assert load_plugin(BACKENDS, "litert") is LiteRtBackend


def test_it_offers_both_precisions_and_runs_the_optimised_graph() -> None:
    offered = LiteRtBackend.known_platforms()
    assert [str(one) for one in offered] == [
        "cpu-litert-fp32",
        "cpu-litert-fp32-2t",
        "cpu-litert-int8dyn",
        "cpu-litert-int8dyn-2t",
    ]
    assert {one.view for one in offered} == {GraphView.OPTIMISED}


def test_facts_name_the_engine_and_a_failure_names_the_operator() -> None:
    pytest.importorskip("ai_edge_litert")
    good, bad = backend_of("cpu-litert-int8dyn-2t").measure([write_network(8, 1), write_impossible_network()], QUICK)
    assert isinstance(good, Measurement), good
    assert good.facts["engine"].startswith("ai-edge-litert 2.")
    assert good.facts["n_threads"] == 2
    assert isinstance(bad, MeasurementFailure)
    assert "NoEngineHasThis" in bad.reason
