from __future__ import annotations

import json
from dataclasses import replace

from benchmarks.every_platform import describe, print_table
from nnlqp_nas import load_space
from nnlqp_nas.core import Platform
from nnlqp_nas.datasets.journal import Pass
from nnlqp_nas.datasets.latency_row import LatencyRow


def test_every_answer_is_told_also_that_there_is_none(capsys) -> None:
    space = load_space("squeezenet")
    member = (space, {}, space.default)
    fast, slow = Platform.parse("cpu-instant-fp32"), Platform.parse("cpu-refusing-fp32")
    space_name, _, code = member[2].key.partition(":")
    row = LatencyRow(space=space_name, settings="{}", code=code, graph_key="0", platform=str(fast), batch_size=1)
    passes = [
        Pass(replace(row, latency_ms=1.5, facts=json.dumps({"fallback": ["Selu"]})), 0),
        Pass(replace(row, platform=str(slow), stage="load", reason="no Selu"), 0),
        Pass(replace(row, platform="cpu-other-fp32", latency_ms=9.0, facts="{}"), 0),
    ]
    result = describe(passes, {"squeezenet": member}, [fast, slow])
    assert (result["n_platforms"], result["n_asked"], result["n_measured"]) == (2, 2, 1)
    print_table(result)
    said = capsys.readouterr().out
    assert "1.500*" in said
    assert "squeezenet on cpu-refusing-fp32: (load) no Selu" in said
    assert "Selu ran on ONNX Runtime" in said
