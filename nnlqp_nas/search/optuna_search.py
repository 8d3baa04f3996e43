"""Latency-constrained search with Optuna."""

from __future__ import annotations

from collections.abc import Sequence

from ..core import InvalidSettingError
from .candidate import Candidate
from .guided_run import GuidedRun
from .problem import SearchProblem
from .samplers import SamplerSetting
from .search_run import OnProgress, SearchRun
from .study_storage import StudyStorage


class OptunaSearch:
    """Proposes candidates with one of Optuna's samplers, prices them, and rates those within the budget.

    Guarantees: the accuracy of a candidate that does not fit every budget with the problem's probability is never
    evaluated, nor is that of two candidates with one graph; neither uses up a trial. The same
    seed proposes the same candidates. A search that was killed goes on from its storage, and
    evaluates nothing again but what it was at. Processes that search one problem on one storage share its trials: each
    learns from all, none evaluates what another does, and together they evaluate no more than one would.

    Args:
        sampler: ``tpe``, ``evolution``, ``gp``, ``guided``, ``nsga2``, ``nsga3`` or ``random``; see :class:`SamplerSetting`.
        n_objectives: 1: accuracy, the budget a constraint; 2: accuracy and latency.
        n_ask: Candidates proposed at a time and priced in one query; ``guided`` evaluates an eighth as many of all it has priced.
        memory: Trials that the sampler is shown, where it cannot bear them all.
        has_mutants: Whether a mutant of one of the best takes the place of a candidate proposed before.
        n_jobs: Evaluations at a time, in threads: of use where the quality waits, or computes outside Python.

    Raises:
        UnknownNameError: If there is no such sampler.
        InvalidSettingError: If a number is out of its range.
    """

    def __init__(
        self,
        sampler: str = "tpe",
        n_objectives: int = 1,
        n_ask: int = 64,
        memory: int = 200,
        has_mutants: bool = True,
        n_jobs: int = 1,
    ) -> None:
        self.setting = SamplerSetting(sampler, n_objectives, n_ask, memory, has_mutants)
        if n_jobs < 1:
            raise InvalidSettingError(f"expected n_jobs >= 1, got {n_jobs}")
        self.n_jobs = n_jobs

    def run(
        self,
        problem: SearchProblem,
        storage: StudyStorage | None = None,
        on_progress: OnProgress | None = None,
        known: Sequence[Candidate] = (),
    ) -> list[Candidate]:
        """Search, and return every candidate priced, each graph once, in the order they were proposed.

        Args:
            problem: What to search.
            storage: Where trials are kept; None keeps them in memory.
            on_progress: Called with the numbers of candidates priced and evaluated so far.
            known: Candidates of an earlier search, at the prices of this problem's oracle; they stand at the beginning, those
                rated count as evaluated, and those that fit and are not rated are rated first (``guided`` chooses among them).

        Raises:
            InvalidSettingError: If no candidate is within the budget, or ``storage`` holds another search.
        """
        import optuna

        storage = storage or StudyStorage()
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            run = (GuidedRun if self.setting.name == "guided" else SearchRun)(problem, self.setting, storage, known, self.n_jobs)
            run.rate_known()
            while not run.is_over():
                run.step(on_progress or _ignore)
                run.learn_from_others()
                run.rate_known()
        finally:
            optuna.logging.set_verbosity(verbosity)
            storage.close()
        run.require_feasible()
        return run.candidates()


def _ignore(*_: int) -> None:
    pass
