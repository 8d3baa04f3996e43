from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.transfer import FeatureGroup, FewShotModel, GraphWork, TypicalTimes, VariantFactors, source_features, take

from .slow_operator import SLOW, draw, log_ms

KNOWN = (1.0, 1.3, 1.7)


@pytest.fixture(scope="module")
def work() -> GraphWork:
    return GraphWork.of(draw(300, 0))


@pytest.fixture(scope="module")
def features(work: GraphWork) -> dict[str, FeatureGroup]:
    known = np.stack([log_ms(work, factor) for factor in KNOWN], axis=1)
    return {**work.features(), **TypicalTimes.learn(work, known).features(work), **source_features(known, list("abc"))}


def test_an_operator_many_times_slower_than_on_any_known_platform_is_learned(work: GraphWork, features) -> None:
    truth, samples, rest = log_ms(work, 12.0), np.arange(20), np.arange(20, 300)
    model = FewShotModel.fit(take(features, samples), np.exp(truth[samples]), is_calibrated=False)
    assert model.factors.log_factor[SLOW] == max(model.factors.log_factor.values())
    log_predicted, margin = model.predict(take(features, rest))
    assert np.abs(np.exp(log_predicted - truth[rest]) - 1.0).mean() < 0.03
    assert np.all(margin > 0.0)


def test_a_sum_over_operators_is_linear_about_its_factors(features) -> None:
    shares = features["time_shares"]
    theta = np.linspace(-1.0, 1.0, len(shares.columns))
    exact = np.log(shares.values @ np.exp(theta))
    seen, beyond = VariantFactors(dict(zip(shares.columns, theta.tolist(), strict=True))).linearise(features)
    scale = features["times"].values.sum(0) / shares.values.sum(0)
    np.testing.assert_allclose(beyond + (seen["times"].values / scale) @ theta, exact)
    assert "time_shares" not in seen


def test_without_factors_the_features_stay(features) -> None:
    seen, beyond = VariantFactors().linearise(features)
    np.testing.assert_allclose(seen["times"].values, features["times"].values)
    np.testing.assert_allclose(beyond, 0.0, atol=1e-12)
    assert {*seen, "time_shares"} == set(features)


def test_held_out_predictions_do_not_see_their_target(work: GraphWork, features) -> None:
    target = log_ms(work, 3.0)[:15]
    samples = take(features, np.arange(15))
    held, _ = FewShotModel.cross_validate(samples, target)
    moved = target.copy()
    moved[4] += 100.0
    assert FewShotModel.cross_validate(samples, moved)[0][4] == pytest.approx(held[4])
