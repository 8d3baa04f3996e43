"""The contract test that every training which runs epoch by epoch inherits."""

from __future__ import annotations

import numpy as np
import pytest

from ..core import InvalidSettingError, LatencyPredictor, LatencyTable, TrainingRun


class TrainingRunContract:
    """Tests the guarantees of :class:`nnlqp_nas.core.TrainingRun`, and that training respects its predictor.

    A subclass gives the fixtures ``untrained``, with settings that train in a second, and ``training_tables``.
    """

    fine_tunes = True
    """Whether it goes on from what was learned before."""

    @pytest.fixture
    def untrained(self) -> LatencyPredictor:
        """Return a predictor that was not trained, of at least 3 epochs."""
        raise NotImplementedError("expected the subclass to define the fixture 'untrained'")

    @pytest.fixture
    def training_tables(self) -> list[LatencyTable]:
        """Return what to train on."""
        raise NotImplementedError("expected the subclass to define the fixture 'training_tables'")

    def test_epochs_are_counted_and_a_predictor_is_a_snapshot(
        self, untrained: LatencyPredictor, training_tables: list[LatencyTable]
    ) -> None:
        run = untrained.start_training(training_tables)
        assert run.n_epochs >= 3
        run.advance()
        early = run.predictor()
        before = _answers(early, training_tables)
        run.advance()
        assert run.epoch == 2
        np.testing.assert_array_equal(_answers(early, training_tables), before)
        assert not np.array_equal(_answers(run.predictor(), training_tables), before)

    def test_learning_lowers_the_loss(self, untrained: LatencyPredictor, training_tables: list[LatencyTable]) -> None:
        run = untrained.start_training(training_tables)
        losses = [run.advance() for _ in range(run.n_epochs)]
        assert losses[-1] < losses[0]

    def test_a_restored_run_goes_on_as_the_other_would_have(self, untrained: LatencyPredictor, training_tables: list[LatencyTable]) -> None:
        whole, killed, resumed = (untrained.start_training(training_tables, seed=5) for _ in range(3))
        _advance(whole, 3)
        _advance(killed, 2)
        resumed.restore({name: array.copy() for name, array in killed.state.items()})
        assert resumed.epoch == 2
        _advance(resumed, 1)
        np.testing.assert_array_equal(_answers(resumed.predictor(), training_tables), _answers(whole.predictor(), training_tables))

    def test_fine_tuning_starts_where_training_ended(self, untrained: LatencyPredictor, training_tables: list[LatencyTable]) -> None:
        run = untrained.start_training(training_tables)
        _advance(run, run.n_epochs)
        trained = run.predictor()
        before = _answers(trained, training_tables)
        again = trained.start_training(training_tables, seed=1, from_scratch=False)
        np.testing.assert_allclose(_answers(again.predictor(), training_tables), before, rtol=1e-5)
        again.advance()
        np.testing.assert_array_equal(_answers(trained, training_tables), before)
        afresh = trained.start_training(training_tables, seed=1).predictor()
        assert not np.allclose(_answers(afresh, training_tables), before, rtol=1e-2)

    def test_calibrating_makes_the_interval_as_wide_as_the_errors(
        self, untrained: LatencyPredictor, training_tables: list[LatencyTable]
    ) -> None:
        run = untrained.start_training(training_tables)
        _advance(run, run.n_epochs)
        predictor, table = run.predictor(), training_tables[0]
        before = predictor.predict(table.graphs, table.platform, table.batch_size)
        calibrated = predictor.calibrated([table])
        after = calibrated.predict(table.graphs, table.platform, table.batch_size)
        np.testing.assert_array_equal(after.latency_ms, before.latency_ms)
        covered = (after.low_ms <= table.latency_ms) & (table.latency_ms <= after.high_ms)
        assert after.coverage <= covered.mean() <= after.coverage + 2 / len(table) + 0.02

    def test_nothing_to_learn_from_is_refused(self, untrained: LatencyPredictor) -> None:
        with pytest.raises(InvalidSettingError, match="at least 1"):
            untrained.start_training([])


def _advance(run: TrainingRun, n_epochs: int) -> None:
    for _ in range(n_epochs):
        run.advance()


def _answers(predictor: LatencyPredictor, tables: list[LatencyTable]) -> np.ndarray:
    return np.concatenate([predictor.predict(table.graphs, table.platform, table.batch_size).latency_ms for table in tables])
