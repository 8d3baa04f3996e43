"""Which networks to measure on a new platform."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core import InvalidSettingError, ModelGraph
from ..graphs import graph_cost


def select_support_set(graphs: Sequence[ModelGraph], n: int, seed: int = 0) -> list[int]:
    """Choose ``n`` distinct networks that represent ``graphs``.

    Networks are described by their cost and by how many operators of each shape they have; the choice
    is the members nearest to the centres of ``n`` clusters (k-means, k-means++ start), so that it
    covers the candidates as they are spread, and depends on nothing that has to be measured.

    Args:
        graphs: Candidates; equal keys count once.
        n: Number to choose.
        seed: Seed of the clustering.

    Returns:
        ``n`` positions in ``graphs``, ascending.

    Raises:
        InvalidSettingError: If there are fewer than ``n`` distinct candidates.
    """
    place = {graph.key: i for i, graph in reversed(list(enumerate(graphs)))}
    distinct = sorted(place.values())
    if not 1 <= n <= len(distinct):
        raise InvalidSettingError(f"expected 1 to {len(distinct)} samples of {len(distinct)} distinct candidates, got {n}")
    described = _describe([graphs[i] for i in distinct])
    return sorted(distinct[i] for i in _cluster_members(described, n, seed))


def _describe(graphs: Sequence[ModelGraph]) -> NDArray[np.float64]:
    counts = [Counter((operator.op_type, operator.attribute("kernel_shape")) for operator in graph.operators) for graph in graphs]
    kinds = sorted({kind for count in counts for kind in count}, key=repr)
    cost = [graph_cost(graph) for graph in graphs]
    columns = [[np.log1p(c.flops), np.log1p(c.write_bytes), np.log1p(len(g))] for c, g in zip(cost, graphs, strict=True)]
    described = np.hstack([np.array(columns), np.array([[count[kind] for kind in kinds] for count in counts], dtype=float)])
    scale = described.std(0)
    return (described - described.mean(0)) / np.where(scale > 1e-9, scale, 1.0)


def _cluster_members(x: NDArray[np.float64], n: int, seed: int) -> list[int]:
    """Return the member nearest to each centre of a k-means clustering (Lloyd 1982; Arthur and Vassilvitskii 2007)."""
    rng = np.random.default_rng(seed)
    centres = x[_spread_start(x, n, rng)]
    for _ in range(50):
        owner = _squared(x, centres).argmin(1)
        moved = np.stack([x[owner == k].mean(0) if np.any(owner == k) else centres[k] for k in range(n)])
        if np.allclose(moved, centres):
            break
        centres = moved
    chosen: list[int] = []
    distance = _squared(x, centres)
    for k in range(n):
        order = distance[:, k].argsort(kind="stable")
        chosen.append(next(int(i) for i in order if int(i) not in chosen))
    return chosen


def _spread_start(x: NDArray[np.float64], n: int, rng: np.random.Generator) -> list[int]:
    chosen = [int(rng.integers(len(x)))]
    nearest = _squared(x, x[chosen])[:, 0]
    while len(chosen) < n:
        nearest[chosen] = 0.0
        total = nearest.sum()
        weights = nearest / total if total > 0 else None
        free = np.setdiff1d(np.arange(len(x)), chosen)
        chosen.append(int(rng.choice(len(x), p=weights)) if weights is not None else int(free[0]))
        nearest = np.minimum(nearest, _squared(x, x[[chosen[-1]]])[:, 0])
    return chosen


def _squared(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum((x**2).sum(1)[:, None] + (y**2).sum(1)[None, :] - 2 * x @ y.T, 0.0)
