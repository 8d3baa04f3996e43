"""``nnlqp-nas dataset``: what it prints, what it refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnlqp_nas.core import Platform
from nnlqp_nas.database import open_database
from nnlqp_nas.datasets.latency_row import LatencyRow, write_rows
from nnlqp_nas.main import main
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.testing import InstantBackend

T4, CPU = "gpu-T4-trt7.1-fp32", "cpu-instant-fp32"
COUNTS = {"rows": 10, "platforms": {CPU: 5, T4: 5}, "families": {"nasbench201": 10}}


class Dataset:
    """Runs ``nnlqp-nas dataset`` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *arguments: object) -> tuple[int, str, str]:
        """Return exit code, standard output and standard error."""
        try:
            code = main(["dataset", *map(str, arguments)])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        out, err = self._capsys.readouterr()
        return code, out, err

    def json(self, *arguments: object) -> Any:
        """Run with ``--json`` where nothing is to complain about."""
        code, out, err = self.run(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    def refusal(self, *arguments: object) -> str:
        """Run what must be refused, and return the one line."""
        code, out, err = self.run(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        return err


@pytest.fixture
def dataset(capsys: pytest.CaptureFixture[str]) -> Dataset:
    return Dataset(capsys)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Five networks on two platforms, and a failure, as parquet."""
    space, rng = NasBench201(n_cells=1), np.random.default_rng(1)
    members = [space.sample(rng) for _ in range(5)]
    rows = []
    for name in (T4, CPU):
        backend = InstantBackend(Platform.parse(name))
        results = backend.measure([space.graph(member, backend.platform.view) for member in members])
        rows += [LatencyRow.of(member, {"n_cells": 1}, result) for member, result in zip(members, results, strict=True)]
    failure = LatencyRow(space="vgg", settings="{}", code="1", graph_key="0" * 32, platform=CPU, batch_size=1, stage="run", reason="no")
    write_rows(tmp_path / "rows.parquet", [*rows, failure])
    return tmp_path / "rows.parquet"


def test_info_counts_any_source(dataset: Dataset, table: Path, tmp_path: Path) -> None:
    out, base = tmp_path / "out", tmp_path / "latency.sqlite"
    dataset.run("export", out, "--from", table)
    dataset.run("import", table, "--database", base)
    for source, n_failures in ((table, 1), (table.parent, 1), (out, 0), (out / "gt.txt", 0), (base, 1), (f"sqlite:///{base}", 1)):
        expected = COUNTS | {"failures": n_failures}
        if source == table.parent:  # the exported folder lies in it too
            expected = {"rows": 20, "platforms": {CPU: 10, T4: 10}, "families": {"nasbench201": 20}, "failures": 1}
        assert dataset.json("info", source) == expected
    code, text, err = dataset.run("info", table)
    assert (code, err) == (0, "")
    assert "10 rows, and 1 failures" in text
    assert [line.split() for line in text.splitlines() if line.startswith(T4)] == [[T4, "5"]]


def test_info_of_what_is_shipped(dataset: Dataset) -> None:
    counted = dataset.json("info")
    assert set(counted) == {"rows", "platforms", "families", "failures"}
    assert counted["rows"] == sum(counted["platforms"].values()) == sum(counted["families"].values())


def test_export_and_import_give_the_same_rows(dataset: Dataset, table: Path, tmp_path: Path) -> None:
    out, base = tmp_path / "out", tmp_path / "latency.sqlite"
    assert dataset.json("export", out, "--from", table) == {"target": str(out), "rows": 10, "failures": 0, "left_out": 1}
    for added, known in ((10, 0), (0, 10)):
        answer = dataset.json("import", out, "--database", base)
        assert (answer["added"], answer["known"], answer["malformed"], answer["skipped"]) == (added, known, 0, 0)
    database = open_database(base)
    assert database.count_rows() == {Platform.parse(T4): 5, Platform.parse(CPU): 5}
    database.close()
    assert dataset.run("import", out, "--database", base)[1].startswith("0 rows added to ")


def test_parquet_to_parquet_may_be_a_part(dataset: Dataset, table: Path, tmp_path: Path) -> None:
    part = tmp_path / "parts" / "t4.parquet"
    assert dataset.json("export", part, "--from", table, "--platform", T4, "--family", "nasbench201")["rows"] == 5
    assert dataset.json("info", part)["platforms"] == {T4: 5}
    whole = tmp_path / "whole.parquet"
    assert dataset.json("export", whole, "--from", table) == {"target": str(whole), "rows": 10, "failures": 1, "left_out": 0}


def test_what_cannot_be_read_is_named_and_the_rest_kept(dataset: Dataset, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    dataset.run("export", out, "--from", table)
    with (out / "gt.txt").open("a") as file:
        file.write("rubbish\n" * 30 + "".join(f"{i} onnx/none{i}.onnx 1 1.0 vgg 2\n" for i in range(30)) + "1 a.onnx 1 1.0 vgg 77\n" * 3)
    code, text, err = dataset.run("import", out, "--json")
    told = err.splitlines()
    assert code == 0
    assert {f"{out / 'gt.txt'}:{number}" for number in range(11, 41)} <= {line.partition(": ")[0] for line in told}
    assert sum("onnx/none" in line for line in told) == 19
    assert told[-1].startswith("... and 11 more lines")
    answer = json.loads(text)
    assert (answer["added"], answer["malformed"], answer["skipped"]) == (10, 30, 33)
    assert "number 77" in err
    answer = json.loads(dataset.run("import", out, "--json", "--platform-id", f"77={T4}")[1])
    assert (answer["added"], answer["known"], answer["skipped"]) == (0, 10, 33)


def test_bad_input_is_refused_in_one_line(dataset: Dataset, table: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise.parquet").write_bytes(os.urandom(300))
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "nothing.txt").write_text("")
    for source in ("nowhere", "empty", "noise.parquet", "text.onnx"):
        for action in (["info", tmp_path / source], ["import", tmp_path / source], ["export", tmp_path / "x", "--from", tmp_path / source]):
            assert source in dataset.refusal(*action)
    assert "got none" in dataset.refusal("import", tmp_path / "nothing.txt")
    assert T4 in dataset.refusal("export", tmp_path / "x", "--from", table, "--platform", "gpu-T4-trt7.1-fp16")
    assert "nasbench201" in dataset.refusal("export", tmp_path / "x", "--from", table, "--family", "nasbench")
    assert "exists" in dataset.refusal("export", table, "--from", table)
    assert "share" in dataset.refusal("export", tmp_path / "x", "--from", table, "--test-share", "2")
    assert "such as 1001" in dataset.refusal("info", table, "--platform-id", "77")
    assert "--help" in dataset.refusal("nothing")
    assert "--help" in dataset.refusal("import")
    assert not (tmp_path / "x").exists()


def test_a_list_without_a_readable_line_is_exit_code_two(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("rubbish\n")
    code, out, err = dataset.run("import", tmp_path)
    assert (code, out) == (2, "")
    assert f"{tmp_path / 'gt.txt'}:1: " in err
    assert "got none" in err.splitlines()[-1]


def test_help_shows_examples(dataset: Dataset) -> None:
    for action in ((), ("import",), ("export",), ("info",)):
        code, out, _ = dataset.run(*action, "--help")
        assert code == 0
        assert "  nnlqp-nas dataset import" in out.partition("examples:")[2]
