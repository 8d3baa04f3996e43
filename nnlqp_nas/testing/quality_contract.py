"""The contract test that every quality inherits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ..core import Architecture, InvalidSettingError, SearchSpace
from ..quality import Quality


class QualityContract:
    """Tests the guarantees of :class:`nnlqp_nas.quality.Quality`; a subclass gives the fixtures ``quality`` and ``members``.

    Attributes:
        tolerance: Relative difference allowed between a batch and its members one by one.
    """

    tolerance = 1e-9

    @pytest.fixture
    def quality(self) -> Quality:
        """Return the quality under test."""
        raise NotImplementedError("expected the subclass to define the fixture 'quality'")

    @pytest.fixture
    def members(self) -> Sequence[Architecture]:
        """Return three or more distinct architectures that it can judge."""
        raise NotImplementedError("expected the subclass to define the fixture 'members'")

    def test_as_many_finite_values_as_architectures(self, quality: Quality, members: Sequence[Architecture]) -> None:
        values = quality.evaluate(members)
        assert values.dtype == np.float64
        assert values.shape == (len(members),)
        assert np.all(np.isfinite(values))
        assert quality.evaluate([]).shape == (0,)

    def test_order_is_kept_and_a_batch_equals_its_members(self, quality: Quality, members: Sequence[Architecture]) -> None:
        values = quality.evaluate(members)
        np.testing.assert_allclose(quality.evaluate(members[::-1]), values[::-1], rtol=self.tolerance)
        np.testing.assert_allclose([quality.evaluate([member])[0] for member in members], values, rtol=self.tolerance)

    def test_it_tells_networks_apart(self, quality: Quality, members: Sequence[Architecture]) -> None:
        assert len(set(quality.evaluate(members))) > 1

    def test_it_has_a_name_and_a_metric(self, quality: Quality) -> None:
        assert quality.name
        assert quality.metric

    def test_architectures_of_other_spaces_are_refused(self, quality: Quality, members: Sequence[Architecture]) -> None:
        if quality.space is None:
            pytest.skip("judges any space")
        assert {member.space for member in members} == {quality.space}
        with pytest.raises(InvalidSettingError, match="expected"):
            quality.evaluate([Architecture("another_space", members[0].code)])


def draw_members(space: SearchSpace, n: int, seed: int = 0) -> list[Architecture]:
    """Return ``n`` distinct members, drawn with a seed."""
    rng = np.random.default_rng(seed)
    found: dict[Architecture, None] = {}
    while len(found) < n:
        found.setdefault(space.sample(rng))
    return list(found)
