from __future__ import annotations

from typing import Any

import pytest

from benchmarks.engine_tools import FILES, TOOLS
from benchmarks.own_tools import compare, has_tool, summarise
from nnlqp_nas.core import Platform


def row(platform: str, tool: str, ratio: float | None) -> dict[str, Any]:
    return {"platform": platform, "network": "vgg", "tool": tool, **({"reason": "theirs: no"} if ratio is None else {"ratio": ratio})}


def test_the_median_over_networks_counts_and_only_the_first_tool() -> None:
    timer, profiler = TOOLS["onnxruntime"]
    ratios: dict[tuple[str, str], tuple[float | None, ...]] = {
        ("cpu-onnxruntime-fp32", timer): (0.97, 1.04, 1.3),
        ("cpu-onnxruntime-fp32", profiler): (0.5, 0.6, 0.7),
        ("cpu-torch-fp32", *TOOLS["torch"]): (1.06, 1.07, None),
        ("cpu-tract-fp32", *TOOLS["tract"]): (None,),
    }
    result = summarise([row(*pair, ratio) for pair, group in ratios.items() for ratio in group])
    told = {(one["platform"], one["tool"]): (one["n"], one.get("median_ratio"), one["holds"], one["counts"]) for one in result["tools"]}
    assert told == {
        ("cpu-onnxruntime-fp32", timer): (3, 1.04, True, True),
        ("cpu-onnxruntime-fp32", profiler): (3, 0.6, False, False),
        ("cpu-torch-fp32", *TOOLS["torch"]): (2, pytest.approx(1.065), False, True),
        ("cpu-tract-fp32", *TOOLS["tract"]): (0, None, False, True),
    }
    assert not result["holds"]
    assert summarise([row("cpu-onnxruntime-fp32", timer, 0.951), row("cpu-onnxruntime-fp32", profiler, 0.5)])["holds"]


def test_tools_are_known_for_plain_cpu_platforms_only() -> None:
    assert set(FILES) == set(TOOLS)
    assert has_tool(Platform.parse("cpu-openvino-int8"))
    for name in ("cpu-openvino-int8-avx2", "cpu-onnxruntime-fp32-2t", "gpu-cuda-torch-fp32", "cpu-ncnn-fp32", "cpu-mnn-fp32"):
        assert not has_tool(Platform.parse(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cpu-onnxruntime-fp32", "cpu-openvino-fp32", "cpu-litert-fp32", "cpu-torch-fp32", "cpu-tract-fp32"])
def test_every_tool_tells_a_latency(name: str) -> None:
    pytest.importorskip({"litert": "ai_edge_litert"}.get(Platform.parse(name).software, Platform.parse(name).software))
    rows = compare([Platform.parse(name)], ["nasbench201"], n_rounds=1, core=None)["rows"]
    assert [taken["tool"] for taken in rows] == list(TOOLS[Platform.parse(name).software])
    # No bounds: tools do not notice that other processes take the core meanwhile.
    assert all(min(taken["ours_ms"], taken["theirs_ms"], taken["ratio"]) > 0 for taken in rows), rows
