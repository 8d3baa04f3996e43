"""What fitting a kernel GNN adds to the training of its network: what it has seen, how far it may be off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from nnlqp_nas.core import InvalidSettingError, LatencyTable, ModelGraph, Platform
from nnlqp_nas.transfer import VARIANTS, GraphWork, TypicalTimes, VariantSpread, describe_graphs

from .conformal import Score, conformal_quantile, deviation, mondrian_quantiles
from .epochs import run_epochs
from .familiarity import Domain
from .held_out import hold_out
from .kernel_gnn_training import Lesson, lessons_of

if TYPE_CHECKING:
    from .kernel_gnn import KernelGnn

CALIBRATED = 0.1
"""Share of every domain's networks that calibrates the intervals; they are not learned from."""

N_SPREAD = 800
"""Most networks that tell in which variants of operators platforms differ."""

FAR_EPOCHS = 0.5
"""Passes of a training that only tells the error on unseen domains, as a share of the settings' passes."""


def fitted(start: KernelGnn, tables: Sequence[LatencyTable], seed: int) -> KernelGnn:
    """Return a predictor of the settings of ``start``, trained on a part of ``tables`` and calibrated on the rest.

    The last epoch counts: its steps are as small as they get, and no network need be kept back to choose another.
    """
    learned, held_out = hold_out(tables, CALIBRATED, seed)
    predictor = _trained(start, learned, seed).calibrated(held_out)
    return replace(predictor, far_errors=far_errors(start, tables, seed)) if start.settings.n_far_folds else predictor


def _trained(start: KernelGnn, tables: Sequence[LatencyTable], seed: int) -> KernelGnn:
    run = start.start_training(tables, seed, device="cuda" if torch.cuda.is_available() else "cpu")
    run_epochs(run)
    return run.predictor()


def quantiles_of(predictor: KernelGnn, tables: Sequence[LatencyTable]) -> dict[tuple[str, int, str], float]:
    """Return how many deviations an interval reaches, told by networks that were not learned from."""
    scores: list[Score] = []
    for lesson in lessons_of([table for table in tables if table.platform in predictor.known], predictor.known):
        log_ms, truth = _members(predictor, lesson), lesson.log_ms.double().numpy()
        for column, platform in enumerate(lesson.platforms.tolist()):
            members = log_ms[:, :, column]
            ratio = np.abs(members.mean(1) - truth[:, column]) / deviation(members)
            scores += [
                (str(predictor.known[platform]), lesson.batch_size, domain, float(score))
                for domain, score in zip(lesson.domains, ratio, strict=True)
                if np.isfinite(score)
            ]
    return mondrian_quantiles(scores)


def spread_of(predictor: KernelGnn, tables: Sequence[LatencyTable]) -> VariantSpread | None:
    """Return in which variants of operators the known platforms differ, by what is predicted there of some of the networks."""
    graphs = _some_graphs(tables)
    if len(predictor.known) < 2 or not graphs:
        return None
    return VariantSpread.learn(describe_graphs(graphs)[VARIANTS], predictor.log_latency(graphs, predictor.known))


def times_of(predictor: KernelGnn, tables: Sequence[LatencyTable]) -> TypicalTimes | None:
    """Return what operators take on a typical known platform, by what is predicted there of some of the networks."""
    graphs = _some_graphs(tables)
    if len(predictor.known) < 2 or not graphs:
        return None
    return TypicalTimes.learn(GraphWork.of(graphs), predictor.log_latency(graphs, predictor.known))


def _some_graphs(tables: Sequence[LatencyTable]) -> list[ModelGraph]:
    graphs = list({graph.key: graph for table in tables for graph in table.graphs}.values())
    return [graphs[i] for i in np.sort(np.random.default_rng(0).permutation(len(graphs))[:N_SPREAD])]


@torch.no_grad()
def _members(predictor: KernelGnn, lesson: Lesson) -> NDArray[np.float64]:
    return predictor.trained()(lesson.batch, lesson.platforms).double().numpy()


def far_errors(start: KernelGnn, tables: Sequence[LatencyTable], seed: int) -> dict[Platform, float]:
    """Return, by platform, the 0.9 quantile of |log error| on domains that a training was not shown.

    The domains are dealt into folds, and one member is trained without each fold. A platform of which only one
    domain was seen tells nothing and is left out.

    Raises:
        InvalidSettingError: If no platform has two domains.
    """
    told = _of_several_domains(tables)
    names = sorted({table.domain for table in told})
    n_folds = min(start.settings.n_far_folds, len(names))
    if n_folds < 2:
        raise InvalidSettingError(
            f"expected 2 folds of domains or more to tell the error on unseen ones, got {n_folds} and a platform's domains "
            f"{sorted({table.domain for table in tables})}; set n_far_folds to 0"
        )
    fold_of = dict(zip(np.random.default_rng(seed).permutation(names).tolist(), np.arange(len(names)) % n_folds, strict=True))
    n_epochs = max(1, round(FAR_EPOCHS * start.settings.n_epochs))
    small = replace(start, settings=replace(start.settings, n_members=1, n_epochs=n_epochs))
    errors: dict[Platform, list[float]] = defaultdict(list)
    for fold in range(n_folds):
        predictor = _trained(small, [table for table in told if fold_of[table.domain] != fold], seed)
        unseen = [table for table in told if fold_of[table.domain] == fold and table.platform in predictor.known]
        for lesson in lessons_of(unseen, predictor.known):
            error = np.abs(_members(predictor, lesson).mean(1) - lesson.log_ms.double().numpy())
            for column, platform in enumerate(lesson.platforms.tolist()):
                errors[predictor.known[platform]] += error[np.isfinite(error[:, column]), column].tolist()
    return {platform: conformal_quantile(found) for platform, found in errors.items()}


def _of_several_domains(tables: Sequence[LatencyTable]) -> list[LatencyTable]:
    domains: dict[Platform, set[str]] = defaultdict(set)
    for table in tables:
        domains[table.platform].add(table.domain)
    return [table for table in tables if len(domains[table.platform]) > 1]


def seen_domains(
    start: KernelGnn, tables: Sequence[LatencyTable], known: Sequence[Platform]
) -> tuple[tuple[Domain, ...], tuple[tuple[int, ...], ...]]:
    """Return the domains of ``tables``, then those of ``start``, and for each platform the positions of those seen there."""
    names: dict[tuple[str, str], dict[str, ModelGraph]] = defaultdict(dict)
    seen: dict[Platform, set[int]] = defaultdict(set)
    for table in tables:
        at = (table.domain, str(table.platform.view))
        names[at].update({graph.key: graph for graph in table.graphs})
        seen[table.platform].add(list(names).index(at))
    domains = tuple(Domain.of(domain, list(graphs.values())) for (domain, _), graphs in names.items())
    earlier = {platform: {len(domains) + i for i in of_platform} for platform, of_platform in zip(start.known, start.seen, strict=True)}
    positions = tuple(tuple(sorted(seen[platform] | earlier.get(platform, set()))) for platform in known)
    return domains + start.domains, positions
