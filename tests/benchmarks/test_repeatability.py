from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.default_networks import CELLS, FAMILIES, default_networks, one_thread_platforms
from benchmarks.repeatability import FULL, PAIR, SINGLE, describe, variation_percent
from benchmarks.repeatability_plot import plot_variation
from nnlqp_nas.core import GraphView
from nnlqp_nas.datasets.journal import Pass
from nnlqp_nas.datasets.latency_row import LatencyRow

PLATFORM = "cpu-instant-fp32"
NAMES = {"vgg:0": "vgg", "vit:1": "vit"}


def passes_of(space: str, code: str, latencies_ms: list[float | None], platform: str = PLATFORM) -> list[Pass]:
    row = LatencyRow(space=space, settings="{}", code=code, graph_key="0", platform=platform, batch_size=1)
    facts = json.dumps({"is_disturbed": False, "spent_s": 2.0})
    measured = [replace(row, latency_ms=ms, facts=facts) if ms else replace(row, stage="run", reason="no") for ms in latencies_ms]
    return [Pass(one, number) for number, one in enumerate(measured)]


def test_the_coefficient_of_variation_is_that_of_the_text_book() -> None:
    assert variation_percent([1.0, 1.0, 1.0]) == 0
    assert variation_percent([9.0, 10.0, 11.0]) == pytest.approx(10.0)


def test_single_passes_pairs_and_full_measurements_vary_apart() -> None:
    taken = {SINGLE: passes_of("vgg", "0", [9.0, 11.0, 11.0, 9.0]), FULL: passes_of("vgg", "0", [10.0, 10.1])}
    result = describe(taken, NAMES, [PLATFORM])
    (row,) = result["rows"]
    assert (row["network"], row["n"], row["latency_ms"]) == ("vgg", 4, 10.0)
    # The first with the third, the second with the fourth: as far apart as can be.
    assert row["cv_percent"] == pytest.approx({SINGLE: variation_percent([9, 11, 11, 9]), PAIR: 0.0, FULL: variation_percent([10, 10.1])})
    assert result["platforms"][PLATFORM] == result["median_cv_percent"] == pytest.approx(row["cv_percent"])
    assert result["holds"] == {SINGLE: False, PAIR: True, FULL: True}
    assert (result["seconds_per_pass"], result["disturbed_share"]) == (2.0, 0.0)


def test_medians_are_over_networks_and_failures_have_reasons() -> None:
    passes = [*passes_of("vgg", "0", [10.0, 10.1]), *passes_of("vit", "1", [None, None]), *passes_of("vit", "9", [1.0, 9.0])]
    passes += passes_of("vgg", "0", [10.0, 10.3], "cpu-other-fp32") + passes_of("vit", "1", [1.0], "cpu-other-fp32")
    result = describe({SINGLE: passes}, NAMES, [PLATFORM])
    assert [(row["network"], row.get("reason")) for row in result["rows"]] == [("vgg", None), ("vit", "(run) no")]
    assert result["holds"][SINGLE]
    both = describe({SINGLE: passes}, NAMES, [PLATFORM, "cpu-other-fp32"])
    expected = np.median([variation_percent([10.0, 10.1]), variation_percent([10.0, 10.3])])
    assert both["median_cv_percent"][SINGLE] == pytest.approx(expected)
    assert describe({SINGLE: []}, NAMES, [PLATFORM])["holds"] == {}


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    taken = {SINGLE: [*passes_of("vgg", "0", [10.0, 10.1]), *passes_of("vit", "1", [1.0, 1.1], "cpu-other-fp32")]}
    plot_variation(describe(taken, NAMES, [PLATFORM, "cpu-other-fp32"])["rows"], 2.0, tmp_path / "deep" / "picture.png")
    assert (tmp_path / "deep" / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_eleven_networks_each_another_graph() -> None:
    networks = default_networks()
    assert list(networks) == [*FAMILIES, CELLS]
    graphs = [space.graph(architecture, GraphView.OPTIMISED) for space, _, architecture in networks.values()]
    assert len({graph.key for graph in graphs}) == 11
    assert min(map(len, graphs)) > 10


def test_platforms_of_several_threads_are_asked_for_by_name() -> None:
    names = list(map(str, one_thread_platforms()))
    assert "cpu-onnxruntime-fp32" in names
    assert not [name for name in names if name.endswith("-2t")]
