"""Learning platforms that were left out from few networks, by several methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluation import NNLP, Cells, Result, judge, untrained
from benchmarks.measured_networks import MeasuredNetworks
from benchmarks.transfer_features import TransferFeatures
from benchmarks.transfer_nnlp import NnlpTransfer
from nnlqp_nas.core import LatencyPredictor, Platform, Prediction
from nnlqp_nas.transfer import COVERAGE, Features, FewShotModel, choose_rows, take

Rows = NDArray[np.int64]

OURS, RANDOM, PREDICTED, ALONE = "few_shot", "few_shot, random samples", "few_shot, predicted sources", "few_shot, no pretraining"
TABLE, NNLP_ALONE = "operator_linear", "nnlp, no pretraining"
METHODS = (OURS, RANDOM, PREDICTED, ALONE, TABLE)
CHOOSING = (OURS, PREDICTED)
METRICS = ("mape", "family_mape", "acc10", "spearman")
ALL, ALL_SHARE = "all", 0.8
MOST_CALIBRATED = 20
"""Samples up to which the coverage of intervals is told."""
N_CANDIDATES = 700
"""Networks among which samples are chosen, so that seeds differ."""


@dataclass(frozen=True, eq=False)
class TransferExperiment:
    """Learns each platform from few networks, and is judged on all others.

    Attributes:
        networks: Networks that were measured on all platforms.
        samples: How many are sampled.
        has_all: Whether four fifths of the networks are sampled too.
        n_seeds: Draws of the samples.
        n_compared: Draws for all but :data:`OURS`.
        methods: Of :data:`METHODS`.
        nnlp: NNLP's transfer, for its own targets and numbers of samples, one draw each; None leaves it out.
        nnlp_samples: How many samples it gets.
        cells: Finished parts.
    """

    networks: MeasuredNetworks
    samples: Sequence[int]
    has_all: bool
    n_seeds: int
    n_compared: int
    methods: Sequence[str]
    nnlp: NnlpTransfer | None
    nnlp_samples: Sequence[int]
    cells: Cells

    def judge(self, platform: Platform) -> dict[str, dict[str, Result]]:
        """Return the errors on a platform, by number of samples and by method."""
        n_all = round(ALL_SHARE * len(self.networks))
        sizes = {**{str(n): n for n in sorted(self.samples) if n < n_all}, **({ALL: n_all} if self.has_all else {})}
        found: dict[str, dict[str, Result]] = {label: {} for label in sizes}
        for method in self._methods(platform):
            for label, n in sizes.items():
                if self._applies(method, n, n_all):
                    key = {
                        "data": self.networks.digest,
                        "platform": str(platform),
                        "method": method,
                        "n": n,
                        "seeds": self._seeds_of(method),
                    }
                    result = self.cells.look_up_or_run(key | self._setting(method), partial(self._over_seeds, method, platform, n))
                    found[label] |= {} if result is None else {method: result}
        return found

    def _methods(self, platform: Platform) -> list[str]:
        is_for_nnlp = self.nnlp is not None and platform in self.nnlp.targets
        return [*self.methods, *((NNLP, NNLP_ALONE) if is_for_nnlp else ())]

    def _applies(self, method: str, n: int, n_all: int) -> bool:
        if method in (NNLP, NNLP_ALONE):
            return n in self.nnlp_samples
        return method not in CHOOSING or n < n_all

    def _setting(self, method: str) -> Result:
        return {"setting": self.nnlp.setting} if self.nnlp is not None and method in (NNLP, NNLP_ALONE) else {}

    def _seeds_of(self, method: str) -> int:
        return self.n_seeds if method == OURS else 1 if method in (NNLP, NNLP_ALONE) else self.n_compared

    def _over_seeds(self, method: str, platform: Platform, n: int) -> Result:
        runs = [self._try(method, platform, n, seed) for seed in range(self._seeds_of(method))]
        means = {metric: round(float(np.mean([run[metric] for run in runs])), 3) for metric in METRICS}
        # Calibrating an interval takes five more fits: the first seed tells its coverage.
        coverage = {"coverage": runs[0]["coverage"]} if n <= MOST_CALIBRATED and method == OURS else {}
        return {**means, **coverage, "mape_sd": round(float(np.std([run["mape"] for run in runs])), 3), "n_seeds": len(runs), "n": n}

    def _try(self, method: str, platform: Platform, n: int, seed: int) -> Result:
        order = np.random.default_rng(seed).permutation(len(self.networks))
        features = self._features(method, platform)
        support = np.sort(order[:n]) if method not in CHOOSING else _choose(features, order, n)
        rest = np.setdiff1d(order, support)
        if features:
            is_calibrated = seed == 0 and n <= MOST_CALIBRATED and method == OURS
            model = FewShotModel.fit(take(features, support), self.networks.latency_ms[platform][support], is_calibrated)
            log_ms, margin = model.predict(take(features, rest))
            answer = Prediction(np.exp(log_ms), np.exp(log_ms - margin), np.exp(log_ms + margin), np.zeros(len(rest), dtype=bool), COVERAGE)
        else:
            predictor = self._learn(method, platform, support, seed)
            answer = predictor.predict([self.networks.graphs[i] for i in rest], platform)
        return self._judge(answer, platform, rest)

    def _features(self, method: str, platform: Platform) -> Features:
        """Return the features of all networks; none where the method has its own."""
        if method in (OURS, RANDOM):
            return self._described.measured(platform)
        if method == PREDICTED:
            return self._described.predicted(platform)
        return self._described.alone if method == ALONE else {}

    @cached_property
    def _described(self) -> TransferFeatures:
        return TransferFeatures(self.networks)

    def _learn(self, method: str, platform: Platform, support: Rows, seed: int) -> LatencyPredictor:
        samples = self.networks.table(platform, support)
        if method == TABLE or self.nnlp is None:
            return untrained(TABLE, {}).fit([samples])
        return self.nnlp.adapt(samples) if method == NNLP else self.nnlp.train_alone(samples, seed)

    def _judge(self, answer: Prediction, platform: Platform, rest: Rows) -> Result:
        truth, families = self.networks.latency_ms[platform][rest], self.networks.families[rest]
        relative = 100.0 * np.abs(answer.latency_ms / truth - 1.0)
        by_family = [float(relative[families == family].mean()) for family in np.unique(families)]
        return {**judge(answer, truth), "family_mape": float(np.mean(by_family))}


def _choose(features: Features, order: Rows, n: int) -> Rows:
    looked_at = np.sort(order[: max(N_CANDIDATES, n)])
    return np.sort(looked_at[choose_rows(take(features, looked_at), n)])
