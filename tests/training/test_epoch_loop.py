"""The loop over epochs: it keeps the best on validation, stops early, and goes on where it was killed."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from nnlqp_nas.core import CheckpointError, UnsupportedError
from nnlqp_nas.predictors.flops_linear import FlopsLinear
from nnlqp_nas.predictors.nnlp import Nnlp, NnlpSettings
from nnlqp_nas.training import EpochLoop, SplitRule, judge
from nnlqp_nas.training.epoch_loop import read_progress
from nnlqp_nas.training.job import TrainingJob
from nnlqp_nas.training.judgement import over_runs

SMALL = Nnlp(NnlpSettings(width=8, head_width=8, n_epochs=6, learning_rate=5e-3))


class _KilledError(Exception):
    pass


def kill_at(epoch):
    def on_epoch(progress):
        if progress.epoch == epoch:
            raise _KilledError

    return on_epoch


@pytest.fixture(scope="module")
def split(data):
    return SplitRule(0.2, 0.2, 0.2).split(data)


def loop_over(split, folder, predictor=SMALL, patience=None, validation=True):
    return EpochLoop(predictor.start_training(split.train), split.validation if validation else [], folder, patience)


def test_the_kept_predictor_is_that_of_the_best_epoch(split, tmp_path):
    loop = loop_over(split, tmp_path)
    kept = loop.finish()
    errors = [mape for _, mape in loop.history]
    assert len(errors) == 6
    assert loop.progress.best_mape == min(errors)
    assert loop.progress.best_epoch == 1 + errors.index(min(errors))
    validated = judge(kept, split.validation)
    assert np.mean([platform["mape"] for platform in validated.values()]) == pytest.approx(min(errors))


@pytest.mark.parametrize("validation", [True, False])
def test_a_killed_training_goes_on_as_if_it_had_not_been(validation, split, tmp_path):
    whole = loop_over(split, tmp_path / "whole", validation=validation)
    expected = whole.finish()
    with pytest.raises(_KilledError):
        loop_over(split, tmp_path / "killed", validation=validation).finish(kill_at(3))
    resumed = loop_over(split, tmp_path / "killed", validation=validation)
    assert resumed.progress.epoch <= 3
    kept = resumed.finish()
    assert resumed.history == whole.history
    assert resumed.progress == whole.progress
    table = split.test[0]
    np.testing.assert_array_equal(
        kept.predict(table.graphs, table.platform).latency_ms, expected.predict(table.graphs, table.platform).latency_ms
    )


def test_a_finished_training_is_not_run_again(split, tmp_path):
    loop_over(split, tmp_path).finish()
    again = loop_over(split, tmp_path)
    assert again.progress.is_over
    seen = []
    again.finish(seen.append)
    assert len(seen) == 1


def test_it_stops_when_validation_has_not_got_better_for_long(split, tmp_path):
    hopeless = Nnlp(replace(SMALL.settings, n_epochs=50, learning_rate=1e-12))
    loop = loop_over(split, tmp_path, hopeless, patience=3)
    loop.finish()
    assert loop.progress.epoch == loop.progress.best_epoch + 3 < 50


def test_without_validation_the_last_epoch_is_kept(split, tmp_path):
    loop = loop_over(split, tmp_path, patience=1, validation=False)
    loop.finish()
    assert (loop.progress.best_epoch, loop.progress.best_mape) == (6, None)


def test_a_predictor_without_epochs_is_trained_whole_and_cannot_be_fine_tuned(split, tmp_path):
    loop = loop_over(split, tmp_path, FlopsLinear())
    kept = loop.finish()
    assert loop.progress.epoch == loop.progress.n_epochs == 1
    assert kept.platforms == tuple(sorted({table.platform for table in split.train}))
    with pytest.raises(UnsupportedError, match="fine-tuned"):
        kept.start_training(split.train, from_scratch=False)


@pytest.mark.parametrize("name", ["state.safetensors", "progress.json"])
def test_damaged_files_are_refused(name, split, tmp_path):
    loop_over(split, tmp_path).finish()
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="remove the folder"):
        loop_over(split, tmp_path) if name.startswith("state") else read_progress(tmp_path)


def test_a_job_is_done_once(data, tmp_path):
    job = TrainingJob(tmp_path, SMALL, True, SplitRule(0.2, 0.2, 0.2), seed=0)
    assert job.progress().epoch == 0
    first = job.run(data)
    assert job.is_done
    assert job.run(data) == first
    assert set(first["errors"]) == {str(platform) for platform in data.platforms}
    assert sum(first["networks"].values()) == len(data.identity)
    (tmp_path / "result.json").write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match="remove the folder"):
        job.run(data)


def test_errors_over_runs_have_a_mean_and_a_spread(data):
    predictor = FlopsLinear().fit(data.tables)
    one = judge(predictor, data.tables)
    for errors in one.values():
        assert errors["mape"] < 1e-6  # the latencies are a line in FLOPs
        assert errors["acc10"] == 100.0
    alone, twice = over_runs([one]), over_runs([one, one])
    platform = str(data.platforms[0])
    assert "mape_std" not in alone[platform]
    assert twice[platform]["mape_std"] == 0.0
    assert twice[platform]["n"] == 2 * one[platform]["n"]


def test_operators_are_found_again_in_another_process(networks, tmp_path):
    operator = networks[0].graph.operators[1]
    (tmp_path / "operator").write_bytes(pickle.dumps(operator))
    code = f"import pickle; o = pickle.load(open({str(tmp_path / 'operator')!r}, 'rb')); t = type(o); print(o in {{t(*o.__reduce__()[1])}})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "True"
