"""Networks of a space in which a platform may run one variant of operators many times slower than others do."""

from __future__ import annotations

import numpy as np

from nnlqp_nas.core import ModelGraph
from nnlqp_nas.search_spaces.fbnet import FbNet
from nnlqp_nas.transfer import GraphWork

SLOW = "Conv depthwise 5x5 by 1x1"


def draw(n: int, seed: int) -> list[ModelGraph]:
    space, rng = FbNet(), np.random.default_rng(seed)
    return [space.graph(space.sample(rng)) for _ in range(n)]


def log_ms(work: GraphWork, factor: float) -> np.ndarray:
    """A platform of one rate each, on which one variant of operators takes so many times longer."""
    variants, is_variant = work.variants
    slower = np.where(is_variant[:, variants.index(SLOW)] > 0, factor, 1.0)
    return np.log(0.2 + work.counts @ (slower * (work.work @ [2e-3, 1e-8, 2e-8])))
