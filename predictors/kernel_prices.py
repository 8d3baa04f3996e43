"""What a trained kernel GNN says of every node of some networks, each surrounding priced once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnlqp_nas.core import ModelGraph

from .colouring import Colouring
from .conformal import EVERY_DOMAIN, nearest_quantile
from .familiarity import UNFAMILIAR_SHARE, Domain, Domains
from .kernel_gnn_arrays import NetworkArrays
from .kernel_gnn_network import KernelGnnNetwork, describe_colours
from .neighbourhoods import Neighbourhoods
from .operator_numbers import PLACE, WORK, WORK_NAMES, operator_numbers
from .row_memory import RowMemory
from .surroundings import N_ROUNDS

_FLOPS = WORK.start + WORK_NAMES.index("flops")
_Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Totals:
    """Sums over the nodes of n networks.

    Attributes:
        log_ms: float64, shape (n, members, platforms), what each member says of each platform.
        strange: float64, shape (n, domains): the share of the mean price on the first platform in kernels that a domain does not hold.
        sizes: float64, shape (n, 2): log2 of FLOPs and node count, as :func:`.familiarity.totals` has them.
    """

    log_ms: _Numbers
    strange: _Numbers
    sizes: _Numbers


class KernelPrices:
    """Prices nodes on some platforms at one batch size, and remembers the price of every surrounding.

    Networks of a search share nearly all of them, so that a network is a look-up and a sum.

    Args:
        network: Trained; its weights must not change.
        platforms: Positions of platforms.
        batch_size: Inputs per run.
        domains: What may hold the networks.
    """

    def __init__(self, network: KernelGnnNetwork, platforms: Sequence[int], batch_size: int, domains: Sequence[Domain] = ()) -> None:
        self._network = NetworkArrays(network, platforms)
        self._batch_size = batch_size
        self._domains = Domains(domains)
        self._memory = RowMemory()

    def sum_over(self, graphs: Sequence[ModelGraph]) -> Totals:
        """Return the sums of at least one network."""
        nodes = Neighbourhoods.of(graphs, N_ROUNDS)
        names, first, place = np.unique(nodes.names, return_index=True, return_inverse=True)
        rows = self._memory.look_up(names.tolist(), lambda missing: self._describe(nodes.colouring(first[missing])))
        sums = np.add.reduceat(rows[place], nodes.starts, axis=0)
        overhead_ms = self._network.overhead_ms
        n_prices = overhead_ms.size
        prices = sums[:, :n_prices].reshape(-1, *overhead_ms.shape)
        least = np.maximum(prices[:, :, 0].mean(1, keepdims=True), 1e-12)
        sizes = np.log2(np.column_stack([sums[:, n_prices] + 1.0, nodes.sizes]))
        return Totals(np.log(prices + overhead_ms), sums[:, n_prices + 1 :] / least, sizes)

    def _describe(self, colouring: Colouring) -> _Numbers:
        """Return the rows of some colours: prices by member and platform, FLOPs of one input, price where a domain does not hold it."""
        numbers = operator_numbers(colouring.operators, self._batch_size)
        first, around, slot, work = describe_colours(colouring, numbers)
        prices = self._network.price(around, slot, work).transpose(1, 0, 2).astype(np.float64)
        of_node = numbers[first]
        flops = of_node[:, [_FLOPS]] / self._batch_size
        strange = prices[:, :, :1].mean(1) * ~self._domains.know(of_node[:, PLACE])
        return np.hstack([prices.reshape(len(first), -1), flops, strange])


@dataclass(frozen=True)
class Reach:
    """How far intervals reach on one platform at one batch size.

    Attributes:
        domains: Those seen there.
        quantiles: float64, shape (domains,): deviations that an interval of a network of each reaches.
        fallback: Deviations for networks that no domain holds.
        is_calibrated: Whether anything was held back there to tell quantiles; else every network is taken as unlike what was seen.
    """

    domains: Domains
    quantiles: _Numbers
    fallback: float
    is_calibrated: bool

    @classmethod
    def of(cls, domains: Sequence[Domain], quantiles: Mapping[tuple[str, int, str], float], platform: str, batch_size: int) -> Reach:
        """Look up the quantiles of domains."""
        everywhere = nearest_quantile(quantiles, platform, batch_size, EVERY_DOMAIN)
        fallback = 1.0 if everywhere is None else everywhere
        own = [nearest_quantile(quantiles, platform, batch_size, domain.name) for domain in domains]
        return cls(Domains(domains), np.array([fallback if one is None else one for one in own]), fallback, everywhere is not None)

    def judge(self, totals: Totals) -> tuple[_Numbers, NDArray[np.bool_]]:
        """Return how many deviations each interval reaches, and whether no domain holds the network, shape (n,) each.

        A domain holds a network if its size lies in the domain's range, and kernels outside the domain's ranges make
        up at most a tenth of its predicted latency. Of several that hold it the widest interval counts.
        """
        holds = self.domains.know_totals(totals.sizes) & (totals.strange <= UNFAMILIAR_SHARE)
        is_held = holds.any(1)
        reach = np.where(holds, self.quantiles, -np.inf).max(1, initial=-np.inf)
        return np.where(is_held, reach, self.fallback), np.asarray(~is_held | (not self.is_calibrated))
