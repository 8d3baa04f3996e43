"""``nnlqp-nas search``: measure a few networks, adapt, search, verify, report."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import (
    InvalidSettingError,
    LatencyPredictor,
    LatencyTable,
    Measurement,
    MeasurementError,
    MissingExtraError,
    ModelGraph,
    Platform,
    SearchSpace,
    UnsupportedError,
)
from .output import milliseconds, print_json, print_table
from .run_settings import compose_settings, instantiate
from .search_budgets import check_budgets, make_budgets

if TYPE_CHECKING:
    from ..search import Candidate, Refined, SearchOutcome, SearchProblem

HELP = """usage: nnlqp-nas search [--json] [SETTING=VALUE ...]

Find the most accurate networks of a space that run within a latency budget here.

  nnlqp-nas search                                   NAS-Bench-201 on this machine's CPU, budget from what it measures
  nnlqp-nas search budget_ms=5 search=nsga2 seed=1
  nnlqp-nas search output=runs/search/mine           goes on where a run in that folder stopped
  nnlqp-nas search -m budget_ms=2,4,8 search=tpe,nsga2    every combination, in one table and picture

settings, as they stand:
"""


def run(overrides: list[str]) -> int:
    """Run the search that the overrides describe and return the exit code."""
    if {"--help", "-h"} & set(overrides):
        from omegaconf import OmegaConf

        sys.stdout.write(HELP + "".join(f"  {line}\n" for line in OmegaConf.to_yaml(compose_settings("search", [])).splitlines()))
        return 0
    if {"--multirun", "-m"} & set(overrides):
        from .search_sweep import run_sweep

        return run_sweep(overrides)
    as_json = "--json" in overrides
    settings = compose_settings("search", [override for override in overrides if override != "--json"])
    outcome, folder = run_search(settings)
    if as_json:
        print_json(outcome.to_json())
    else:
        _print(outcome, folder)
    return 0


def run_search(settings: Any) -> tuple[SearchOutcome, Path]:
    """Run one search, already composed, and return what it found and its folder."""
    check_settings(settings)
    return _Search(settings).run()


class _Search:
    """One run of the command: its parts, its folder, and the seconds each phase took."""

    def __init__(self, settings: Any) -> None:
        from ..api import resolve_platform

        self.settings = settings
        self.space: SearchSpace = instantiate(settings.space, "space")
        self.quality = instantiate(settings.quality, "quality")
        self.search = instantiate(settings.search, "search")
        if self.quality.space not in (None, self.space.name):
            raise InvalidSettingError(
                f"expected a quality for space {self.space.name}, got {self.quality.name} for {self.quality.space}; "
                "give your own: quality=function quality.function.path=my_module.accuracy"
            )
        self.platform: Platform = resolve_platform(settings.platform)
        self.folder = Path(settings.output or f"runs/search/{datetime.now():%Y-%m-%d_%H-%M-%S}")
        self.seconds: dict[str, float] = {}
        self.unverified: str | None = None

    def run(self) -> tuple[SearchOutcome, Path]:
        """Run all phases and write the folder."""
        from ..database import open_database
        from ..oracles import PredictedOracle
        from ..report import write_report
        from ..search import SearchOutcome, SearchProblem

        settings = self.settings
        self.folder.mkdir(parents=True, exist_ok=True)
        with closing(open_database(settings.database)) as database:
            measured = self._measured_oracle(database)
            with self._phase("measure"):
                graphs, latency_ms = self._measure_support_set(measured)
            with self._phase("adapt"):
                predictor = self._adapt(graphs, latency_ms)
            budget_ms = self._budget_ms(latency_ms)
            problem = SearchProblem(
                self.space,
                PredictedOracle(predictor, self.platform),
                self.quality,
                budget_ms,
                settings.n_trials,
                settings.max_priced,
                settings.batch_size,
                settings.seed,
                settings.probability,
                make_budgets(settings, predictor),
            )
            samples = LatencyTable(self.platform, settings.batch_size, graphs, np.array(latency_ms))
            refined = self._search(problem, predictor, samples, measured)
        k, unverified = settings.verify.k, self.unverified
        outcome = SearchOutcome.of(refined.problem, refined.candidates, k, self.seconds, refined.measured, unverified)
        candidates = refined.candidates
        return self._write(outcome, candidates, write_report), self.folder

    def _write(self, outcome: SearchOutcome, candidates: list[Candidate], write_report: Any) -> SearchOutcome:
        from dataclasses import replace

        from omegaconf import OmegaConf

        settings = OmegaConf.to_container(self.settings, resolve=True)
        outcome = replace(outcome, seconds=dict(self.seconds))
        (self.folder / "outcome.json").write_text(json.dumps(outcome.to_json(), indent=2) + "\n", encoding="utf-8")
        write_report(self.folder, outcome, candidates, settings, self.quality.metric)
        return outcome

    def _search(self, problem: SearchProblem, predictor: LatencyPredictor, samples: LatencyTable, measured: Any) -> Refined:
        """Search, verify and refine; the seconds of measuring are the phase ``verify``, the others ``search``."""
        from ..search import RefiningSearch
        from ..search.study_storage import StudyStorage

        settings = self.settings
        storage = StudyStorage(settings.storage or f"journal:///{self.folder.absolute() / 'study.log'}")
        k = settings.verify.k if measured is not None else 0
        loop = RefiningSearch(self.search, measured, k, settings.verify.n_at_once, settings.verify.n_more)
        before_s = measured.spent.device_s if measured is not None else 0.0
        with self._phase("search"), _bar(settings.max_priced, "search") as bar, _bar(k, "verify") as verified:
            refined = loop.run(
                problem,
                predictor,
                samples,
                storage,
                lambda n, rated: _advance(bar, n, f"{rated} rated"),
                lambda _: verified.update(),
            )
        self.seconds["verify"] = measured.spent.device_s - before_s if measured is not None else 0.0
        self.seconds["search"] -= self.seconds["verify"]
        return refined

    def _measured_oracle(self, database: Any) -> Any:
        """Return what measures the platform, or None where nothing has to, or nothing can and the predictor knows it as it is."""
        from ..measurable import available_backend
        from ..oracles import CachedOracle, MeasuredOracle

        if not (self.settings.adapt.n_samples or self.settings.verify.k):
            return None
        try:
            backend = available_backend(self.platform)
        except (UnsupportedError, MissingExtraError) as error:
            if self.settings.adapt.n_samples:
                raise
            self.unverified = str(error)
            return None
        return CachedOracle(MeasuredOracle(backend), database, backend.host)

    def _measure_support_set(self, oracle: Any) -> tuple[list[ModelGraph], list[float]]:
        from ..transfer import select_support_set

        adapt = self.settings.adapt
        if not adapt.n_samples:
            return [], []
        rng = np.random.default_rng(self.settings.seed)
        graphs = [self.space.graph(self.space.sample(rng), self.platform.view) for _ in range(adapt.n_candidates)]
        chosen = [graphs[i] for i in select_support_set(graphs, adapt.n_samples, self.settings.seed)]
        with _bar(len(chosen), "measure") as bar:
            answers = oracle.query(chosen, self.settings.batch_size, lambda _: bar.update())
        good = [(graph, answer.latency_ms) for graph, answer in zip(chosen, answers, strict=True) if isinstance(answer, Measurement)]
        if len(good) < max(2, len(chosen) // 2):
            reason = next(answer.reason for answer in answers if not isinstance(answer, Measurement))
            raise MeasurementError(f"expected {len(chosen)} networks to be measured on {self.platform}, got {len(good)}: {reason}")
        return [graph for graph, _ in good], [latency_ms for _, latency_ms in good]

    def _adapt(self, graphs: list[ModelGraph], latency_ms: list[float]) -> LatencyPredictor:
        from ..checkpoints import default_name, load_adaptable

        predictor = load_adaptable(self.settings.predictor)
        if graphs:
            predictor = predictor.adapt(self.platform, graphs, latency_ms, self.settings.batch_size)
        if self.platform not in predictor.platforms:
            name = self.settings.predictor or default_name()
            raise UnsupportedError(f"{name} cannot predict {self.platform} before it is adapted; set adapt.n_samples=20")
        return predictor

    def _budget_ms(self, latency_ms: list[float]) -> float:
        if self.settings.budget_ms is not None:
            return float(self.settings.budget_ms)
        if not latency_ms:
            raise InvalidSettingError("expected budget_ms where adapt.n_samples=0 measures nothing to take it from; set budget_ms")
        return float(np.quantile(latency_ms, self.settings.budget_quantile))

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        begin_s = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begin_s


def check_settings(settings: Any) -> None:
    """Refuse settings of a search that are out of their range.

    Raises:
        InvalidSettingError: If one is.
    """
    numbers = {"budget_ms": settings.budget_ms, "n_trials": settings.n_trials, "max_priced": settings.max_priced, "seed": settings.seed}
    numbers |= {"batch_size": settings.batch_size, "adapt.n_samples": settings.adapt.n_samples}
    numbers |= {f"verify.{name}": settings.verify[name] for name in ("k", "n_at_once", "n_more")}
    for name, value in numbers.items():
        if value is None and name == "budget_ms":
            continue
        least = 0 if name in ("seed", "adapt.n_samples", "verify.k", "verify.n_more") else 1
        is_number = isinstance(value, int if name != "budget_ms" else (int, float)) and not isinstance(value, bool)
        if name == "budget_ms":
            if not is_number or not 0 < value < float("inf"):
                raise InvalidSettingError(f"expected budget_ms > 0, got {value}")
        elif not is_number or value < least:
            raise InvalidSettingError(f"expected {name} to be a whole number >= {least}, got {value}")
    quantile = settings.budget_quantile
    if not isinstance(quantile, (int, float)) or not 0 <= quantile <= 1:
        raise InvalidSettingError(f"expected budget_quantile between 0 and 1, got {quantile}")
    check_budgets(settings)


def _bar(total: int, name: str) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, desc=f"{name:<8}", file=sys.stderr, dynamic_ncols=True)


def _advance(bar: Any, n: int, note: str) -> None:
    bar.set_postfix_str(note, refresh=False)
    bar.update(n - bar.n)


def _print(outcome: SearchOutcome, folder: Path) -> None:
    sys.stdout.write(
        f"{outcome.space} on {outcome.platform}, budget {milliseconds(outcome.budget_ms)} ms: {outcome.n_priced} networks priced, "
        f"{outcome.n_evaluated} rated, {len(outcome.verified)} verified\n"
        + (f"nothing verified: {outcome.unverified}\n\n" if outcome.unverified else "\n")
    )
    rows = [
        [
            finding.architecture if isinstance(finding.architecture, str) else finding.key.partition(":")[2],
            f"{finding.accuracy:.2f}",
            milliseconds(finding.predicted_ms),
            " .. ".join(milliseconds(end) for end in finding.interval_ms),
            "-" if finding.measured_ms is None else milliseconds(finding.measured_ms),
            "yes" if finding.within_budget else "no",
        ]
        for finding in outcome.verified or outcome.front
    ]
    print_table(["architecture", "accuracy", "predicted ms", "interval ms", "measured ms", "within budget"], rows)
    sys.stdout.write(f"\n{folder / 'outcome.json'}\n{folder / 'pareto.html'}\n")
