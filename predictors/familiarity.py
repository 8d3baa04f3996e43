"""What a predictor has seen: tells networks like those it was trained on from others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import ModelGraph, Operator
from nnlqp_nas.graphs import OperatorCost, graph_costs

from .checkpoint import Arrays, take
from .operator_features import KINDS
from .operator_numbers import PLACE, PLACE_NAMES, operator_numbers

TOLERANCE = 0.35
"""How far outside the seen range a measure may lie, in powers of two."""

UNFAMILIAR_SHARE = 0.1
"""Share of the predicted latency in unfamiliar kernels above which a prediction extrapolates."""

_FLOPS = [field.name for field in fields(OperatorCost)].index("flops")
_PARTS = ("low", "high", "total")
_FREE = [KINDS.index(kind) for kind in ("input", "move")]


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
        low = np.full((len(KINDS), len(PLACE_NAMES)), np.inf)
        high = np.full((len(KINDS), len(PLACE_NAMES)), -np.inf)
        places = operator_numbers(list({operator for graph in graphs for operator in graph.operators}), 1)[:, PLACE]
        kind = places[:, 0].astype(np.int64)
        np.minimum.at(low, kind, places[:, 1:])
        np.maximum.at(high, kind, places[:, 1:])
        sizes = totals(graphs)
        return cls(name, low, high, np.stack([sizes.min(0), sizes.max(0)]))

    def knows(self, operators: Sequence[Operator]) -> NDArray[np.bool_]:
        """Return bool, shape (operators,): whether each lies in the seen range of its kind."""
        return Domains((self,)).know(operator_numbers(operators, 1)[:, PLACE])[:, 0]

    def holds(self, graph: ModelGraph) -> bool:
        """Whether a network's size and every one of its kernels lie in the seen ranges."""
        return self.knows_size(graph) and bool(self.knows(tuple(set(graph.operators))).all())

    def knows_size(self, graph: ModelGraph) -> bool:
        """Whether a network's FLOPs and node count lie in the seen range."""
        return bool(Domains((self,)).know_totals(totals([graph]))[0, 0])


class Domains:
    """Several domains, asked together.

    Args:
        domains: None or more.
    """

    def __init__(self, domains: Sequence[Domain]) -> None:
        n = len(domains)
        self._low = np.reshape([domain.low for domain in domains], (n, len(KINDS), len(PLACE_NAMES))) - TOLERANCE
        self._high = np.reshape([domain.high for domain in domains], (n, len(KINDS), len(PLACE_NAMES))) + TOLERANCE
        # What costs nothing is known everywhere: its shape does not matter.
        self._low[:, _FREE], self._high[:, _FREE] = -np.inf, np.inf
        self._total = np.reshape([domain.total for domain in domains], (n, 2, 2)) + 2 * TOLERANCE * np.array([[-1.0], [1.0]])

    def know(self, places: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return bool, shape (operators, domains): whether each operator lies in each domain's seen range of its kind.

        Args:
            places: The columns ``PLACE`` of :func:`.operator_numbers.operator_numbers`.
        """
        kind, found = places[:, 0].astype(np.int64), places[:, 1:]
        return np.asarray(((found >= self._low[:, kind]) & (found <= self._high[:, kind])).all(2).T)

    def know_totals(self, found: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return bool, shape (networks, domains), for what :func:`totals` returned: whether each size lies in each seen range."""
        return np.asarray(((found >= self._total[:, :1]) & (found <= self._total[:, 1:])).all(2).T)


def domain_arrays(domains: Sequence[Domain]) -> Arrays:
    """Return the ranges of domains as a checkpoint holds them; unseen kinds are out of any range."""
    return {f"domains.{part}": np.stack([np.clip(getattr(domain, part), -1e30, 1e30) for domain in domains]) for part in _PARTS}


def read_domains(arrays: Arrays, names: Sequence[str]) -> tuple[Domain, ...]:
    """Read what :func:`domain_arrays` returned.

    Raises:
        CheckpointError: If something is missing or of another shape.
    """
    shapes = (len(names), len(KINDS), len(PLACE_NAMES)), (len(names), len(KINDS), len(PLACE_NAMES)), (len(names), 2, 2)
    boxes = [take(arrays, f"domains.{part}", shape) for part, shape in zip(_PARTS, shapes, strict=True)]
    return tuple(Domain(name, *parts) for name, *parts in zip(names, *boxes, strict=True))


def totals(graphs: Sequence[ModelGraph]) -> NDArray[np.float64]:
    """Return float64, shape (graphs, 2): log2 of FLOPs and node count."""
    flops = graph_costs(graphs)[:, _FLOPS] + 1.0
    return np.log2(np.column_stack([flops, [len(graph) for graph in graphs]]))
