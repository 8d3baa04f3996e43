"""``nnlqp-nas train``: whatever the data, a checkpoint and a card that say what they are worth; a killed run goes on."""

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

import nnlqp_nas
from nnlqp_nas.core import GraphView, Measurement, Platform, Source
from nnlqp_nas.database import open_database
from nnlqp_nas.datasets.latency_row import LatencyRow, write_rows
from nnlqp_nas.graphs import graph_cost, to_onnx
from nnlqp_nas.main import main
from nnlqp_nas.search_spaces.nasbench201 import NasBench201

PLATFORMS = ("gpu-T4-trt7.1-fp32", "cpu-openppl-fp32")
QUICK = ["predictor=flops_linear", "test_share=0.25", "validation_share=0.25", "calibration_share=0.25"]
SMALL_NNLP = [*QUICK[1:], "predictor=nnlp", "predictor.settings.width=8", "predictor.settings.head_width=8"]


def measured(n: int) -> list[LatencyRow]:
    """Return rows of n networks on two platforms."""
    settings = {"n_cells": 1}
    space, rng = NasBench201(**settings), np.random.default_rng(0)
    rows = []
    drawn = {space.graph(architecture).key: architecture for architecture in (space.sample(rng) for _ in range(3 * n))}
    for architecture in list(drawn.values())[:n]:
        for at, name in enumerate(PLATFORMS):
            platform = Platform.parse(name)
            graph = space.graph(architecture, platform.view)
            latency_ms = (0.01 + 1e-8 * graph_cost(graph).flops) * (1 + at)
            answer = Measurement(
                graph_key=graph.key, platform=platform, batch_size=1, latency_ms=latency_ms, source=Source.MEASURED, host="formula"
            )
            rows.append(LatencyRow.of(architecture, settings, answer))
    return rows


@pytest.fixture(scope="module")
def rows_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    write_rows(path, measured(16))
    return path


def train(capsys, folder, *overrides):
    assert main(["train", "--json", f"output={folder}", *overrides]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card == json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return card


def test_a_run_leaves_a_checkpoint_and_a_card(rows_file, capsys, tmp_path):
    card = train(capsys, tmp_path / "run", *QUICK, "data=parquet", f"data.path={rows_file}")
    assert set(card["test"]) == set(PLATFORMS)
    for errors in card["test"].values():
        assert errors["mape"] < 1e-3
        assert {"n", "acc10", "spearman", "coverage", "extrapolating"} <= set(errors)
    networks = card["split"]["networks"]
    assert sum(networks.values()) == 16
    assert card["seeds"] == [0]
    predictor = nnlqp_nas.load_predictor(tmp_path / "run" / "checkpoint.safetensors")
    assert [str(platform) for platform in predictor.platforms] == sorted(PLATFORMS)


def test_the_table_is_for_people(rows_file, capsys, tmp_path):
    assert main(["train", *QUICK, "data=parquet", f"data.path={rows_file}", f"output={tmp_path / 'run'}"]) == 0
    said = capsys.readouterr()
    assert "MAPE %" in said.out
    assert "to test" in said.out
    assert "cpu-openppl-fp32" in said.out
    assert "train" in said.err  # the bar


def test_nnlqps_stages_are_respected(capsys, tmp_path):
    write_rows(tmp_path / "rows.parquet", measured(12))
    folder = tmp_path / "set"
    assert main(["dataset", "export", str(folder), "--from", str(tmp_path / "rows.parquet"), "--test-share", "0.3"]) == 0
    capsys.readouterr()
    lines = (folder / "gt.txt").read_text(encoding="utf-8").splitlines()
    n_test = len({line.split()[1] for line in lines if line.endswith(" test")})
    assert n_test
    card = train(capsys, tmp_path / "run", *QUICK[:1], *QUICK[2:], "data=folder", f"data.path={folder}")
    assert card["split"]["by"] == "the data itself"
    assert card["split"]["networks"]["test"] == n_test
    assert main(["train", *QUICK, "folds=2", "data=folder", f"data.path={folder}", f"output={tmp_path / 'other'}"]) == 2
    assert "folds=1" in capsys.readouterr().err


def test_the_users_own_database(capsys, tmp_path):
    rows = tmp_path / "rows.parquet"
    write_rows(rows, measured(12))
    database = tmp_path / "latency.sqlite"
    assert main(["dataset", "import", str(rows), "--database", str(database)]) == 0
    capsys.readouterr()
    card = train(capsys, tmp_path / "run", *QUICK, "data=database", f"data.path={database}")
    assert sum(row["n"] for row in card["data"]["rows"]) == 24


def test_networks_that_a_database_knows_by_key_alone_are_found(capsys, tmp_path):
    space, rng = NasBench201(n_cells=1), np.random.default_rng(1)
    folder, platform = tmp_path / "models" / "deep", Platform.parse(PLATFORMS[0])
    folder.mkdir(parents=True)
    (folder / "broken.onnx").write_bytes(b"no network")
    answers = []
    drawn = list({space.graph(architecture).key: architecture for architecture in (space.sample(rng) for _ in range(36))}.values())
    for i in range(12):
        architecture = drawn[i]
        if i < 10:  # two have no file
            (folder / f"{i}.onnx").write_bytes(to_onnx(space.graph(architecture, GraphView.AS_WRITTEN), 1).SerializeToString())
        key = space.graph(architecture, platform.view).key
        answers.append(Measurement(graph_key=key, platform=platform, batch_size=1, latency_ms=1.0 + i, source=Source.MEASURED, host="a"))
    database = open_database(tmp_path / "latency.sqlite")
    database.add(answers)
    database.close()
    data = ["data=database", f"data.path={tmp_path / 'latency.sqlite'}"]
    assert main(["train", *QUICK, *data, f"output={tmp_path / 'none'}"]) == 2
    assert "data.networks=FOLDER" in capsys.readouterr().err
    card = train(capsys, tmp_path / "run", *QUICK, *data, f"data.networks={folder.parent}")
    assert (card["data"]["n_left_out"], sum(row["n"] for row in card["data"]["rows"])) == (2, 10)


def test_fine_tuning_an_nnlqp_checkpoint(rows_file, capsys, tmp_path):
    data = ["data=parquet", f"data.path={rows_file}"]
    first = train(capsys, tmp_path / "first", *SMALL_NNLP, *data, "predictor.settings.n_epochs=2")
    begun = [f"from_checkpoint={tmp_path / 'first' / 'checkpoint.safetensors'}", "predictor.settings.n_epochs=1"]
    tuned = train(capsys, tmp_path / "tuned", *SMALL_NNLP, *data, *begun, "predictor.settings.learning_rate=1e-9")
    for platform in PLATFORMS:  # a step size of almost nothing leaves it as it was
        assert tuned["test"][platform]["mape"] == pytest.approx(first["test"][platform]["mape"], rel=1e-3)
    assert main(["train", *QUICK, *data, begun[0], f"output={tmp_path / 'other'}"]) == 2
    assert "predictor=nnlp" in capsys.readouterr().err


def test_seeds_train_side_by_side_and_a_finished_run_says_the_same_again(rows_file, capsys, tmp_path):
    overrides = [*SMALL_NNLP, "predictor.settings.n_epochs=1", "data=parquet", f"data.path={rows_file}", "seeds=2"]
    card = train(capsys, tmp_path / "run", *overrides)
    assert card["seeds"] == [0, 1]
    assert {"mape_std", "coverage_std"} <= set(card["test"][PLATFORMS[0]])
    best = min(card["runs"], key=lambda run: run["validation_mape"])
    assert card["kept"]["seed"] == best["seed"]
    again = train(capsys, tmp_path / "run", *overrides)
    assert again["runs"] == card["runs"]
    assert main(["train", *overrides, "split_seed=1", f"output={tmp_path / 'run'}"]) == 2
    assert "expected split_seed as the run in" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_processes_give_what_one_gives(rows_file, capsys, tmp_path):
    overrides = [*SMALL_NNLP, "predictor.settings.n_epochs=2", "data=parquet", f"data.path={rows_file}", "folds=2"]
    one = train(capsys, tmp_path / "one", *overrides)
    two = train(capsys, tmp_path / "two", *overrides, "n_jobs=2")
    assert two["runs"] == one["runs"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_that_was_killed_goes_on(rows_file, capsys, tmp_path):
    overrides = [*SMALL_NNLP, "predictor.settings.n_epochs=150", "patience=null", "data=parquet", f"data.path={rows_file}"]
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "nnlqp_nas", "train", *overrides, f"output={folder}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    state = folder / "runs" / "seed-0-fold-0" / "progress.json"
    deadline_s = time.monotonic() + 200
    while not (state.is_file() and json.loads(state.read_text(encoding="utf-8"))["epoch"] > 5):
        assert process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "card.json").exists()
    resumed = train(capsys, folder, *overrides)
    whole = train(capsys, tmp_path / "whole", *overrides)
    assert resumed["runs"] == whole["runs"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seeds=0"], "expected seeds to be a whole number >= 1, got 0"),
        (["n_jobs=0"], "expected n_jobs"),
        (["patience=0"], "expected patience"),
        (["test_share=1"], "expected a test share between 0 and 1"),
        (["test_share=half"], "expected test_share to be a number, got half"),
        (["validation_share=0.6", "calibration_share=0.5"], "leave something to train on"),
        (["device=tpu"], "expected device to be auto, cpu, cuda or cuda:N, got tpu"),
        (["predictor=kernel_gn"], "nearest known: kernel_gnn"),
        (["data=shiped"], "nearest known: shipped"),
        (["pacience=3"], "nearest known: patience"),
        (["data=parquet"], "data.path"),
        (["data=parquet", "data.path=absent.parquet"], "found nothing at absent.parquet"),
        (["data=folder", "data.path=absent"], "found nothing at absent"),
        (["data=database", "data.path=absent.sqlite"], "got none"),
        (["data=database", "data.spaces=[mobilenetv3]"], "expected a space of at most"),
        (["from_checkpoint=absent.safetensors"], "which is no file"),
        (["predictor=nnlp", "predictor.settings.width=0"], "above 0"),
        (["predictor=nnlp", "predictor.settings.widht=8"], "widht"),
    ],
)
def test_bad_settings_are_refused_in_one_line(overrides, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *overrides]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_help_shows_examples_and_settings(capsys):
    assert main(["train", "--help"]) == 0
    said = capsys.readouterr().out
    assert "from_checkpoint=ckpt_best.pth" in said
    assert "validation_share: 0.1" in said
    assert "boosted_trees" in said


def test_stated_settings_are_the_classes_own():
    """A file that states a setting states its default: nobody has two to keep in mind."""
    from omegaconf import OmegaConf

    from nnlqp_nas.commands.run_settings import compose_settings, instantiate

    for name in ("kernel_gnn", "nnlp", "boosted_trees", "brp_nas", "flops", "flops_linear", "operator_linear"):
        settings = compose_settings("train", [f"predictor={name}"]).predictor
        made = instantiate(settings, "predictor")
        assert made.name == name
        for field, value in OmegaConf.to_container(settings).get("settings", {}).items():
            if field != "_target_":
                assert getattr(type(made)().settings, field) == value
