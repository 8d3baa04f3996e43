"""The everyday commands: their JSON, their tables, their exit codes and what they say of bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnlqp_nas.core import Platform
from nnlqp_nas.database import open_database
from nnlqp_nas.graphs import to_onnx
from nnlqp_nas.main import main
from nnlqp_nas.testing import ConstantPredictor, InstantBackend
from nnlqp_nas.testing.oracle_contract import write_networks

PLATFORMS = tuple(map(Platform.parse, ("cpu-instant-fp32", "cpu-torch-fp32", "gpu-T4-trt7.1-fp32")))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(to_onnx(write_networks(1)[0]).SerializeToString())
    return tmp_path / "model.onnx"


@pytest.fixture
def checkpoint(tmp_path: Path, example_plugins: Path) -> Path:
    ConstantPredictor(dict.fromkeys(PLATFORMS, 1.5)).save(tmp_path / "constant.safetensors")
    return tmp_path / "constant.safetensors"


class Shell:
    """Runs a command in this process and keeps what it wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *arguments: object) -> tuple[int, str, str]:
        """Return exit code, standard output and standard error."""
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        out, err = self._capsys.readouterr()
        return code, out, err

    def json(self, *arguments: object) -> Any:
        """Run with ``--json`` and return the document."""
        code, out, err = self.run(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    def refusal(self, *arguments: object) -> str:
        """Run what must be refused, and return the one line."""
        code, out, err = self.run(*arguments)
        assert (code, out) == (2, ""), err
        assert err.count("\n") == 1, err
        assert err.startswith("nnlqp-nas")
        return err


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


# platforms


def test_platforms_as_json(shell: Shell, checkpoint: Path) -> None:
    states = {state["name"]: state for state in shell.json("platforms", "--predictor", checkpoint)}
    assert states["cpu-instant-fp32"] == {"name": "cpu-instant-fp32", "measurable": True, "predictable": True, "rows": 0, "reason": None}
    t4 = states["gpu-T4-trt7.1-fp32"]
    assert (t4["measurable"], t4["predictable"]) == (False, True)
    assert "needs TensorRT-7.1 and a Tesla-T4" in t4["reason"]
    assert len(states) >= 13


def test_platforms_as_a_table(shell: Shell, checkpoint: Path) -> None:
    code, out, _ = shell.run("platforms", "--predictor", checkpoint)
    assert code == 0
    assert out.splitlines()[0].split()[:4] == ["platform", "measurable", "predictable", "rows"]
    assert any(line.split()[:4] == ["cpu-instant-fp32", "yes", "yes", "0"] for line in out.splitlines())


# predict


def test_predictions_for_every_predictable_platform(shell: Shell, checkpoint: Path, model: Path) -> None:
    document = shell.json("predict", model, "--predictor", checkpoint)
    assert (document["model"], document["batch_size"]) == (str(model), 1)
    assert document["graph_key"] == write_networks(1)[0].key
    assert [one["platform"] for one in document["predictions"]] == list(map(str, PLATFORMS))
    for one in document["predictions"]:
        assert (one["latency_ms"], one["coverage"], one["source"], one["extrapolating"]) == (1.5, 0.9, "predicted", False)
        assert one["interval_ms"] == [0.375, 6.0]


def test_predictions_for_some_platforms_and_a_batch(shell: Shell, checkpoint: Path, model: Path) -> None:
    platforms = ("--platform", "t4", "--platform", "cpu-torch-fp32", "--platform", "gpu-T4-trt7.1-fp32")
    document = shell.json("predict", model, "--predictor", checkpoint, "--batch-size", 4, *platforms)
    assert [one["platform"] for one in document["predictions"]] == ["gpu-T4-trt7.1-fp32", "cpu-torch-fp32"]
    assert [one["latency_ms"] for one in document["predictions"]] == [6.0, 6.0]
    assert document["batch_size"] == 4


def test_predictions_as_a_table(shell: Shell, checkpoint: Path, model: Path) -> None:
    code, out, err = shell.run("predict", model, "--predictor", checkpoint)
    assert (code, err) == (0, "")
    header, *rows = out.splitlines()
    assert "90% interval" in header
    assert [row.split()[0] for row in rows] == list(map(str, PLATFORMS))
    assert len({row.index("1.5") for row in rows}) == 1


# measure and query


def test_a_measurement_is_stored_and_the_query_finds_it(shell: Shell, checkpoint: Path, model: Path) -> None:
    measured = shell.json("measure", model, "--platform", "cpu-instant-fp32")
    assert measured["source"] == "measured"
    assert {"platform", "latency_ms", "std_ms", "n_runs", "source", "host"} <= measured.keys()
    found = shell.json("query", model, "--platform", "cpu-instant-fp32")
    assert (found["source"], found["latency_ms"], found["host"]) == ("database", measured["latency_ms"], measured["host"])


def test_the_first_query_measures_and_the_second_looks_up(shell: Shell, checkpoint: Path, model: Path, tmp_path: Path) -> None:
    where = ("--platform", "cpu-instant-fp32", "--database", tmp_path / "mine.sqlite", "--batch-size", 2)
    assert [shell.json("query", model, *where)["source"] for _ in range(2)] == ["measured", "database"]
    assert (tmp_path / "mine.sqlite").is_file()


def test_a_query_predicts_what_cannot_be_measured(shell: Shell, checkpoint: Path, model: Path) -> None:
    answer = shell.json("query", model, "--platform", "t4", "--predictor", checkpoint)
    assert (answer["source"], answer["latency_ms"], answer["extrapolating"]) == ("predicted", 1.5, False)


def test_answers_in_words(shell: Shell, checkpoint: Path, model: Path) -> None:
    said = [shell.run("query", model, "--platform", "cpu-instant-fp32")[1] for _ in range(2)]
    said.append(shell.run("query", model, "--platform", "t4", "--predictor", checkpoint)[1])
    assert [word in text for word, text in zip(("measured now", "from the database", "predicted"), said, strict=True)] == [True] * 3
    assert all(text.count("\n") == 1 for text in said)


def test_an_answer_says_what_the_engine_did_not_run_itself(shell: Shell, example_plugins: Path, model: Path, tmp_path: Path) -> None:
    (measured,) = InstantBackend().measure(write_networks(1))
    with closing(open_database(tmp_path / "mine.sqlite")) as database:
        database.add([replace(measured, facts={"fallback": ["Erf", "Mish"], "n_parts": 3})])
    where = ("--platform", "cpu-instant-fp32", "--database", tmp_path / "mine.sqlite")
    assert "; instant refuses Erf, Mish: in 3 parts, those on ONNX Runtime" in shell.run("query", model, *where)[1]
    assert shell.json("query", model, *where)["facts"]["fallback"] == ["Erf", "Mish"]


REFUSING_PLUGIN = """
from nnlqp_nas.testing.instant_backend import InstantBackend
class OwnBackend(InstantBackend):
    def measure(self, graphs, protocol=None, batch_size=1, on_result=None):
        return [self._failure(graph, batch_size, "compile", "no kernel for Gemm") for graph in graphs]
"""


def install_backend(site: Path, source: str) -> None:
    """Let the entry point 'instant' of the plug-in package be the class ``OwnBackend`` of ``source``."""
    (site / f"{site.name}_backend.py").write_text(source)
    entry_points = site / "example_plugins-1.0.dist-info" / "entry_points.txt"
    own = f"{site.name}_backend:OwnBackend"
    entry_points.write_text(entry_points.read_text().replace("nnlqp_nas.testing.instant_backend:InstantBackend", own))


def test_a_measurement_that_fails_is_exit_code_one_and_stored(shell: Shell, example_plugins: Path, model: Path, tmp_path: Path) -> None:
    install_backend(example_plugins, REFUSING_PLUGIN)
    where = ("--platform", "cpu-instant-fp32", "--database", tmp_path / "mine.sqlite")
    code, out, err = shell.run("measure", model, *where, "--json")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "(compile) no kernel for Gemm" in err
    database = open_database(tmp_path / "mine.sqlite")
    assert [failure.stage for failure in database.select_failures()] == ["compile"]
    database.close()


# bad input


def test_bad_models_are_refused(shell: Shell, checkpoint: Path, model: Path, tmp_path: Path) -> None:
    content = model.read_bytes()
    bad = {"text": b"hello", "noise": os.urandom(3000), "empty": b"", "cut": content[: len(content) // 2]}
    for name, damaged in bad.items():
        (tmp_path / f"{name}.onnx").write_bytes(damaged)
    for path in (tmp_path / "none.onnx", tmp_path, *(tmp_path / f"{name}.onnx" for name in bad)):
        assert shell.refusal("predict", path, "--predictor", checkpoint)
        assert shell.refusal("query", path, "--platform", "cpu-instant-fp32")


def test_bad_platforms_are_refused_with_near_names(shell: Shell, checkpoint: Path, model: Path) -> None:
    assert "cpu-instant-fp32" in shell.refusal("predict", model, "--predictor", checkpoint, "--platform", "cpu-instan-fp32")
    assert "nearest known" in shell.refusal("measure", model, "--platform", "nowhere-x-fp32")
    assert "nearest known" in shell.refusal("query", model, "--platform", "")
    assert "no backend" in shell.refusal("measure", model, "--platform", "hexagonDSP-snpe-int8")
    assert "predictable" in shell.refusal("predict", model, "--predictor", checkpoint, "--platform", "hexagonDSP-snpe-int8")


@pytest.mark.parametrize("size", ["0", "-3", "two", "1.5", "nan"])
def test_bad_batch_sizes_are_refused(size: str, shell: Shell, model: Path) -> None:
    assert "batch size" in shell.refusal("predict", model, f"--batch-size={size}")


def test_bad_checkpoints_are_refused(shell: Shell, checkpoint: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.pth").write_bytes(os.urandom(500))
    (tmp_path / "cut.safetensors").write_bytes(checkpoint.read_bytes()[:-4])
    for name in ("bad.pth", "cut.safetensors", "none.safetensors"):
        assert name in shell.refusal("predict", model, "--predictor", tmp_path / name)
    assert "nobody" in shell.refusal("predict", model, "--predictor", "nobody")


def test_a_bad_database_is_refused_and_left_as_it_is(shell: Shell, example_plugins: Path, model: Path, tmp_path: Path) -> None:
    noise = os.urandom(4000)
    (tmp_path / "noise.sqlite").write_bytes(noise)
    for command in (
        ["platforms"],
        ["measure", model, "--platform", "cpu-instant-fp32"],
        ["query", model, "--platform", "cpu-instant-fp32"],
    ):
        assert "noise.sqlite" in shell.refusal(*command, "--database", tmp_path / "noise.sqlite")
    assert (tmp_path / "noise.sqlite").read_bytes() == noise


@pytest.mark.parametrize("arguments", [["nothing"], ["predict"], ["measure", "m.onnx"], ["platforms", "--nothing"], ["--nothing"]])
def test_bad_arguments_are_refused_in_one_line(arguments: list[str], shell: Shell) -> None:
    assert "--help" in shell.refusal(*arguments)


def test_help_shows_examples(shell: Shell) -> None:
    code, out, _ = shell.run("--help")
    assert code == 0
    for name in ("platforms", "predict", "measure", "query"):
        assert f"\n  {name} " in out
        code, text, _ = shell.run(name, "--help")
        assert code == 0
        assert f"  nnlqp-nas {name}" in text.partition("examples:")[2]
    assert shell.run()[0] == 0
    assert shell.run("--version")[1].startswith("nnlqp-nas ")


# the process


def test_the_module_is_the_command_and_starts_light() -> None:
    code = "import sys; from nnlqp_nas.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += (
        "heavy = {'torch', 'onnx', 'onnxruntime', 'sqlalchemy', 'optuna', 'hydra'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, timeout=60)
    done = subprocess.run([sys.executable, "-m", "nnlqp_nas", "--version"], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("nnlqp-nas ")


def test_a_reader_that_goes_away_is_no_error(checkpoint: Path) -> None:
    shell = f"{sys.executable} -m nnlqp_nas platforms | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


SLOW_PLUGIN = """
import time
from nnlqp_nas.testing.instant_backend import InstantBackend
class OwnBackend(InstantBackend):
    def measure(self, *arguments, **settings):
        print("measuring", flush=True)
        time.sleep(60)
"""


def test_an_interrupt_leaves_with_130_and_no_traceback(example_plugins: Path, model: Path) -> None:
    install_backend(example_plugins, SLOW_PLUGIN)
    arguments = [sys.executable, "-m", "nnlqp_nas", "measure", str(model), "--platform", "cpu-instant-fp32"]
    # Jobs in the background of a shell are deaf to interrupts, and so would be what they start.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, heard)
    assert process.stdout is not None
    assert process.stdout.readline() == "measuring\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
