"""What a predictor has seen: tells networks like those it was trained on from others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import ModelGraph, Operator
from nnlqp_nas.graphs import OperatorCost, graph_costs

from .checkpoint import Arrays, take
from .operator_features import KINDS, MEASURES, kind_of, measures

_SEEN = tuple(MEASURES.index(name) for name in ("log2_flops", "log2_channels_in", "log2_channels_out", "log2_pixels", "log2_window"))
TOLERANCE = 0.35
"""How far outside the seen range a measure may lie, in powers of two."""

UNFAMILIAR_SHARE = 0.1
"""Share of the predicted latency in unfamiliar kernels above which a prediction extrapolates."""

_FLOPS = [field.name for field in fields(OperatorCost)].index("flops")
_PARTS = ("low", "high", "total")
_FREE = frozenset({"input", "move"})


@dataclass(frozen=True, eq=False)
class Domain:
    """Ranges of what was seen in one set of training networks.

    Attributes:
        name: Search space or family.
        low: float64, shape (kinds, measures): least value of each measure by kind; inf where unseen.
        high: float64, shape (kinds, measures): greatest value; -inf where unseen.
        total: float64, shape (2, 2): least and greatest log2 of a network's FLOPs and node count.
    """

    name: str
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    total: NDArray[np.float64]

    @classmethod
    def of(cls, name: str, graphs: Sequence[ModelGraph]) -> Domain:
        """Return the ranges of these networks."""
        low = np.full((len(KINDS), len(_SEEN)), np.inf)
        high = np.full((len(KINDS), len(_SEEN)), -np.inf)
        for operator in {operator for graph in graphs for operator in graph.operators}:
            kind, seen = _place(operator)
            low[kind] = np.minimum(low[kind], seen)
            high[kind] = np.maximum(high[kind], seen)
        sizes = totals(graphs)
        return cls(name, low, high, np.stack([sizes.min(0), sizes.max(0)]))

    def knows(self, operators: Sequence[Operator] | Places) -> NDArray[np.bool_]:
        """Return bool, shape (operators,): whether each lies in the seen range of its kind."""
        at = operators if isinstance(operators, Places) else Places.of(operators)
        inside = (at.measures >= self.low[at.kind] - TOLERANCE) & (at.measures <= self.high[at.kind] + TOLERANCE)
        return np.asarray(at.is_free | inside.all(1))

    def holds(self, graph: ModelGraph) -> bool:
        """Whether a network's size and every one of its kernels lie in the seen ranges."""
        return self.knows_size(graph) and bool(self.knows(tuple(set(graph.operators))).all())

    def knows_size(self, graph: ModelGraph) -> bool:
        """Whether a network's FLOPs and node count lie in the seen range."""
        return bool(self.knows_totals(totals([graph]))[0])

    def knows_totals(self, found: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return bool, shape (networks,), for what :func:`totals` returned: whether each lies in the seen range."""
        return np.asarray(((found >= self.total[0] - 2 * TOLERANCE) & (found <= self.total[1] + 2 * TOLERANCE)).all(1))


@dataclass(frozen=True, eq=False)
class Places:
    """Operators, measured once for all domains.

    Attributes:
        kind: int64, shape (operators,), positions in ``KINDS``.
        measures: float64, shape (operators, measures).
        is_free: bool, shape (operators,): whether it costs nothing, so that its shape does not matter.
    """

    kind: NDArray[np.int64]
    measures: NDArray[np.float64]
    is_free: NDArray[np.bool_]

    @classmethod
    def of(cls, operators: Sequence[Operator]) -> Places:
        """Measure operators."""
        found = [_place(operator) for operator in operators]
        kind = np.array([at for at, _ in found], dtype=np.int64)
        seen = np.array([values for _, values in found], dtype=np.float64).reshape(len(found), len(_SEEN))
        return cls(kind, seen, np.isin(kind, [KINDS.index(name) for name in _FREE]))


def domain_arrays(domains: Sequence[Domain]) -> Arrays:
    """Return the ranges of domains as a checkpoint holds them; unseen kinds are out of any range."""
    return {f"domains.{part}": np.stack([np.clip(getattr(domain, part), -1e30, 1e30) for domain in domains]) for part in _PARTS}


def read_domains(arrays: Arrays, names: Sequence[str]) -> tuple[Domain, ...]:
    """Read what :func:`domain_arrays` returned.

    Raises:
        CheckpointError: If something is missing or of another shape.
    """
    shapes = (len(names), len(KINDS), len(_SEEN)), (len(names), len(KINDS), len(_SEEN)), (len(names), 2, 2)
    boxes = [take(arrays, f"domains.{part}", shape) for part, shape in zip(_PARTS, shapes, strict=True)]
    return tuple(Domain(name, *parts) for name, *parts in zip(names, *boxes, strict=True))


def _place(operator: Operator) -> tuple[int, list[float]]:
    values = measures(operator, 1)
    return KINDS.index(kind_of(operator)), [values[i] for i in _SEEN]


def totals(graphs: Sequence[ModelGraph]) -> NDArray[np.float64]:
    """Return float64, shape (graphs, 2): log2 of FLOPs and node count."""
    flops = graph_costs(graphs)[:, _FLOPS] + 1.0
    return np.log2(np.column_stack([flops, [len(graph) for graph in graphs]]))
