from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.faults import EXPECTED, NONE, assign_faults, judge, run_faulty_campaign
from nnlqp_nas.datasets.latency_row import LatencyRow
from nnlqp_nas.datasets.members import draw_members

ROW = LatencyRow(space="nasbench201", settings="{}", code="0", graph_key="a", platform="none-faulty-fp32", batch_size=1, latency_ms=1.0)


def failed(key: str, stage: str, reason: str) -> LatencyRow:
    return replace(ROW, graph_key=key, latency_ms=None, stage=stage, reason=reason)


def test_the_seed_says_which_network_fails_how_and_the_kinds_are_even() -> None:
    members = draw_members("nasbench201", 30, 0, [{"n_cells": 1}])
    faults = assign_faults(members, 15, seed=1)
    assert faults == assign_faults(members, 15, seed=1) != assign_faults(members, 15, seed=2)
    assert Counter(faults.values()) == dict.fromkeys(EXPECTED, 3)


def test_a_fault_told_as_another_and_a_lost_row_are_noticed() -> None:
    faults = {"a": NONE, "b": "crash", "c": "hang", "d": NONE}
    rows = [ROW, failed("b", "run", "crashed by signal SIGSEGV"), failed("c", "load", "killed at the time limit of 1 s")]
    told = {one["fault"]: (one["n_items"], one["n_rows"], one["n_as_expected"]) for one in judge(rows, faults)}
    assert told == {
        NONE: (2, 1, 1),
        "crash": (1, 1, 1),
        "hang": (1, 1, 0),
        "eat_memory": (0, 0, 0),
        "wrong_output": (0, 0, 0),
        "no_file": (0, 0, 0),
    }


@pytest.mark.slow
def test_a_campaign_of_faulty_engines_ends_and_tells_each_fault() -> None:
    result = run_faulty_campaign(n_items=10, n_faults=5, seed=0, time_limit_s=20.0, cores=None)
    assert result["holds"], result
    assert all(one["n_items"] == (5 if one["fault"] == NONE else 1) for one in result["faults"])
