import pytest

from nnlqp_nas.backends.tract import TractBackend
from nnlqp_nas.core import InvalidSettingError, Measurement, Platform, TimingProtocol, UnknownPlatformError
from nnlqp_nas.core.plugins import BACKENDS, load_plugin
from nnlqp_nas.testing.backend_contract import QUICK, MeasurementBackendContract, write_network

pytest.importorskip("tract")


def backend() -> TractBackend:
    return TractBackend(Platform.parse("cpu-tract-fp32"))


@pytest.mark.slow
class TestFp32(MeasurementBackendContract):
    def make_backend(self) -> TractBackend:
        return backend()


def test_the_entry_point_leads_to_the_class() -> None:
    assert load_plugin(BACKENDS, "tract") is TractBackend


def test_the_facts_name_the_engine() -> None:
    (one,) = backend().measure([write_network(8, 1)], QUICK)
    assert isinstance(one, Measurement)
    assert one.facts["engine"].startswith("tract 0.")


def test_several_threads_are_refused_for_it_would_ignore_them() -> None:
    with pytest.raises(UnknownPlatformError, match="cpu-tract-fp32"):
        TractBackend(Platform.parse("cpu-tract-fp32-2t"))
    with pytest.raises(InvalidSettingError, match="one thread"):
        backend().measure([write_network(8, 1)], TimingProtocol(n_threads=2))
