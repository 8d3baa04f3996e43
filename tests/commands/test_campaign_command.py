"""``nnlqp-nas campaign``: parquet files, rows in the database, and what it refuses."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from nnlqp_nas.core import Platform
from nnlqp_nas.database import open_database
from nnlqp_nas.datasets.journal import Journal
from nnlqp_nas.datasets.latency_row import read_rows
from nnlqp_nas.main import main

TINY = ("campaign=small", "campaign.nasbench201=2", "campaign.mobilenetv2=0", "campaign.resnet=0", "n_references=0")
BRIEF = ("protocol.warmup_s=0.01", "protocol.min_time_s=0.02", "protocol.max_time_s=0.2")


def run(folder: Path, *overrides: str) -> int:
    return main(["campaign", *TINY, f"output={folder / 'out'}", f"database={folder / 'latency.sqlite'}", *overrides])


def stored(folder: Path, platform: str) -> int:
    with closing(open_database(folder / "latency.sqlite")) as database:
        return database.count_rows().get(Platform.parse(platform), 0)


def check_tiny_campaign(folder: Path, platform: str, capsys: pytest.CaptureFixture[str], *overrides: str) -> None:
    """Measure two networks twice, and find them wherever they must be; the second run measures nothing."""
    for _ in range(2):
        assert run(folder, f"platforms=[{platform}]", *overrides, "--json") == 0
        assert json.loads(capsys.readouterr().out) == {"output": str(folder / "out"), "rows": 2, "failures": 0}
        journal = Journal(folder / "out" / "journal.jsonl").read()
        assert Counter(one.number for one in journal) == {0: 2, 1: 2}
        rows = read_rows([folder / "out" / f"{platform}.parquet"])
        assert [row.latency_ms is not None and len(json.loads(row.facts)["pass_medians_ms"]) for row in rows] == [2, 2]
        assert {row.graph_key for row in rows} == {one.row.graph_key for one in journal}
        assert stored(folder, platform) == 2


def test_a_campaign_leaves_parquet_and_rows_in_the_database_and_a_second_run_measures_nothing(
    tmp_path: Path, example_plugins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_tiny_campaign(tmp_path, "cpu-instant-fp32", capsys)


@pytest.mark.slow
def test_a_campaign_on_a_true_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_tiny_campaign(tmp_path, "cpu-onnxruntime-fp32", capsys, *BRIEF)
    rows = read_rows([tmp_path / "out" / "cpu-onnxruntime-fp32.parquet"])
    assert all(json.loads(row.facts)["largest_error"] < 1e-3 for row in rows)


def test_more_rounds_and_more_networks_go_on_from_what_is_there(
    tmp_path: Path, example_plugins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = "platforms=[cpu-instant-fp32]"
    assert run(tmp_path, here, "n_rounds=1", "database=false") == 0
    first = Journal(tmp_path / "out" / "journal.jsonl").read()
    assert run(tmp_path, here, "n_rounds=2", "campaign.nasbench201=3", "database=false") == 0
    after = Journal(tmp_path / "out" / "journal.jsonl").read()
    assert after[: len(first)] == first
    assert Counter(one.number for one in after) == {0: 3, 1: 3}
    assert not (tmp_path / "latency.sqlite").exists()
    assert capsys.readouterr().out.splitlines()[-1].startswith("3 rows, and 0 failures with their reasons, in ")


def test_the_reference_set_is_measured_and_no_row(tmp_path: Path, example_plugins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "platforms=[cpu-instant-fp32]", "n_references=2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 2
    references = [one for one in Journal(tmp_path / "out" / "journal.jsonl").read() if one.is_reference]
    assert Counter(one.row.space for one in references) == {"mobilenetv2": 2, "nasbench201": 2}
    assert {one.number for one in references} == {0, 1}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["platforms=[cpu-instan-fp32]"], "nearest known: cpu-instant-fp32"),
        (["platforms=[gpu-T4-trt7.1-fp32]"], "no backend measures gpu-T4-trt7.1-fp32"),
        (["platforms=[]"], "expected at least one platform, got none"),
        (["+campaign.nasbench=3"], "nearest known: nasbench201"),
        (["campaign.nasbench=3"], "'campaign.nasbench'"),
        (["campaign=smal"], "nearest known: small"),
        (["campaign.nasbench201=-1"], "expected campaign.nasbench201 to be a number of networks >= 0, got -1"),
        (["n_rounds=0"], "expected n_rounds to be a whole number >= 1, got 0"),
        (["batch_size=1.5"], "expected batch_size to be a whole number >= 1, got 1.5"),
        (["n_references=99"], "expected n_references <= 6, got 99"),
        (["protocol.min_time_s=9"], "expected 0 <= min_time_s <= max_time_s"),
        (["seed"], "expected overrides like seed=3"),
    ],
)
def test_bad_settings_are_refused_in_one_line(
    overrides: list[str], message: str, tmp_path: Path, example_plugins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "platforms=[cpu-instant-fp32]", *overrides) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert message in said.err
    assert not list(tmp_path.iterdir())


def test_help_shows_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["campaign", "--help"]) == 0
    text = capsys.readouterr().out
    for words in ("nnlqp-nas campaign campaign=small", "n_rounds: 2", "reference_every_s: 600"):
        assert words in text
