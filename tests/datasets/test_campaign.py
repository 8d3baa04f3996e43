from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nnlqp_nas.core import InvalidSettingError, Platform, TimingProtocol
from nnlqp_nas.datasets.campaign import Campaign
from nnlqp_nas.datasets.journal import Journal
from nnlqp_nas.datasets.latency_row import LatencyRow, read_rows, write_rows
from nnlqp_nas.datasets.measured import MEASURED, tables_of
from nnlqp_nas.datasets.members import Member, draw_members
from nnlqp_nas.testing import InstantBackend

SLOW_CAMPAIGN = """
import time
from pathlib import Path
from nnlqp_nas.datasets.campaign import Campaign
from nnlqp_nas.datasets.members import draw_members
from nnlqp_nas.testing import InstantBackend

class Slow(InstantBackend):
    def measure(self, *arguments, **settings):
        time.sleep(0.05)
        return super().measure(*arguments, **settings)

members = draw_members("nasbench201", 40, 0, [{{"n_cells": 1}}])
Campaign(members, [Slow()], Path({journal!r}), n_rounds=2, references=members[:2], reference_every_s=0.2).run()
"""


class Elsewhere(InstantBackend):
    """The same device in another machine."""

    @property
    def host(self) -> str:
        return "another machine"


def members(n: int) -> list[Member]:
    return draw_members("nasbench201", n, 0, [{"n_cells": 1}])


def codes_of(journal: Path, number: int) -> list[str]:
    return [one.row.code for one in Journal(journal).read() if one.number == number and not one.is_reference]


def test_every_network_is_measured_once_a_round_and_a_second_run_measures_nothing(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    campaign = Campaign(members(12), [InstantBackend()], journal, n_rounds=3)
    rows = campaign.run()
    passes = Journal(journal).read()
    assert Counter(one.number for one in passes) == {0: 12, 1: 12, 2: 12}
    assert len({one.identity for one in passes}) == 36
    assert campaign.run() == rows
    assert Journal(journal).read() == passes
    assert len(rows) == len({row.identity for row in rows}) == 12


def test_the_order_is_random_another_in_each_round_and_follows_the_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        Campaign(members(12), [InstantBackend()], tmp_path / name, seed=seed, n_rounds=2).run()
    first = codes_of(tmp_path / "a", 0)
    assert first == codes_of(tmp_path / "b", 0) != codes_of(tmp_path / "c", 0)
    assert first != codes_of(tmp_path / "a", 1)
    assert first != ["-".join(map(str, member[2].code)) for member in members(12)]
    assert sorted(first) == sorted(codes_of(tmp_path / "a", 1))


def test_more_rounds_go_on_and_keep_what_was_measured(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    Campaign(members(5), [InstantBackend()], journal, n_rounds=1).run()
    before = Journal(journal).read()
    rows = Campaign(members(8), [InstantBackend()], journal, n_rounds=2).run()
    assert Journal(journal).read()[:5] == before
    assert len(Journal(journal).read()) == 16
    assert [len(json.loads(row.facts)["pass_medians_ms"]) for row in rows] == [2] * 8


def test_the_references_take_turns_all_along_and_are_no_rows(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    for n_networks, n_turns in ((6, 2), (6, 2), (7, 4)):
        rows = Campaign(members(n_networks), [InstantBackend()], journal, references=members(9)[7:]).run()
        assert len(rows) == n_networks
        references = [one for one in Journal(journal).read() if one.is_reference]
        # One turn before the first network that is missing, and one behind the last; none where none is missing.
        assert Counter(one.number for one in references) == dict.fromkeys(range(n_turns), 2)
    often = tmp_path / "often.jsonl"
    Campaign(members(6), [InstantBackend()], often, references=members(8)[6:], reference_every_s=1e-9).run()
    assert {one.number for one in Journal(often).read() if one.is_reference} == set(range(7))


def test_a_failure_is_a_row_and_does_not_stop_the_others(tmp_path: Path) -> None:
    limited = TimingProtocol(min_runs=5, warmup_s=0.5, min_time_s=0.0, max_time_s=0.0, time_limit_s=0.51)
    rows = Campaign(members(12), [InstantBackend()], tmp_path / "journal.jsonl", limited).run()
    assert {(row.latency_ms is None, row.stage, row.reason) for row in rows} == {
        (False, "", ""),
        (True, "time", "over the time limit of 0.51 s"),
    }


def test_a_line_that_a_kill_cut_off_is_measured_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    campaign = Campaign(members(6), [InstantBackend()], journal)
    whole = campaign.run()
    journal.write_bytes(journal.read_bytes()[:-20])
    assert len(campaign.rows()) == len(whole) - 1
    assert {row.identity for row in campaign.run()} == {row.identity for row in whole}


def test_a_campaign_that_was_killed_goes_on_loses_no_pass_and_repeats_none(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    process = subprocess.Popen([sys.executable, "-c", SLOW_CAMPAIGN.format(journal=str(journal))], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while (not journal.exists() or journal.read_bytes().count(b"\n") < 8) and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = Journal(journal).read()
    assert 8 <= len(before) < 80
    rows = Campaign(members(40), [InstantBackend()], journal, n_rounds=2, references=members(2)).run()
    after = Journal(journal).read()
    assert after[: len(before)] == before
    assert len({one.identity for one in after}) == len(after)
    assert Counter(one.number for one in after if not one.is_reference) == {0: 40, 1: 40}
    assert len(rows) == 40


def test_the_journal_of_another_machine_is_refused(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    Campaign(members(3), [Elsewhere()], journal).run()
    before = journal.read_bytes()
    with pytest.raises(InvalidSettingError, match=r"from one machine, got another machine in .*begin another journal"):
        Campaign(members(3), [InstantBackend()], journal).run()
    assert journal.read_bytes() == before
    # Rows of other platforms may come from wherever they do.
    other = InstantBackend(Platform.parse("gpu-instant-fp32"))
    assert len(Campaign(members(3), [other], journal).run()) == 6


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
