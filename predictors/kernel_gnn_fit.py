"""What fitting a kernel GNN adds to the training of its network: the stop, what it has seen, how far it may be off."""

from __future__ import annotations

import logging
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from nnlqp_nas.core import InvalidSettingError, LatencyTable, ModelGraph, Platform

from .conformal import Score, conformal_quantile, deviation, mondrian_quantiles
from .familiarity import Domain
from .kernel_gnn_training import Lesson, lessons_of

if TYPE_CHECKING:
    from .kernel_gnn import KernelGnn

VALIDATED = 0.05
"""Share of every domain's networks that chooses the epoch whose weights are kept."""

CALIBRATED = 0.1
"""Share of every domain's networks that calibrates the intervals; they are not learned from."""

EPOCHS_A_CHECK = 4
FAR_EPOCHS = 0.5
"""Passes of a training that only tells the error on unseen domains, as a share of the settings' passes."""

_CPU = torch.device("cpu")
_LOG = logging.getLogger(__name__)


def fitted(start: KernelGnn, tables: Sequence[LatencyTable], seed: int) -> KernelGnn:
    """Return a predictor of the settings of ``start``, trained on a part of ``tables``, stopped and calibrated on others."""
    learned, validated, calibrated = split_tables(tables, seed)
    predictor = stopped(start, learned, validated, seed).calibrated(calibrated)
    if not start.settings.n_far_folds:
        return predictor
    return replace(predictor, far_error=_far_error(start, tables, seed))


def split_tables(tables: Sequence[LatencyTable], seed: int) -> tuple[list[LatencyTable], list[LatencyTable], list[LatencyTable]]:
    """Return tables to learn from, to stop by and to calibrate on, drawn within every domain; a network is in one of them everywhere."""
    keys: dict[str, dict[str, None]] = defaultdict(dict)
    for table in tables:
        keys[table.domain].update(dict.fromkeys(graph.key for graph in table.graphs))
    rng = np.random.default_rng(seed)
    part_of: dict[tuple[str, str], int] = {}
    for domain, of_domain in sorted(keys.items()):
        names = sorted(of_domain)
        n_validated, n_calibrated = (round(share * len(names)) for share in (VALIDATED, CALIBRATED))
        for place, at in enumerate(rng.permutation(len(names)).tolist()):
            part_of[domain, names[at]] = 1 if place < n_validated else 2 if place < n_validated + n_calibrated else 0
    parts: tuple[list[LatencyTable], list[LatencyTable], list[LatencyTable]] = ([], [], [])
    for table in tables:
        places = np.array([part_of[table.domain, graph.key] for graph in table.graphs])
        for number, part in enumerate(parts):
            rows = np.flatnonzero(places == number).tolist()
            if rows:
                part.append(replace(table, graphs=[table.graphs[i] for i in rows], latency_ms=table.latency_ms[rows]))
    return parts


def stopped(start: KernelGnn, learned: Sequence[LatencyTable], validated: Sequence[LatencyTable], seed: int) -> KernelGnn:
    """Train from scratch; of the checked epochs the one with the least validation error counts."""
    run = start.start_training(learned, seed, device="cuda" if torch.cuda.is_available() else "cpu")
    lessons = lessons_of([table for table in validated if table.platform in run.known], run.known)
    best, least = None, np.inf
    bar = tqdm(range(run.n_epochs), desc="train", file=sys.stderr, disable=None)
    for epoch in bar:
        run.advance()
        if (epoch + 1) % EPOCHS_A_CHECK and epoch + 1 < run.n_epochs:
            continue
        predictor = run.predictor()
        now = _mean_error(predictor, lessons) if lessons else 0.0
        bar.set_postfix(validation=f"{now:.4f}")
        if best is None or now <= least:
            best, least = predictor, now
    assert best is not None  # settings ask for at least one epoch
    _LOG.info("least validation error %.4f", least)
    return best


@torch.no_grad()
def _mean_error(predictor: KernelGnn, lessons: Sequence[Lesson]) -> float:
    """Return the mean absolute log error of the members' mean."""
    errors = [lesson.errors(predictor.trained(), np.arange(len(lesson)), _CPU)[0].mean(-1).abs() for lesson in lessons]
    return float(torch.cat(errors).mean())


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


@torch.no_grad()
def _members(predictor: KernelGnn, lesson: Lesson) -> NDArray[np.float64]:
    return predictor.trained()(lesson.batch, lesson.platforms).double().numpy()


def _far_error(start: KernelGnn, tables: Sequence[LatencyTable], seed: int) -> float:
    """Return the 0.9 quantile of |log error| on domains that a training was not shown.

    The domains are dealt into folds, and one member is trained without each fold.

    Raises:
        InvalidSettingError: If there are fewer than two domains.
    """
    names = sorted({table.domain for table in tables})
    n_folds = min(start.settings.n_far_folds, len(names))
    if n_folds < 2:
        raise InvalidSettingError(f"expected at least 2 domains to tell the error on unseen ones, got {names}; set n_far_folds to 0")
    fold_of = dict(zip(np.random.default_rng(seed).permutation(names).tolist(), np.arange(len(names)) % n_folds, strict=True))
    n_epochs = max(1, round(FAR_EPOCHS * start.settings.n_epochs))
    small = replace(start, settings=replace(start.settings, n_members=1, n_epochs=n_epochs))
    errors: list[float] = []
    for fold in range(n_folds):
        learned, validated, _ = split_tables([table for table in tables if fold_of[table.domain] != fold], seed)
        predictor = stopped(small, learned, validated, seed)
        unseen = [table for table in tables if fold_of[table.domain] == fold and table.platform in predictor.known]
        for lesson in lessons_of(unseen, predictor.known):
            error = np.abs(_members(predictor, lesson).mean(1) - lesson.log_ms.double().numpy())
            errors += [float(value) for value in error[np.isfinite(error)]]
    return conformal_quantile(errors)


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
