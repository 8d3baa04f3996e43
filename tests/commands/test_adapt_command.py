from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from nnlqp_nas.checkpoints import ADAPTED, DEFAULT, checkpoint_names, default_name, keep_predictor, load_predictor, own_folder
from nnlqp_nas.core import Architecture, InvalidSettingError, Measurement, MeasurementFailure, Platform
from nnlqp_nas.graphs import graph_cost
from nnlqp_nas.main import main
from nnlqp_nas.platform_status import resolve_platform
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.testing import ConstantPredictor, InstantBackend

SPACE = NasBench201()
BOARD = Platform.parse("my-board-own-fp32")
FAST = ["predictor=flops_linear", "platform=my-board"]


def formula_ms(key: str) -> float:
    return 0.4 + graph_cost(SPACE.graph(Architecture.from_key(key))).flops / 3e7


def write_table(path: Path, n: int = 12, changes: dict[int, str] | None = None, factor: float = 1.0) -> Path:
    """Write a filled table whose row i has another text in its last cell where ``changes`` says so."""
    rng = np.random.default_rng(5)
    keys: dict[str, str] = {}
    while len(keys) < n:
        member = SPACE.sample(rng)
        if len(SPACE.graph(member)) > 10:
            keys[SPACE.graph(member).key] = member.key
    cells = [f"{formula_ms(key) * factor:.6f}" for key in keys.values()]
    for row, text in (changes or {}).items():
        cells[row] = text
    path.write_text("architecture,latency_ms\n" + "".join(f"{key},{cell}\n" for key, cell in zip(keys.values(), cells, strict=True)))
    return path


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["n_samples=2"], "expected n_samples to be a whole number >= 3, got 2"),
        (["batch_size=0"], "expected batch_size to be a whole number >= 1"),
        (["seed=-1"], "expected seed to be a whole number >= 0"),
        (["n_sample=3"], "nearest known: n_samples"),
        (["table=absent.csv"], "expected a table in CSV, got absent.csv"),
        (["table=3"], "expected table to be a text, got 3"),
        (["platform='my board'"], "expected a hardware name"),
        (["platform=gpu-T4"], "expected one platform, got 'gpu-T4', which may be gpu-T4-"),
        (["platform=cpu-onnxruntime-fp32", "protocol.min_runs=0"], "expected min_runs >= 1"),
        (["platform=cpu-onnxruntime-fp32", "protocol.min_run=3"], "nearest known: protocol.min_runs"),
        (["name=../mine", "table=good.csv"], "expected a name for the predictor"),
        (["name=universal", "table=good.csv"], "expected a name that no shipped predictor has"),
    ],
)
def test_bad_settings_are_refused_in_one_line_and_nothing_is_kept(overrides, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "good.csv")
    assert main(["adapt", *FAST, *overrides]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert not own_folder().exists()


@pytest.mark.parametrize(
    ("n", "changes", "message"),
    [
        (12, {4: ""}, "in line 6, got an empty cell"),
        (12, {0: "-3.1"}, "expected a latency above 0 ms in line 2, got -3.1"),
        (12, {11: "0"}, "expected a latency above 0 ms in line 13"),
        (12, {2: "nan"}, "expected a latency above 0 ms in line 4, got nan"),
        (12, {2: "3.1 ms"}, "in line 4, got '3.1 ms'"),
        (12, {2: "3,1"}, "expected 2 cells in line 4"),
        (12, {3: "5.0\nnasbench201:9-9-9-9-9-9,4.0"}, "expected a member of space"),
        (12, {3: "5.0\nmobilenetv3:1-2,4.0"}, "set space=mobilenetv3"),
        (12, {3: "5.0\n,4.0"}, "expected a network or an architecture in line 6"),
        (2, {}, "expected at least 3 measured networks in table.csv, got 2"),
        (0, {}, "expected at least 3 measured networks in table.csv, got 0"),
    ],
)
def test_bad_tables_are_refused_in_one_line_and_nothing_is_kept(n, changes, message, capsys, tmp_path):
    table = write_table(tmp_path / "table.csv", n, changes)
    assert main(["adapt", *FAST, f"table={table}"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert not own_folder().exists()


@pytest.mark.parametrize("text", ["", "network,latency\na.onnx,3\n", "latency_ms\n3\n"])
def test_a_table_without_its_columns_is_refused(text, capsys, tmp_path):
    (tmp_path / "table.csv").write_text(text)
    assert main(["adapt", *FAST, f"table={tmp_path / 'table.csv'}"]) == 2
    assert "expected the columns" in capsys.readouterr().err


def test_a_network_that_stands_twice_is_refused(capsys, tmp_path):
    table = write_table(tmp_path / "table.csv")
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, lines[3]]) + "\n")
    assert main(["adapt", *FAST, f"table={table}"]) == 2
    assert "got the same in lines 4 and 14" in capsys.readouterr().err
    assert not own_folder().exists()


def test_a_bad_table_leaves_what_was_learned_before_as_it_was(capsys, tmp_path):
    table = write_table(tmp_path / "table.csv")
    assert main(["adapt", *FAST, f"table={table}"]) == 0
    kept = {path: path.read_bytes() for path in own_folder().iterdir()}
    assert main(["adapt", *FAST, f"table={write_table(tmp_path / 'bad.csv', 12, {4: ''})}"]) == 2
    assert {path: path.read_bytes() for path in own_folder().iterdir()} == kept
    assert "got an empty cell" in capsys.readouterr().err


def test_a_named_predictor_is_adapted_and_kept_under_a_name_of_its_own(capsys, tmp_path):
    table = write_table(tmp_path / "table.csv")
    assert main(["adapt", "--json", *FAST, f"table={table}"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["name"], said["is_default"], said["n_samples"]) == ("flops_linear-adapted", False, 12)
    assert said["mape"] < 5.0
    assert said["mape_interval"][0] <= said["mape"] <= said["mape_interval"][1]
    assert said["spearman"] > 0.95
    assert 0.0 < said["mape_with_10_more"] <= said["mape"]
    assert checkpoint_names()["flops_linear-adapted"] == Path(said["checkpoint"])
    assert BOARD in load_predictor("flops_linear-adapted").platforms
    assert default_name() == DEFAULT


def test_an_unmeasurable_platform_gets_networks_and_a_table_to_fill_in(capsys, tmp_path):
    folder = tmp_path / "samples"
    overrides = [*FAST, "n_samples=6", f"output={folder}"]
    assert main(["adapt", *overrides]) == 0
    assert "fill in the column latency_ms" in capsys.readouterr().out
    with (folder / "latencies.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["latency_ms"] for row in rows] == [""] * 6
    assert all((folder / row["network"]).is_file() for row in rows)
    assert not own_folder().exists()
    assert main(["adapt", *overrides]) == 2
    assert "expected a folder without a table" in capsys.readouterr().err
    # Filled in, it is read by its ONNX files alone as well.
    (folder / "own.csv").write_text(
        "network,latency_ms\n" + "".join(f"{row['network']},{formula_ms(row['architecture'])}\n" for row in rows)
    )
    assert main(["adapt", *FAST, f"table={folder / 'own.csv'}"]) == 0
    assert "learned from 6 networks" in capsys.readouterr().out


def test_a_measurable_platform_is_measured(capsys, tmp_path, example_plugins):
    overrides = ["predictor=operator_linear", "platform=cpu-instant-fp32", "n_samples=8", f"database={tmp_path / 'latency.sqlite'}"]
    assert main(["adapt", "--json", *overrides]) == 0
    assert json.loads(capsys.readouterr().out)["n_samples"] == 8


class RestlessBackend(InstantBackend):
    """Says of the first networks that something disturbed them, and times them half as long again."""

    n_disturbed: ClassVar[int]

    def measure(self, *arguments: Any, **options: Any) -> list[Measurement | MeasurementFailure]:
        answers: list[Any] = super().measure(*arguments, **options)
        for i in range(self.n_disturbed):
            answers[i] = replace(answers[i], latency_ms=1.5 * answers[i].latency_ms, interval_ms=None, facts={"is_disturbed": True})
        return answers


@pytest.mark.parametrize(("n_disturbed", "n_learned"), [(4, 8), (9, 12)])
def test_disturbed_measurements_teach_only_where_too_few_others_are_left(
    n_disturbed, n_learned, capsys, tmp_path, monkeypatch, example_plugins
):
    monkeypatch.setattr(RestlessBackend, "n_disturbed", n_disturbed, raising=False)
    monkeypatch.setattr("nnlqp_nas.measurable.available_backend", lambda platform: RestlessBackend(platform))
    overrides = ["predictor=operator_linear", "platform=cpu-instant-fp32", "n_samples=12", f"database={tmp_path / 'latency.sqlite'}"]
    assert main(["adapt", "--json", *overrides]) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert (document["n_samples"], document["n_left_out"]) == (n_learned, 12 - n_learned)
    assert ("9 of 12 measurements were disturbed throughout" in said.err) is (n_learned == 12)


def test_the_pretrained_predictor_learns_a_board_that_every_command_then_knows(capsys, tmp_path):
    table = write_table(tmp_path / "table.csv", 14)
    assert main(["adapt", "--json", "platform=my-board", f"table={table}"]) == 0
    said = capsys.readouterr()
    assert (json.loads(said.out)["name"], said.err) == (ADAPTED, "")
    assert default_name() == ADAPTED
    assert resolve_platform("my-board") == BOARD
    keys = [row["architecture"] for row in csv.DictReader(table.open())]
    graphs = [SPACE.graph(Architecture.from_key(key)) for key in keys]
    first = load_predictor(ADAPTED).predict(graphs, BOARD)
    np.testing.assert_allclose(first.latency_ms, [formula_ms(key) for key in keys], rtol=0.1)
    assert main(["platforms", "--json", f"--database={tmp_path / 'latency.sqlite'}"]) == 0
    states = {state["name"]: state for state in json.loads(capsys.readouterr().out)}
    assert states[str(BOARD)]["predictable"]
    # The same inputs again, on top of what is kept: the same predictor.
    assert main(["adapt", "platform=my-board", f"table={table}"]) == 0
    np.testing.assert_array_equal(load_predictor(ADAPTED).predict(graphs, BOARD).latency_ms, first.latency_ms)


def test_other_units_than_milliseconds_are_warned_of(capsys, tmp_path):
    table = write_table(tmp_path / "table.csv", 12, factor=1e5)
    assert main(["adapt", "platform=my-board", f"table={table}"]) == 0
    assert "are they in microseconds?" in capsys.readouterr().err
    table = write_table(tmp_path / "table.csv", 12, factor=1e-3)
    assert main(["adapt", "platform=my-board", f"table={table}"]) == 0
    assert "are they in seconds?" in capsys.readouterr().err
    table = write_table(tmp_path / "table.csv", 12, {5: "0.004"})
    assert main(["adapt", "platform=my-board", f"table={table}"]) == 0
    assert "line 7: 0.004 ms is" in capsys.readouterr().err


def test_a_predictor_that_cannot_be_saved_leaves_nothing_behind():
    class Unsaved(ConstantPredictor):
        def save(self, path: Path) -> None:
            path.write_text("half")
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        keep_predictor(Unsaved({BOARD: 1.0}), "mine")
    assert not list(own_folder().iterdir())
    with pytest.raises(InvalidSettingError, match="expected a name"):
        keep_predictor(ConstantPredictor({BOARD: 1.0}), "")


def test_help_lists_the_settings(capsys):
    assert main(["adapt", "--help"]) == 0
    assert "n_samples: 20" in capsys.readouterr().out
