from __future__ import annotations

from typing import Any

import pytest

from benchmarks.engine_tools import FILES, NAMES
from benchmarks.own_tools import compare, has_tool, summarise
from nnlqp_nas.core import Platform


def row(platform: str, ratio: float | None) -> dict[str, Any]:
    return {"platform": platform, "network": "vgg", **({"reason": "theirs: no"} if ratio is None else {"ratio": ratio})}


def test_the_median_over_networks_counts() -> None:
    ratios = {"cpu-onnxruntime-fp32": (0.97, 1.04, 1.3), "cpu-torch-fp32": (1.06, 1.07, None), "cpu-tract-fp32": (None,)}
    result = summarise([row(name, ratio) for name, group in ratios.items() for ratio in group])
    told = {name: (one["n"], one.get("median_ratio"), one["holds"]) for name, one in result["platforms"].items()}
    assert told == {
        "cpu-onnxruntime-fp32": (3, 1.04, True),
        "cpu-torch-fp32": (2, pytest.approx(1.065), False),
        "cpu-tract-fp32": (0, None, False),
    }
    assert not result["holds"]
    assert summarise([row("cpu-torch-fp32", 0.951)])["holds"]


def test_tools_are_known_for_plain_cpu_platforms_only() -> None:
    assert set(FILES) == set(NAMES)
    assert has_tool(Platform.parse("cpu-openvino-int8"))
    for name in ("cpu-openvino-int8-avx2", "cpu-onnxruntime-fp32-2t", "gpu-cuda-torch-fp32", "cpu-ncnn-fp32", "cpu-mnn-fp32"):
        assert not has_tool(Platform.parse(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cpu-onnxruntime-fp32", "cpu-openvino-fp32", "cpu-litert-fp32", "cpu-torch-fp32", "cpu-tract-fp32"])
def test_every_tool_tells_a_latency(name: str) -> None:
    pytest.importorskip({"litert": "ai_edge_litert"}.get(Platform.parse(name).software, Platform.parse(name).software))
    (taken,) = compare([Platform.parse(name)], ["nasbench201"], n_rounds=1, core=None)["rows"]
    # No bounds: tools do not notice that other processes take the core meanwhile.
    assert min(taken["ours_ms"], taken["theirs_ms"], taken["ratio"]) > 0, taken
