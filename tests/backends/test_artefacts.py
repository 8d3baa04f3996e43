from __future__ import annotations

from pathlib import Path

import pytest

from nnlqp_nas.backends.agreement import REFERENCE
from nnlqp_nas.backends.artefacts import Artefacts, made_once
from nnlqp_nas.backends.isolated_backend import MODEL
from nnlqp_nas.core import Measurement, MeasurementFailure, Platform, TimingProtocol
from nnlqp_nas.testing.backend_contract import write_network
from nnlqp_nas.testing.faulty_engine import FaultyBackend

PASS = TimingProtocol(warmup_s=0.01, min_runs=3, min_time_s=0.01, max_time_s=0.1, time_limit_s=60.0, n_retries=0, n_passes=1, max_passes=1)


def test_the_folder_of_a_network_stays_until_others_come() -> None:
    with Artefacts(n_kept=2) as artefacts:
        first = artefacts.folder("a", 1)
        (first / "file").touch()
        second = artefacts.folder("a", 8)
        assert first != second
        assert artefacts.folder("a", 1) == first
        third = artefacts.folder("b", 1)
        # The one used longest ago went.
        assert [path.exists() for path in (first, second, third)] == [True, False, True]
        assert (first / "file").exists()
        assert not list(artefacts.folder("a", 8).iterdir())
    assert not any(path.exists() for path in (first, second, third))


def test_what_was_made_is_not_made_again_and_what_failed_is(tmp_path: Path) -> None:
    answers = iter(["no disk", None])
    calls: list[str | None] = []

    def make() -> str | None:
        calls.append(next(answers))
        return calls[-1]

    assert [made_once(tmp_path, "model", make) for _ in range(3)] == ["no disk", None, None]
    assert calls == ["no disk", None]
    answers = iter(["another"])
    assert made_once(tmp_path, "model.int8", make) == "another"


def test_two_backends_share_one_conversion() -> None:
    graph = write_network(8, 1)
    good, bad = (FaultyBackend(Platform(fault, "faulty", "fp32")) for fault in ("none", "raise_load"))
    with Artefacts() as artefacts:
        good.artefacts = bad.artefacts = artefacts
        assert isinstance(good.measure([graph], PASS)[0], Measurement)
        made = {name: (artefacts.folder(graph.key, 1) / name).stat().st_mtime_ns for name in (MODEL, REFERENCE)}
        assert isinstance(bad.measure([graph], PASS)[0], MeasurementFailure)
        assert {name: (artefacts.folder(graph.key, 1) / name).stat().st_mtime_ns for name in made} == made


@pytest.mark.slow
def test_engines_that_read_the_same_file_quantise_once() -> None:
    pytest.importorskip("openvino")
    from nnlqp_nas.backends.onnxruntime import OnnxRuntimeBackend
    from nnlqp_nas.backends.openvino import OpenVinoBackend
    from nnlqp_nas.backends.static_quantisation import QUANTISED

    graph = write_network(8, 1)
    engines = OnnxRuntimeBackend(Platform.parse("cpu-onnxruntime-int8")), OpenVinoBackend(Platform.parse("cpu-openvino-int8"))
    with Artefacts() as artefacts:
        made = []
        for engine in engines:
            engine.artefacts = artefacts
            assert isinstance(engine.measure([graph], PASS)[0], Measurement)
            made.append((artefacts.folder(graph.key, 1) / QUANTISED).stat().st_mtime_ns)
    assert made[0] == made[1]
