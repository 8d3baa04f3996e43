"""One run of a search: what is known so far, and the next batch."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ..core import Architecture, InvalidSettingError, SearchSpace
from .candidate import Candidate, rank_distinct
from .problem import SearchProblem
from .samplers import SamplerSetting, derive_seed
from .shared_record import SharedRecord, wait_s
from .study_storage import StudyStorage, note_candidate, read_candidates

if TYPE_CHECKING:
    import optuna

OnProgress = Callable[[int, int], None]
_Proposal = tuple["optuna.Trial", Architecture]
_PARENTS = 32
_TRIES = 8
_IDLE_BATCHES = 6


class SearchRun:
    """What a search knows, and how it goes on.

    Args:
        problem: What to search.
        setting: How candidates are proposed.
        storage: Where trials are kept.
        known: Candidates of an earlier search.
        n_jobs: Evaluations at a time.

    Raises:
        InvalidSettingError: If ``storage`` holds another search.
    """

    def __init__(
        self, problem: SearchProblem, setting: SamplerSetting, storage: StudyStorage, known: Sequence[Candidate], n_jobs: int
    ) -> None:
        self.problem = problem
        self.setting = setting
        self.n_jobs = n_jobs
        self.record: SharedRecord | None = None
        if storage.url is not None:
            facts = {**problem.facts(), "quality": problem.quality.name, "sampler": setting.name}
            self.record = SharedRecord(storage.open(setting.n_objectives, facts))
        self.known = {candidate.graph_key: candidate for candidate in known}
        self.told = [self._trial_of(candidate) for candidate in known if self._is_telling(candidate)]
        self.n_evaluated = self._n_before = sum(candidate.accuracy is not None for candidate in known)
        self.n_asked = self._rated_at = 0
        self._study: optuna.Study | None = None
        # Processes with one seed and one knowledge propose the same: once two of them meet, each draws on its own.
        self._salt: list[int] = []
        self._has_met = False
        self._read_others()
        self.n_asked = self._rated_at = len(self.known)
        self._keys = {candidate.architecture: candidate.graph_key for candidate in self.known.values()}
        self._graph = lru_cache(maxsize=4 * setting.n_ask)(lambda architecture: problem.space.graph(architecture, problem.platform.view))

    def learn_from_others(self) -> None:
        """Take over what other processes found, and wait for what they are at where nothing else is left to do."""
        self._read_others()
        n_waits = 0
        while self.record is not None and (rated_now := self.record.claimed_elsewhere()):
            if not self.is_over() and self.n_evaluated + len(rated_now) < self.problem.n_trials:
                break
            wait_s(n_waits)
            n_waits += 1
            self._read_others()

    def _read_others(self) -> None:
        trials = self.record.read_new() if self.record is not None else []
        new = [trial for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")]
        self.told += new
        if self._study is not None and self.setting.is_genetic:
            self._study.add_trials(new)
        fresh = {candidate.graph_key: candidate for candidate in read_candidates(trials)}
        # What is rated stays so, whatever another process, which had not rated it, wrote later.
        self.known |= {key: c for key, c in fresh.items() if c.accuracy is not None or key not in self.known}
        n_evaluated = sum(candidate.accuracy is not None for candidate in self.known.values())
        if n_evaluated > self.n_evaluated:
            self.n_evaluated, self._rated_at = n_evaluated, self.n_asked

    def is_over(self) -> bool:
        problem = self.problem
        is_spent = len(self.known) >= problem.max_priced or self.n_asked >= 4 * problem.max_priced
        # Where nothing new within the budget came for long, the feasible part of the space is exhausted.
        is_exhausted = self.n_evaluated > 0 and self.n_asked - self._rated_at >= _IDLE_BATCHES * self.setting.n_ask
        return is_spent or is_exhausted or self.n_evaluated >= problem.n_trials

    def require_feasible(self) -> None:
        if self.n_evaluated:
            return
        problem = self.problem
        fastest = min((candidate.bound_ms or candidate.interval_ms[1] for candidate in self.known.values()), default=float("nan"))
        further = "".join(f", {budget.name} {budget.limit:g}" for budget in problem.budgets)
        raise InvalidSettingError(
            f"expected a budget that some network of {problem.space.name} meets on {problem.platform}, "
            f"got {problem.budget_ms:g} ms{further}: the fastest of {len(self.known)} priced may take {fastest:.4g} ms; "
            f"raise budget_ms{' or a further budget' if further else ''}"
        )

    def candidates(self) -> list[Candidate]:
        """Return all that was priced, each graph once."""
        return list(self.known.values())

    def rate_known(self) -> None:
        """Rate what is known, fits and has no accuracy yet: of an earlier search, or of a process that died while it rated."""
        fitting = [c for c in self.known.values() if c.accuracy is None and c.fits(self.problem.budget_ms)]
        if self.record is not None and fitting:
            rated_now = self.record.claimed_elsewhere()
            fitting = [candidate for candidate in fitting if candidate.graph_key not in rated_now]
        fitting = fitting[: max(0, self.problem.n_trials - self.n_evaluated)]
        if not fitting:
            return
        study = self._open_study()
        priced = []
        for candidate in fitting:
            study.enqueue_trial(read_choices(self.problem.space, candidate.architecture))
            priced.append((self._propose(study.ask())[0], candidate))
        self._settle(study, priced, _ignore)

    def step(self, on_progress: OnProgress) -> None:
        """Propose, price and rate one batch."""
        study = self._open_study()
        rng = np.random.default_rng([self.problem.seed, 1, self.n_asked, *self._salt])
        proposals: dict[str, _Proposal] = {}
        for _ in range(min(self.setting.n_ask, self.problem.max_priced - len(self.known))):
            proposal = self._propose(study.ask())
            known = self.known.get(self._key(proposal[1]))
            if known is not None or self._key(proposal[1]) in proposals:
                self._tell_again(study, proposal[0], known)
                proposal = self._propose_mutant(study, rng, proposals) or proposal
            if self._key(proposal[1]) not in self.known:
                proposals.setdefault(self._key(proposal[1]), proposal)
        architectures = [architecture for _, architecture in proposals.values()]
        candidates = self.problem.price(architectures, [self._graph(architecture) for architecture in architectures])
        priced = []
        for (trial, _), candidate in zip(proposals.values(), candidates, strict=True):
            if candidate is None:
                study.tell(trial, state=_state("FAIL"))
            else:
                priced.append((trial, candidate))
        self._settle(study, priced, on_progress)

    def _open_study(self) -> optuna.Study:
        if self._study is None or not self.setting.is_genetic:
            self._study = self.setting.make_study(self.told, derive_seed(self.problem.seed, self.n_asked, *self._salt))
        return self._study

    def _propose(self, trial: optuna.Trial) -> _Proposal:
        space = self.problem.space
        choices = [trial.suggest_categorical(parameter.name, parameter.choices) for parameter in space.parameters]
        architecture = space.architecture(*(choice for choice in choices if choice is not None))
        self.n_asked += 1
        return trial, architecture

    def _key(self, architecture: Architecture) -> str:
        """Return the key of an architecture's graph; each is lowered once."""
        if architecture not in self._keys:
            self._keys[architecture] = self._graph(architecture).key
        return self._keys[architecture]

    def _propose_mutant(self, study: optuna.Study, rng: np.random.Generator, proposals: dict[str, _Proposal]) -> _Proposal | None:
        parents = rank_distinct(list(self.known.values()))[:_PARENTS] if self.setting.has_mutants else []
        space = self.problem.space
        for _ in range(_TRIES if parents else 0):
            mutant = space.mutate(parents[int(rng.integers(len(parents)))].architecture, rng)
            mutant = space.mutate(mutant, rng) if rng.random() < 0.5 else mutant
            if self._key(mutant) not in self.known and self._key(mutant) not in proposals:
                study.enqueue_trial(read_choices(space, mutant))
                return self._propose(study.ask())
        return None

    def _tell_again(self, study: optuna.Study, trial: optuna.Trial, known: Candidate | None) -> None:
        """Tell a genetic sampler what is known of a candidate proposed before; others need not hear it again."""
        if known is None or not self.setting.is_genetic:
            study.tell(trial, state=_state("FAIL"))
        else:
            self._state_constraints(trial, known)
            study.tell(trial, self._values(known))

    def _state_constraints(self, trial: optuna.Trial, candidate: Candidate) -> None:
        for name, excess in candidate.constraints(self.problem.budget_ms).items():
            trial.set_constraint(name, excess)

    def _settle(self, study: optuna.Study, priced: Sequence[tuple[optuna.Trial, Candidate]], on_progress: OnProgress) -> None:
        """Rate the candidates that fit, as many as there are trials left, tell the sampler, and keep the trials."""
        for trial, candidate in priced:
            self._state_constraints(trial, candidate)
            if self.record is not None:
                note_candidate(trial, candidate)
        fitting = [entry for entry in priced if entry[1].fits(self.problem.budget_ms)]
        chosen = fitting[: max(0, self.problem.n_trials - self.n_evaluated)]
        frozen = study.get_trials(deepcopy=False)
        self._has_met = False
        with closing(self._rate_all([(frozen[trial.number], candidate) for trial, candidate in chosen])) as ratings:
            rated_keys = {candidate.graph_key for _, candidate in chosen}
            for trial, candidate in priced:
                is_rated = candidate.graph_key in rated_keys
                rated = next(ratings) if is_rated else candidate
                if rated is None:  # another process has it
                    study.tell(trial, state=_state("FAIL"))
                    continue
                self._keep(study, trial, rated)
                on_progress(len(self.known), self.n_evaluated)

    def _rate_all(self, chosen: Sequence[tuple[optuna.trial.FrozenTrial, Candidate]]) -> Generator[Candidate | None, None, None]:
        """Yield the candidates with their accuracies, in order; None for those that another process rates."""
        if self.n_jobs == 1:
            yield from (self._rate(*entry) for entry in chosen)
            return
        pool = ThreadPoolExecutor(self.n_jobs)
        try:
            yield from pool.map(lambda entry: self._rate(*entry), chosen)
        finally:
            pool.shutdown(cancel_futures=True)

    def _rate(self, trial: optuna.trial.FrozenTrial, candidate: Candidate) -> Candidate | None:
        number = None
        if self.record is not None:
            if self._has_met:
                return None
            number = self.record.claim(trial, candidate.graph_key, self.problem.n_trials - self._n_before)
            if number is None:
                self._part_ways(self.record)
                return None
        try:
            candidate = replace(candidate, accuracy=float(self.problem.quality.evaluate([candidate.architecture])[0]))
        except BaseException:
            if self.record is not None and number is not None:
                self.record.release(number)
            raise
        if self.record is not None and number is not None:
            self.record.finish(number, self._values(candidate))
        return candidate

    def _part_ways(self, record: SharedRecord) -> None:
        """Leave the rest of a batch to the process that was met in it, the first time, and propose other candidates from now on."""
        if not self._salt:
            self._has_met = True
            self._salt, self._study = [record.salt], None

    def _keep(self, study: optuna.Study, trial: optuna.Trial, candidate: Candidate) -> None:
        is_rated, fits = candidate.accuracy is not None, candidate.fits(self.problem.budget_ms)
        self.known[candidate.graph_key] = candidate
        if is_rated:
            self.n_evaluated += 1
            self._rated_at = self.n_asked
        if is_rated or (self.setting.is_genetic and not fits):
            told = study.tell(trial, self._values(candidate))
        else:
            told = study.tell(trial, state=_state("FAIL" if fits else "PRUNED"))
        if told.state.name != "FAIL":
            self.told.append(told)
        if self.record is not None and not is_rated:
            self.record.add(told)

    def _is_telling(self, candidate: Candidate) -> bool:
        """Tell whether the sampler learns from a candidate as it is; one that fits and is not rated says nothing yet."""
        return candidate.accuracy is not None or not candidate.fits(self.problem.budget_ms)

    def _trial_of(self, candidate: Candidate) -> optuna.trial.FrozenTrial:
        """Return what the sampler is shown of a candidate that an earlier search priced."""
        import optuna

        space = self.problem.space
        choices: dict[str, optuna.distributions.BaseDistribution] = {
            parameter.name: optuna.distributions.CategoricalDistribution(parameter.choices) for parameter in space.parameters
        }
        is_complete = candidate.accuracy is not None or self.setting.is_genetic
        return optuna.create_trial(
            state=_state("COMPLETE" if is_complete else "PRUNED"),
            values=self._values(candidate) if is_complete else None,
            params=read_choices(space, candidate.architecture),
            distributions=choices,
            constraints=candidate.constraints(self.problem.budget_ms),
        )

    def _values(self, candidate: Candidate) -> list[float]:
        return [candidate.accuracy or 0.0, candidate.predicted_ms][: self.setting.n_objectives]


def read_choices(space: SearchSpace, architecture: Architecture) -> dict[str, int | float | str]:
    """Return the choices of a member by the names of the parameters, as a trial has them."""
    return {parameter.name: parameter.choices[digit] for parameter, digit in zip(space.parameters, architecture.code, strict=True)}


def _ignore(*_: int) -> None:
    pass


def _state(name: str) -> optuna.trial.TrialState:
    from optuna.trial import TrialState

    return TrialState[name]
