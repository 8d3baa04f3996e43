"""The contract test that every predictor inherits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ..core import CheckpointError, InvalidSettingError, LatencyPredictor, ModelGraph, Platform, UnknownPlatformError

ABSENT = Platform.parse("npu-absent1.0-int8")


class LatencyPredictorContract:
    """Tests the guarantees of :class:`nnlqp_nas.core.LatencyPredictor`.

    A subclass gives the fixtures ``predictor`` (fitted) and ``graphs`` (some it can predict).
    """

    adapts = True
    """Whether the predictor learns further platforms from few measurements."""

    @pytest.fixture
    def predictor(self) -> LatencyPredictor:
        """Return the predictor under test, fitted."""
        raise NotImplementedError("expected the subclass to define the fixture 'predictor'")

    @pytest.fixture
    def graphs(self) -> list[ModelGraph]:
        """Return at least 12 networks."""
        raise NotImplementedError("expected the subclass to define the fixture 'graphs'")

    def test_platforms_are_sorted_and_distinct(self, predictor: LatencyPredictor) -> None:
        assert list(predictor.platforms) == sorted(set(predictor.platforms))
        assert predictor.platforms

    def test_order_is_kept_and_a_batch_equals_its_members(self, predictor: LatencyPredictor, graphs: list[ModelGraph]) -> None:
        for platform in predictor.platforms:
            together = predictor.predict(graphs, platform)
            backwards = predictor.predict(graphs[::-1], platform)
            alone = [predictor.predict([graph], platform) for graph in graphs[:4]]
            np.testing.assert_allclose(together.latency_ms, backwards.latency_ms[::-1], rtol=1e-4)
            for name in ("latency_ms", "low_ms", "high_ms"):
                one_by_one = [getattr(prediction, name)[0] for prediction in alone]
                np.testing.assert_allclose(getattr(together, name)[:4], one_by_one, rtol=1e-4)

    def test_predicting_changes_nothing(self, predictor: LatencyPredictor, graphs: list[ModelGraph]) -> None:
        platform = predictor.platforms[0]
        first = predictor.predict(graphs, platform).latency_ms
        np.testing.assert_array_equal(predictor.predict(graphs, platform).latency_ms, first)

    def test_no_graphs_no_predictions(self, predictor: LatencyPredictor) -> None:
        assert len(predictor.predict([], predictor.platforms[0])) == 0

    def test_strange_requests_are_refused(self, predictor: LatencyPredictor, graphs: list[ModelGraph]) -> None:
        with pytest.raises(UnknownPlatformError, match="unknown platform"):
            predictor.predict(graphs, ABSENT)
        with pytest.raises(InvalidSettingError, match="batch size"):
            predictor.predict(graphs, predictor.platforms[0], 0)

    def test_a_saved_predictor_predicts_the_same(self, predictor: LatencyPredictor, graphs: list[ModelGraph], tmp_path: Path) -> None:
        predictor.save(tmp_path / "predictor.safetensors")
        loaded = type(predictor).load(tmp_path / "predictor.safetensors")
        assert loaded.platforms == predictor.platforms
        for platform in predictor.platforms:
            before, after = predictor.predict(graphs, platform), loaded.predict(graphs, platform)
            np.testing.assert_allclose(after.latency_ms, before.latency_ms, rtol=1e-6)
            np.testing.assert_allclose(after.high_ms, before.high_ms, rtol=1e-6)
            np.testing.assert_array_equal(after.is_extrapolating, before.is_extrapolating)

    def test_broken_checkpoints_are_refused(self, predictor: LatencyPredictor, tmp_path: Path) -> None:
        path = tmp_path / "predictor.safetensors"
        predictor.save(path)
        content = path.read_bytes()
        for broken in (b"", b"hello", content[:7], content[: len(content) // 2], content[:-1], b"\xff" * 64):
            path.write_bytes(broken)
            with pytest.raises(CheckpointError):
                type(predictor).load(path)
        with pytest.raises(CheckpointError, match="does not exist"):
            type(predictor).load(tmp_path / "absent.safetensors")

    def test_adapting_gives_a_new_predictor(self, predictor: LatencyPredictor, graphs: list[ModelGraph]) -> None:
        if not self.adapts:
            pytest.skip("this predictor does not adapt")
        known = predictor.platforms[0]
        before = predictor.predict(graphs, known).latency_ms
        truth = 3.0 * before
        adapted = predictor.adapt(ABSENT, graphs[:8], truth[:8])
        assert ABSENT in adapted.platforms
        assert ABSENT not in predictor.platforms
        np.testing.assert_array_equal(predictor.predict(graphs, known).latency_ms, before)
        np.testing.assert_allclose(adapted.predict(graphs, known).latency_ms, before, rtol=1e-6)
        assert np.median(np.abs(adapted.predict(graphs, ABSENT).latency_ms / truth - 1.0)) < 0.25

    def test_adapting_to_nothing_changes_nothing(self, predictor: LatencyPredictor, graphs: list[ModelGraph]) -> None:
        if not self.adapts:
            pytest.skip("this predictor does not adapt")
        plain = predictor.adapt(ABSENT, [], [])
        assert plain.platforms == predictor.platforms
        for platform in predictor.platforms:
            np.testing.assert_array_equal(plain.predict(graphs, platform).latency_ms, predictor.predict(graphs, platform).latency_ms)

    def test_adapting_twice_gives_the_same_predictor(self, predictor: LatencyPredictor, graphs: list[ModelGraph]) -> None:
        if not self.adapts:
            pytest.skip("this predictor does not adapt")
        latency_ms = 3.0 * predictor.predict(graphs, predictor.platforms[0]).latency_ms
        first, second = (predictor.adapt(ABSENT, graphs[:8], latency_ms[:8]).predict(graphs, ABSENT) for _ in range(2))
        np.testing.assert_array_equal(first.latency_ms, second.latency_ms)
        np.testing.assert_array_equal(first.high_ms, second.high_ms)

    @pytest.mark.parametrize("wrong", [np.nan, -1.0, 0.0, np.inf])
    def test_impossible_latencies_are_refused(self, predictor: LatencyPredictor, graphs: list[ModelGraph], wrong: float) -> None:
        if not self.adapts:
            pytest.skip("this predictor does not adapt")
        with pytest.raises(InvalidSettingError, match="latencies"):
            predictor.adapt(ABSENT, graphs[:8], [1.0] * 7 + [wrong])
        with pytest.raises(InvalidSettingError, match="latencies"):
            predictor.adapt(ABSENT, graphs[:8], [1.0] * 7)
