"""Rates are found again where work tells them, and taken from kin, then from all, where it does not."""

from __future__ import annotations

import numpy as np

from nnlqp_nas.transfer.rate_fit import fit_rates

KIN = np.array([0, 0, 0, 1, 2])
"""Groups 0 to 2 are kin; 3 and 4 are alone."""


def relative_work(rates: np.ndarray, seen: list[int], n: int = 300) -> np.ndarray:
    """Work of random networks that hold the groups ``seen`` alone, over their latencies."""
    work = np.zeros((n, *rates.shape))
    work[:, seen] = np.random.default_rng(0).lognormal(size=(n, len(seen), rates.shape[1]))
    return work / (work * rates).sum((1, 2))[:, None, None]


def test_rates_of_all_groups_are_found_again_with_kin_and_without() -> None:
    rates = np.random.default_rng(1).lognormal(sigma=0.5, size=(5, 2))
    relative = relative_work(rates, [0, 1, 2, 3, 4])
    for kin in (None, KIN):
        common, factors = fit_rates(relative, kin)
        np.testing.assert_allclose((relative * common * factors).sum((1, 2)), 1.0, atol=0.03)
        np.testing.assert_allclose(common * factors, rates, rtol=0.15)


def test_a_group_that_was_not_seen_is_like_its_kin_and_not_like_all() -> None:
    rates = np.array([[4.0], [4.0], [4.0], [1.0], [1.0]])
    relative = relative_work(rates, [0, 1, 3, 4])
    common, factors = fit_rates(relative, KIN)
    unseen, alone = (common * factors)[2, 0], fit_rates(relative)
    assert 3.0 < unseen < 4.5
    assert (alone[0] * alone[1])[2, 0] < 2.5


def test_kin_of_which_nothing_was_seen_have_the_rates_of_all() -> None:
    common, factors = fit_rates(relative_work(np.ones((5, 1)), [3, 4]), KIN)
    np.testing.assert_allclose(factors[:3], 1.0, atol=1e-6)
    np.testing.assert_allclose(common, 1.0, rtol=0.05)
