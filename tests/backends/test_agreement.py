from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnlqp_nas.backends.agreement import Agreement, compare, facts_of, read_reference, write_reference
from nnlqp_nas.core import Measurement, MeasurementFailure, Platform, TimingProtocol
from nnlqp_nas.graphs import to_onnx
from nnlqp_nas.testing.backend_contract import write_network
from nnlqp_nas.testing.faulty_engine import FaultyBackend

PASS = TimingProtocol(warmup_s=0.01, min_runs=3, min_time_s=0.01, max_time_s=0.1, time_limit_s=60.0, n_retries=0, n_passes=1, max_passes=1)


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.floats(0, 0.5))
@settings(max_examples=30, deadline=None)
def test_the_error_is_relative_to_the_largest_output(seed: int, scale: float, error: float) -> None:
    reference = scale * np.random.default_rng(seed).standard_normal((2, 30)).astype(np.float32)
    largest = np.abs(reference).max()
    moved = reference.copy()
    moved[1, 7] += error * largest
    agreement = compare([moved], [reference])
    assert agreement.largest_error == pytest.approx(error, abs=1e-5)
    assert compare([reference], [reference]) == Agreement(0.0, pytest.approx(1.0))


def test_all_outputs_count_together_and_in_their_order() -> None:
    one, two = np.float32([1, 0]), np.float32([[0, 1, 0]])
    assert compare([one, two], [one, two]).cosine == pytest.approx(1.0)
    assert compare([one, two], [one, -two]) == Agreement(2.0, 0.0)
    for wrong in ([one], [two, one], [one, two, two]):
        with pytest.raises(ValueError, match="expected outputs of"):
            compare(wrong, [one, two])


def test_outputs_of_nothing_but_zeros() -> None:
    zeros, ones = np.zeros(3, np.float32), np.ones(3, np.float32)
    assert compare([zeros], [zeros]) == Agreement(0.0, 1.0)
    assert compare([ones], [zeros]).complaint("fp32")
    assert compare([zeros], [ones]).complaint("int8")


@pytest.mark.parametrize(
    ("precision", "agreement", "is_refused"),
    [
        ("fp32", Agreement(9e-4, 0.0), False),
        ("fp32", Agreement(1.1e-3, 1.0), True),
        ("fp16", Agreement(0.5, 0.9995), False),
        ("fp16", Agreement(0.0, 0.998), True),
        ("bf16", Agreement(0.5, 0.985), False),
        ("bf16", Agreement(0.0, 0.97), True),
        ("int8", Agreement(0.9, 0.96), False),
        ("int8dyn", Agreement(0.0, 0.94), True),
        ("int8", Agreement(0.0, float("nan")), True),
    ],
)
def test_lower_precisions_are_held_to_the_cosine(precision: str, agreement: Agreement, is_refused: bool) -> None:
    assert (agreement.complaint(precision) is not None) is is_refused


def test_noise_as_of_eight_bits_passes_where_another_network_does_not() -> None:
    rng = np.random.default_rng(0)
    reference = rng.standard_normal(1000).astype(np.float32)
    step = float(np.ptp(reference)) / 255
    assert compare([np.round(reference / step) * step], [reference]).complaint("int8") is None
    complaint = compare([rng.standard_normal(1000).astype(np.float32)], [reference]).complaint("int8")
    assert complaint is not None
    assert "cosine of at least 0.95" in complaint


def test_the_reference_survives_its_file(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(to_onnx(write_network(8, 1)).SerializeToString())
    inputs = [np.random.default_rng(0).standard_normal((1, 3, 16, 16), dtype=np.float32)]
    write_reference(tmp_path / "model.onnx", inputs, tmp_path / "reference.npz")
    (output,) = read_reference(tmp_path / "reference.npz")
    assert output.shape == (1, 10)
    assert np.isfinite(output).all()


def test_a_wrong_output_is_a_failure_of_the_comparison_and_a_right_one_leaves_its_error() -> None:
    graph = write_network(8, 1)
    right, wrong = (FaultyBackend(Platform(fault, "faulty", "fp32")).measure([graph], PASS)[0] for fault in ("none", "wrong_output"))
    assert isinstance(wrong, MeasurementFailure)
    assert wrong.stage == "compare"
    assert wrong.reason.startswith("ValueError: expected the outputs of ONNX Runtime within 0.001, got a difference of ")
    assert isinstance(right, Measurement)
    assert {"largest_error": right.facts["largest_error"], "cosine": right.facts["cosine"]} == facts_of(Agreement(0.0, 1.0))
