from __future__ import annotations

import numpy as np

from nnlqp_nas.search_spaces.fbnet import FbNet
from nnlqp_nas.transfer import VARIANTS, FeatureGroup, VariantSpread, describe_graphs

N, D = 300, 6
COLUMNS = ("agreed", "disputed", "absent")


def shares() -> FeatureGroup:
    drawn = np.random.default_rng(0).random((N, 2))
    return FeatureGroup(COLUMNS, np.hstack([drawn / drawn.sum(1, keepdims=True), np.zeros((N, 1))]))


def test_what_platforms_differ_in_gets_the_larger_scale() -> None:
    variants, rng = shares(), np.random.default_rng(1)
    efficiency = rng.normal(0.0, 0.5, D)
    log_ms = rng.normal(0.0, 1.0, D) + variants.values[:, [1]] * efficiency + 0.01 * rng.standard_normal((N, D))
    spread = VariantSpread.learn(FeatureGroup(COLUMNS, variants.values * [1.0, 1.0, 0.0]), log_ms)
    scale = dict(zip(spread.columns, spread.scale.tolist(), strict=True))
    assert scale["disputed"] > 5.0 * scale["absent"]


def test_platforms_that_differ_by_a_factor_alone_differ_in_no_variant() -> None:
    base = np.random.default_rng(2).standard_normal((N, 1))
    spread = VariantSpread.learn(shares(), base + np.linspace(-2.0, 2.0, D))
    np.testing.assert_allclose(spread.scale, spread.scale.min(), rtol=1e-6)


def test_columns_keep_their_scale_in_any_order_and_new_ones_get_the_usual() -> None:
    spread = VariantSpread(("a", "b", "c"), np.array([1.0, 2.0, 4.0]))
    scaled = spread.scaled(FeatureGroup(("c", "new", "a"), np.ones((1, 3))))
    np.testing.assert_array_equal(scaled.values, [[4.0, 2.0, 1.0]])


def test_windows_and_strides_are_told_apart() -> None:
    space, rng = FbNet(), np.random.default_rng(0)
    graphs = [space.graph(space.sample(rng)) for _ in range(8)]
    group = describe_graphs(graphs)[VARIANTS]
    assert {"Conv depthwise 3x3 by 1x1 flops", "Conv depthwise 5x5 by 1x1 flops", "Conv depthwise 3x3 by 2x2 bytes"} <= set(group.columns)
    np.testing.assert_allclose(group.values.sum(1), 3.0)
