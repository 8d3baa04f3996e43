"""The record of a search in an Optuna study, so that a killed run goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import Architecture, InvalidSettingError
from .candidate import Candidate
from .samplers import directions

if TYPE_CHECKING:
    import optuna

_FACTS = ("architecture", "graph_key", "predicted_ms", "interval_ms", "accuracy")
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
        import optuna

        try:
            study = optuna.create_study(
                study_name=self.name, storage=self._connect(), directions=directions(n_objectives), load_if_exists=True
            )
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

    def _connect(self) -> Any:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        if self.url is None or not self.url.startswith("journal:///"):
            return self.url
        path = Path(self.url.removeprefix("journal:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(path)))


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
    """Return the candidates that :func:`note_candidate` wrote, in order."""
    candidates = []
    for trial in trials:
        if all(fact in trial.user_attrs for fact in _FACTS):
            key, graph_key, predicted_ms, interval_ms, accuracy = (trial.user_attrs[fact] for fact in _FACTS)
            low_ms, high_ms = interval_ms
            further = {fact: trial.user_attrs[fact] for fact in _FURTHER_FACTS if fact in trial.user_attrs}
            candidates.append(Candidate(Architecture.from_key(key), graph_key, predicted_ms, (low_ms, high_ms), accuracy, **further))
    return candidates


def _one_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
