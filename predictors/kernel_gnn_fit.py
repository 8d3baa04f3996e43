"""What fitting a kernel GNN adds to the training of its network: what it has seen, and how far it may be off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from nnlqp_nas.core import InvalidSettingError, LatencyTable, ModelGraph, Platform

from .conformal import Score, conformal_quantile, deviation, mondrian_quantiles
from .familiarity import Domain
from .kernel_gnn_network import KernelGnnNetwork
from .kernel_gnn_training import Split, split_tables, train_network

if TYPE_CHECKING:
    from .kernel_gnn import KernelGnnSettings

FAR_EPOCHS = 0.5
"""Passes of a training that only tells the error on unseen domains, as a share of the settings' passes."""


def fitted(settings: KernelGnnSettings, tables: Sequence[LatencyTable], seed: int) -> dict[str, Any]:
    """Return the fields of a trained :class:`KernelGnn`."""
    known = tuple(sorted({table.platform for table in tables}))
    splits = split_tables(tables, known, seed)
    network = train_network(settings, splits, len(known), seed)
    domains, seen = _domains(tables, known)
    quantiles = mondrian_quantiles(_scores(network, splits, known))
    fields = {"network": network, "known": known, "quantiles": quantiles, "domains": domains, "seen": seen}
    return fields | ({"far_error": _far_error(settings, splits, len(known), seed)} if settings.n_far_folds else {})


def _scores(network: KernelGnnNetwork, splits: Sequence[Split], known: Sequence[Platform]) -> list[Score]:
    """Return error over deviation of every known latency that calibrates."""
    scores: list[Score] = []
    for split in splits:
        if not len(split.calibrated):
            continue
        log_ms = _members(network, split, split.calibrated)
        truth = split.log_ms[split.calibrated].double().numpy()
        for column, platform in enumerate(split.platforms.tolist()):
            members = log_ms[:, :, column]
            ratio = np.abs(members.mean(1) - truth[:, column]) / deviation(members)
            scores += [
                (str(known[platform]), split.batch_size, split.domains[row], float(score))
                for row, score in zip(split.calibrated.tolist(), ratio, strict=True)
                if np.isfinite(score)
            ]
    return scores


@torch.no_grad()
def _members(network: KernelGnnNetwork, split: Split, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return network(split.batch.part(rows), split.platforms).double().numpy()


def _far_error(settings: KernelGnnSettings, splits: Sequence[Split], n_platforms: int, seed: int) -> float:
    """Return the 0.9 quantile of |log error| on domains that a training was not shown.

    The domains are dealt into folds, and one member is trained without each fold.

    Raises:
        InvalidSettingError: If there are fewer than two domains.
    """
    names = sorted({domain for split in splits for domain in split.domains})
    n_folds = min(settings.n_far_folds, len(names))
    if n_folds < 2:
        raise InvalidSettingError(f"expected at least 2 domains to tell the error on unseen ones, got {names}; set n_far_folds to 0")
    fold_of = dict(zip(np.random.default_rng(seed).permutation(names).tolist(), np.arange(len(names)) % n_folds, strict=True))
    small = replace(settings, n_members=1, n_epochs=max(1, round(FAR_EPOCHS * settings.n_epochs)))
    errors: list[float] = []
    for fold in range(n_folds):
        is_out = [np.array([fold_of[domain] == fold for domain in split.domains]) for split in splits]
        kept = [
            replace(split, learned=split.learned[~out[split.learned]], validated=split.validated[~out[split.validated]])
            for split, out in zip(splits, is_out, strict=True)
        ]
        kept_platforms = {p for split in kept if len(split.learned) for p in split.platforms.tolist()}
        network = train_network(small, [split for split in kept if len(split.learned)], n_platforms, seed)
        for split, out in zip(splits, is_out, strict=True):
            errors += _unseen_errors(network, split, np.flatnonzero(out), kept_platforms)
    return conformal_quantile(errors)


def _unseen_errors(network: KernelGnnNetwork, split: Split, rows: NDArray[np.int64], platforms: set[int]) -> list[float]:
    if not len(rows):
        return []
    columns = [column for column, platform in enumerate(split.platforms.tolist()) if platform in platforms]
    error = np.abs(_members(network, split, rows).mean(1) - split.log_ms[rows].double().numpy())[:, columns]
    return [float(value) for value in error[np.isfinite(error)]]


def _domains(tables: Sequence[LatencyTable], known: tuple[Platform, ...]) -> tuple[tuple[Domain, ...], tuple[tuple[int, ...], ...]]:
    names: dict[tuple[str, str], dict[str, ModelGraph]] = defaultdict(dict)
    seen: dict[Platform, set[int]] = defaultdict(set)
    for table in tables:
        at = (table.domain, str(table.platform.view))
        names[at].update({graph.key: graph for graph in table.graphs})
        seen[table.platform].add(list(names).index(at))
    domains = tuple(Domain.of(domain, list(graphs.values())) for (domain, _), graphs in names.items())
    return domains, tuple(tuple(sorted(seen[platform])) for platform in known)
