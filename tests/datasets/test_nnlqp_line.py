from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlqp_nas.core import InvalidSettingError, Platform
from nnlqp_nas.datasets.nnlqp_line import PLATFORM_IDS, NnlqpLine, parse_platform
from nnlqp_nas.platforms import registered_platforms

EXAMPLE = "553312 onnx/nnmeter_alexnet/nnmeter_alexnet_transform_0130.onnx 8 90.88183 alexnet 2 train"

words = st.text(string.ascii_letters + string.digits + "_./-", min_size=1, max_size=20)
lines = st.builds(
    NnlqpLine,
    graph_id=words,
    onnx_path=st.lists(words, min_size=1, max_size=3).map(" ".join),
    batch_size=st.integers(1, 4096),
    latency_ms=st.floats(min_value=1e-300, allow_infinity=False, exclude_min=True),
    model_type=words,
    platform_id=st.integers(0, 10**9 - 1),
    stage=st.sampled_from(["", "train", "test"]),
)


@given(lines)
def test_what_is_written_is_read_again_bit_by_bit(line: NnlqpLine) -> None:
    assert NnlqpLine.parse(str(line)) == line


def test_a_line_as_nnlqp_writes_it() -> None:
    assert NnlqpLine.parse(EXAMPLE) == NnlqpLine(
        graph_id="553312",
        onnx_path="onnx/nnmeter_alexnet/nnmeter_alexnet_transform_0130.onnx",
        batch_size=8,
        latency_ms=90.88183,
        model_type="alexnet",
        platform_id=2,
        stage="train",
    )


@pytest.mark.parametrize("space", ["  ", "\t", " \t "])
@pytest.mark.parametrize("end", ["", " ", "\n", "\r\n", " \t\r\n"])
def test_white_space_of_any_kind_parts_fields(space: str, end: str) -> None:
    assert NnlqpLine.parse(EXAMPLE.replace(" ", space) + end) == NnlqpLine.parse(EXAMPLE)


def test_the_stage_may_be_missing() -> None:
    assert NnlqpLine.parse(EXAMPLE.removesuffix(" train")).stage == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 onnx/a.onnx 8 90.8 alexnet", "GraphID"),
        ("1 8 90.8 alexnet 2 train", "GraphID"),
        ("553312", "GraphID"),
        ("1 a.onnx 0 90.8 alexnet 2", "batch size >= 1"),
        ("1 a.onnx -8 90.8 alexnet 2", "batch size"),
        ("1 a.onnx 1_0 90.8 alexnet 2", "batch size"),
        ("1 a.onnx ٣ 90.8 alexnet 2", "batch size"),
        (f"1 a.onnx {'9' * 5000} 90.8 alexnet 2", "batch size"),
        ("1 a.onnx 8 nan alexnet 2", "latency"),
        ("1 a.onnx 8 inf alexnet 2", "latency"),
        ("1 a.onnx 8 1e9999 alexnet 2", "latency"),
        ("1 a.onnx 8 0 alexnet 2", "latency"),
        ("1 a.onnx 8 -3.5 alexnet 2", "latency"),
        ("1 a.onnx 8 . alexnet 2", "latency"),
        ("1 a.onnx 8 90,8 alexnet 2", "latency"),
        ("1 a.onnx 8 90.8 alexnet T4 train", "platform number"),
        ("1 a.onnx 8 90.8 \x1b[31malexnet 2", "model type"),
    ],
)
def test_malformed_lines_are_refused_in_one_printable_line(text: str, said: str) -> None:
    with pytest.raises(InvalidSettingError, match=said) as caught:
        NnlqpLine.parse(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@given(st.text(max_size=60))
def test_any_text_is_a_line_or_refused(text: str) -> None:
    try:
        line = NnlqpLine.parse(text)
    except InvalidSettingError:
        return
    assert line.batch_size >= 1
    assert 0 < line.latency_ms < float("inf")


def test_the_numbers_of_nnlqp_are_registered_platforms() -> None:
    assert list(PLATFORM_IDS) == [1, 2, 9, 10, 12, 13, 14, 16, 18, 23]
    assert {Platform.parse(name) for name in PLATFORM_IDS.values()} <= set(registered_platforms())


def test_platforms_are_named_by_number() -> None:
    named = 1001, Platform.parse("cpu-onnxruntime-fp32")
    assert parse_platform("1001 cpu-onnxruntime-fp32\n") == parse_platform("1001=cpu-onnxruntime-fp32") == named
    for text in ("", "1001", "x cpu-onnxruntime-fp32", "1001 cpu", "1001 cpu-onnxruntime-fp32 more"):
        with pytest.raises(InvalidSettingError):
            parse_platform(text)
