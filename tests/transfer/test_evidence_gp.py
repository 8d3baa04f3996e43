from __future__ import annotations

import numpy as np
import pytest

from nnlqp_nas.core import InvalidSettingError
from nnlqp_nas.transfer import EvidenceGp, FeatureGroup
from nnlqp_nas.transfer.amplitudes import AmplitudePosterior, covariances
from nnlqp_nas.transfer.evidence_gp import CONSTANT, LENGTHS, NOISE, smooth_name

PRIOR = {"useful": (0.3, 1.5), "useless": (0.3, 1.5), CONSTANT: (0.1, 1.0), NOISE: (0.05, 1.0)}
PRIOR |= {smooth_name(length): (0.05, 1.0) for length in LENGTHS}


def _data(n: int, seed: int, noise: float = 0.02) -> tuple[dict[str, FeatureGroup], np.ndarray]:
    rng = np.random.default_rng(seed)
    useful, useless = rng.normal(size=(n, 2)), rng.normal(size=(n, 30))
    features = {"useful": FeatureGroup(("a", "b"), useful), "useless": FeatureGroup(tuple(map(str, range(30))), useless)}
    return features, 3.0 + useful @ [1.0, -0.5] + rng.normal(0.0, noise, n)


def test_evidence_finds_the_group_that_matters_among_more_features_than_samples() -> None:
    features, target = _data(20, 0)
    gp = EvidenceGp.fit(features, target, ["useful"], PRIOR)
    fresh, truth = _data(500, 1)
    mean, deviation = gp.predict(fresh)
    assert np.sqrt(np.mean((mean - truth) ** 2)) < 0.06
    amplitude = dict(zip(features, gp.log_amplitude.mean(0), strict=False))
    assert amplitude["useful"] > amplitude["useless"] + 1.0
    assert 0.8 < np.mean(np.abs(mean - truth) < 1.645 * deviation) <= 1.0


@pytest.mark.parametrize("n", [20, 300])
def test_noise_is_recognised_with_few_samples_and_with_many(n: int) -> None:
    features, target = _data(n, 3, noise=0.2)
    fresh, truth = _data(400, 4, noise=0.2)
    mean, deviation = EvidenceGp.fit(features, target, ["useful"], PRIOR).predict(fresh)
    assert np.sqrt(np.mean((mean - truth) ** 2)) < (0.3 if n == 20 else 0.22)
    assert (0.6 if n == 20 else 0.8) < np.mean(np.abs(mean - truth) < 1.645 * deviation) < 0.98


def test_deviation_widens_away_from_the_samples_and_for_columns_that_none_has() -> None:
    features, target = _data(20, 0)
    gp = EvidenceGp.fit(features, target, ["useful"], PRIOR)
    near = gp.predict(features)[1]
    far = {name: FeatureGroup(group.columns, group.values * 20.0) for name, group in features.items()}
    assert gp.predict(far)[1].min() > near.max()
    group = features["useful"]
    strange = {**features, "useful": FeatureGroup((*group.columns, "c"), np.hstack([group.values, np.full((20, 1), 3.0)]))}
    mean, deviation = gp.predict(strange)
    np.testing.assert_allclose(mean, gp.predict(features)[0])
    assert np.all(deviation > 2.0 * near)


def test_the_same_samples_give_the_same_process() -> None:
    features, target = _data(20, 0)
    first, second = (EvidenceGp.fit(features, target, ["useful"], PRIOR).predict(features) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_evidence_is_that_of_a_normal_distribution() -> None:
    rng = np.random.default_rng(1)
    x, target = rng.normal(size=(6, 3)), rng.normal(size=6)
    posterior = AmplitudePosterior((x @ x.T)[None], target, np.zeros(2), np.ones(2))
    log_amplitude = rng.normal(size=(2, 2))
    for found, covariance in zip(posterior.log_evidence(log_amplitude), covariances(posterior.kernels, log_amplitude), strict=True):
        expected = -0.5 * target @ np.linalg.inv(covariance) @ target - 0.5 * np.linalg.slogdet(covariance)[1]
        assert found == pytest.approx(expected)


def test_too_few_samples_are_refused() -> None:
    features, target = _data(2, 0)
    with pytest.raises(InvalidSettingError, match="at least 3"):
        EvidenceGp.fit(features, target, ["useful"], PRIOR)
