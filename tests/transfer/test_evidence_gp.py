from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from nnlqp_nas.core import InvalidSettingError
from nnlqp_nas.transfer import EvidenceGp
from nnlqp_nas.transfer.evidence_gp import CONSTANT, NOISE, SMOOTH, _Evidence

PRIOR = {"useful": 0.3, "useless": 0.3, SMOOTH: 0.05, CONSTANT: 0.1, NOISE: 0.05}


def _data(n: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    features = {"useful": rng.normal(size=(n, 2)), "useless": rng.normal(size=(n, 30))}
    return features, 3.0 + features["useful"] @ [1.0, -0.5] + rng.normal(0.0, 0.02, n)


def test_evidence_finds_the_group_that_matters_among_more_features_than_samples() -> None:
    features, target = _data(20, 0)
    gp = EvidenceGp.fit(features, target, ["useful"], PRIOR)
    fresh, truth = _data(500, 1)
    mean, deviation = gp.predict(fresh)
    assert np.sqrt(np.mean((mean - truth) ** 2)) < 0.06
    assert gp.log_amplitude["useful"] > gp.log_amplitude["useless"] + 1.0
    assert 0.8 < np.mean(np.abs(mean - truth) < 1.645 * deviation) <= 1.0


def test_deviation_widens_away_from_the_samples() -> None:
    features, target = _data(20, 0)
    gp = EvidenceGp.fit(features, target, ["useful"], PRIOR)
    far = {name: x * 20.0 for name, x in features.items()}
    assert gp.predict(far)[1].min() > gp.predict(features)[1].max()


def test_the_gradient_of_the_evidence_is_right() -> None:
    features, target = _data(15, 2)
    names = ("useful", "useless", SMOOTH, CONSTANT, NOISE, "length")
    problem = _Evidence(names, ("useful", "useless"), features, ("useful",), target - target.mean(), np.zeros(6), 1.5)
    for seed in range(3):
        theta = np.random.default_rng(seed).normal(-1.0, 0.5, 6)
        assert check_grad(lambda t: problem.loss(t)[0], lambda t: problem.loss(t)[1], theta) < 1e-3


def test_too_few_samples_are_refused() -> None:
    features, target = _data(2, 0)
    with pytest.raises(InvalidSettingError, match="at least 3"):
        EvidenceGp.fit(features, target, ["useful"], PRIOR)
