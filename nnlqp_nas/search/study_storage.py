"""The record of a search in an Optuna study, so that a killed run goes on."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..core import Architecture, InvalidSettingError
from .candidate import Candidate
from .samplers import directions
from .shared_record import facts_of

if TYPE_CHECKING:
    import optuna

_FACTS = ("architecture", "graph_key", "predicted_ms", "interval_ms", "accuracy")
_PATIENCE_S = 60
_FURTHER_FACTS = ("bound_ms", "fit_probability", "uses", "excess")


@dataclass(frozen=True)
class StudyStorage:
    """Keeps the trials of one search under a name.

    Attributes:
        url: ``journal:///path/to/file.log`` (a file that one machine writes, fast), any URL that
            Optuna's relational storage takes (``sqlite:///...``, ``postgresql://...``), or None for
            a search that is not kept.
        name: Name of the study.
    """

    url: str | None = None
    name: str = "search"

    def open(self, n_objectives: int, facts: dict[str, Any]) -> optuna.Study:
        """Open the study, or begin it.

        Args:
            n_objectives: 1 for accuracy, 2 for accuracy and latency.
            facts: What the search is about; a study that began with other facts is refused.

        Raises:
            InvalidSettingError: If the storage cannot be opened, or holds a search of something else.
        """
        try:
            study = self._create(directions(n_objectives))
        except Exception as error:
            raise InvalidSettingError(f"expected a study storage at {self.url}, got: {_one_line(error)}") from error
        known = study.user_attrs.get("facts")
        if known is None:
            study.set_user_attr("facts", facts)
        elif known != facts:
            differing = ", ".join(
                f"{name}: {known.get(name)} there, {value} here" for name, value in facts.items() if known.get(name) != value
            )
            raise InvalidSettingError(f"expected {self.url} to hold this search, got another ({differing}); use another output folder")
        return study

    def _create(self, directions: list[Literal["maximize", "minimize"]]) -> optuna.Study:
        """Open the study; processes that begin at once may both try to make its tables, of which one fails and finds them then."""
        import optuna
        from sqlalchemy.exc import DBAPIError

        for seconds in (0.1, 0.3, 1.0, None):
            try:
                # The trials told are kept; what is proposed comes from a study of its own.
                sampler = optuna.samplers.RandomSampler()
                return optuna.create_study(
                    study_name=self.name, storage=self.backend, directions=directions, sampler=sampler, load_if_exists=True
                )
            except (DBAPIError, optuna.exceptions.StorageInternalError):
                if seconds is None:
                    raise
                time.sleep(seconds)
        raise AssertionError  # the last turn returns or raises

    @cached_property
    def backend(self) -> Any:
        """What Optuna takes as a storage, connected when it is first asked for; None for one in memory."""
        from optuna.storages import JournalStorage, RDBStorage
        from optuna.storages.journal import JournalFileBackend

        if self.url is None:
            return None
        if not self.url.startswith("journal:///"):
            # Another process may write: wait for it rather than fail.
            patience = {"connect_args": {"timeout": _PATIENCE_S}} if self.url.startswith("sqlite:") else {}
            return RDBStorage(self.url, engine_kwargs=patience)
        path = Path(self.url.removeprefix("journal:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(path)))

    def close(self) -> None:
        """Close the connections to a database; they open again when they are needed."""
        from optuna.storages import RDBStorage

        backend = self.__dict__.get("backend")
        if isinstance(backend, RDBStorage):
            backend.remove_session()
            backend.engine.dispose()


def note_candidate(trial: optuna.Trial, candidate: Candidate) -> None:
    """Write what is known of a candidate to its trial."""
    trial.set_user_attr("architecture", candidate.architecture.key)
    trial.set_user_attr("graph_key", candidate.graph_key)
    trial.set_user_attr("predicted_ms", candidate.predicted_ms)
    trial.set_user_attr("interval_ms", list(candidate.interval_ms))
    trial.set_user_attr("accuracy", candidate.accuracy)
    trial.set_user_attr("bound_ms", candidate.bound_ms)
    trial.set_user_attr("fit_probability", candidate.fit_probability)
    if candidate.excess:
        trial.set_user_attr("uses", dict(candidate.uses))
        trial.set_user_attr("excess", dict(candidate.excess))


def read_candidates(trials: Iterable[optuna.trial.FrozenTrial]) -> list[Candidate]:
    """Return the candidates that :func:`note_candidate` wrote, in order; those of claims that were given back are not rated."""
    candidates = []
    for trial in trials:
        facts = facts_of(trial)
        if all(fact in facts for fact in _FACTS):
            key, graph_key, predicted_ms, interval_ms, accuracy = (facts[fact] for fact in _FACTS)
            low_ms, high_ms = interval_ms
            further = {fact: facts[fact] for fact in _FURTHER_FACTS if fact in facts}
            candidates.append(Candidate(Architecture.from_key(key), graph_key, predicted_ms, (low_ms, high_ms), accuracy, **further))
    return candidates


def _one_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
