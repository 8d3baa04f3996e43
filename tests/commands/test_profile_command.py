"""``nnlqp-nas profile``: its JSON, its tables, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnlqp_nas.commands.profile import describe_times
from nnlqp_nas.core import OperatorTime
from nnlqp_nas.graphs import to_onnx
from nnlqp_nas.main import main
from nnlqp_nas.testing.backend_contract import write_network

GRAPH = write_network(8, 2)

FALLING_BACK = """
from dataclasses import replace
from nnlqp_nas.testing.instant_backend import InstantBackend
class OwnBackend(InstantBackend):
    def profile(self, graph, batch_size=1):
        return [replace(one, fell_back=one.op_type == "Gemm") for one in super().profile(graph, batch_size)]
    def measure(self, graphs, protocol=None, batch_size=1, on_result=None):
        return [self._failure(graph, batch_size, "compare", "expected outputs near, got far") for graph in graphs]
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(to_onnx(GRAPH).SerializeToString())
    return tmp_path / "model.onnx"


@pytest.fixture
def falling_back(example_plugins: Path) -> None:
    """Let the backend 'instant' fall back on linear layers, and measure nothing."""
    (example_plugins / f"{example_plugins.name}_backend.py").write_text(FALLING_BACK)
    entry_points = example_plugins / "example_plugins-1.0.dist-info" / "entry_points.txt"
    own = f"{example_plugins.name}_backend:OwnBackend"
    entry_points.write_text(entry_points.read_text().replace("nnlqp_nas.testing.instant_backend:InstantBackend", own))


def test_the_document_accounts_for_every_node_once(model: Path, example_plugins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", str(model), "--platform", "cpu-instant-fp32", "--batch-size", "2", "--json"]) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert said.err == ""
    expected = {"model": str(model), "graph_key": GRAPH.key, "platform": "cpu-instant-fp32", "batch_size": 2, "not_measured": None}
    assert expected.items() <= document.items()
    assert document["host"]
    assert document["latency_ms"] == pytest.approx(document["total_ms"], rel=0.1)
    for part in ("nodes", "operators"):
        times = [row["time_ms"] for row in document[part]]
        assert times == sorted(times, reverse=True)
        assert sum(times) == pytest.approx(document["total_ms"])
        assert sum(row["share"] for row in document[part]) == pytest.approx(1.0)
    assert sum(row["n"] for row in document["operators"]) == len(document["nodes"])
    assert {row["op_type"]: row["n"] for row in document["operators"]}["Conv"] == 2


def test_the_tables_name_the_slowest_and_no_fallback(model: Path, example_plugins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", str(model), "--platform", "cpu-instant-fp32"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["operator", "n", "ms", "share"]
    assert lines[1].split()[0] == "Conv"
    assert "every node ran on the engine's own kernels" in lines
    assert "ms in all nodes" in lines[-1]
    assert "ms a run without the profiler" in lines[-1]


def test_nodes_that_fell_back_and_a_failed_measurement_are_told(
    model: Path, falling_back: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", str(model), "--platform", "cpu-instant-fp32"]) == 0
    said = capsys.readouterr().out
    assert "1 nodes fell back to a slower kernel: Gemm_" in said
    assert "was not measured: (compare) expected outputs near, got far" in said
    assert main(["profile", str(model), "--platform", "cpu-instant-fp32", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["latency_ms"] is None
    assert [row["op_type"] for row in document["nodes"] if row["fell_back"]] == ["Gemm"]


def test_a_profile_without_time_has_no_shares_and_no_division() -> None:
    document = describe_times([OperatorTime("a", "Relu", 0.0), OperatorTime("b", "Add", 0.0)])
    assert (document["total_ms"], [row["share"] for row in document["nodes"]]) == (0, [0.0, 0.0])
    assert describe_times([]) == {"total_ms": 0, "operators": [], "nodes": []}


@pytest.mark.parametrize(
    ("platform", "message"),
    [
        ("cpu-ncnn-fp32", "(instant, mnn, onnxruntime, openvino, torch, tract), got cpu-ncnn-fp32"),
        ("gpu-T4-trt7.1-fp32", "no backend measures gpu-T4-trt7.1-fp32"),
        ("cpu-instan-fp32", "nearest known: cpu-instant-fp32"),
    ],
)
def test_platforms_without_profiler_are_refused(
    platform: str, message: str, model: Path, example_plugins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if platform.split("-")[1] == "ncnn":
        pytest.importorskip("ncnn")
    assert main(["profile", str(model), "--platform", platform]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert message in said.err


def test_bad_models_are_refused(model: Path, example_plugins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model.parent / "text.onnx").write_text("hello")
    for path in (model.parent / "none.onnx", model.parent / "text.onnx"):
        assert main(["profile", str(path), "--platform", "cpu-instant-fp32"]) == 2
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1)


@pytest.mark.slow
def test_a_real_engine_names_its_own_nodes(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", str(model), "--platform", "cpu-onnxruntime-fp32", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert "Conv" in {row["op_type"] for row in document["operators"]}
    assert document["total_ms"] > 0
    assert document["latency_ms"] > 0
    assert not any(row["fell_back"] for row in document["nodes"])
