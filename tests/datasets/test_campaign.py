from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nnlqp_nas.core import InvalidSettingError
from nnlqp_nas.datasets.campaign import Campaign, Member
from nnlqp_nas.datasets.latency_row import LatencyRow, read_rows, write_rows
from nnlqp_nas.datasets.measured import MEASURED, tables_of
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.testing import InstantBackend

_SLOW_CAMPAIGN = """
import sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_campaign import members
from nnlqp_nas.datasets.campaign import Campaign
from nnlqp_nas.testing import InstantBackend

class Slow(InstantBackend):
    def measure(self, *arguments, **settings):
        time.sleep(0.05)
        return super().measure(*arguments, **settings)

Campaign(members(60), [Slow()], Path({journal!r})).run()
"""


def members(n: int) -> list[Member]:
    space, rng = NasBench201(n_cells=1), np.random.default_rng(0)
    return [(space, {"n_cells": 1}, space.sample(rng)) for _ in range(n)]


def test_every_network_is_measured_once_and_a_second_run_measures_nothing(tmp_path: Path) -> None:
    campaign = Campaign(members(12), [InstantBackend()], tmp_path / "journal.jsonl")
    rows = campaign.run()
    assert {row.identity for row in rows} == {row.identity for row in campaign.run()}
    assert len(rows) == len({row.identity for row in rows}) == len({member[2] for member in members(12)})


def test_the_order_is_random_and_follows_the_seed(tmp_path: Path) -> None:
    codes = [
        [row.code for row in Campaign(members(12), [InstantBackend()], tmp_path / f"{name}.jsonl", seed=seed).run()]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert codes[0] == codes[1] != codes[2]
    assert codes[0] != ["-".join(map(str, member[2].code)) for member in members(12)]


def test_a_line_that_a_kill_cut_off_is_measured_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    campaign = Campaign(members(6), [InstantBackend()], journal)
    whole = campaign.run()
    journal.write_bytes(journal.read_bytes()[:-20])
    assert len(campaign.rows()) == len(whole) - 1
    assert {row.identity for row in campaign.run()} == {row.identity for row in whole}


def test_a_campaign_that_was_killed_goes_on_and_loses_no_row(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    script = _SLOW_CAMPAIGN.format(folder=str(Path(__file__).parent), journal=str(journal))
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while (not journal.exists() or journal.read_bytes().count(b"\n") < 5) and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    campaign = Campaign(members(60), [InstantBackend()], journal)
    before = campaign.rows()
    assert 5 <= len(before) < len({member[2] for member in members(60)})
    after = campaign.run()
    assert after[: len(before)] == before
    assert len({row.identity for row in after}) == len(after) == len({member[2] for member in members(60)})


def test_rows_survive_parquet_and_become_tables_again(tmp_path: Path) -> None:
    rows = Campaign(members(8), [InstantBackend()], tmp_path / "journal.jsonl").run()
    write_rows(tmp_path / "rows.parquet", rows)
    assert read_rows([tmp_path / "rows.parquet"]) == rows
    (table,) = tables_of(rows)
    assert [graph.key for graph in table.graphs] == [row.graph_key for row in rows]
    np.testing.assert_array_equal(table.latency_ms, [row.latency_ms for row in rows])


def test_a_network_that_changed_since_it_was_measured_is_noticed(tmp_path: Path) -> None:
    row = Campaign(members(1), [InstantBackend()], tmp_path / "journal.jsonl").run()[0]
    changed = LatencyRow.from_json(row.to_json().replace(row.graph_key, "0" * 32))
    with pytest.raises(InvalidSettingError, match="has changed since"):
        tables_of([changed])


def test_the_shipped_rows_are_what_their_spaces_make() -> None:
    paths = sorted(MEASURED.glob("*.parquet"))
    rows = read_rows(paths)
    sample = [row for i, row in enumerate(rows) if i % 7 == 0]
    assert paths
    agreed = [row for row in sample if row.latency_ms is not None and json.loads(row.facts)["is_repeatable"]]
    assert sum(len(table) for table in tables_of(sample)) == len(agreed) > 0
    assert all(row.host and row.n_runs > 0 for row in rows if row.latency_ms is not None)


def test_files_that_are_no_data_set_are_refused(tmp_path: Path) -> None:
    (tmp_path / "noise.parquet").write_bytes(os.urandom(500))
    with pytest.raises(InvalidSettingError, match="latency data set"):
        read_rows([tmp_path / "noise.parquet"])
    with pytest.raises(InvalidSettingError, match="latency row"):
        LatencyRow.from_json("{}")
