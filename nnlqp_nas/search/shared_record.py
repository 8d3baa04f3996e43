"""The record of a search that several processes, on several machines, may write at once."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .waiting_values import drop_values, keep_values, kept_values

if TYPE_CHECKING:
    import optuna

CLAIM, OWNER, WRITER = "claim", "owner", "writer"
STALE_AFTER_S = 86_400.0
"""A claim of another machine is given up after this long; of this machine, as soon as its process is gone."""


class SharedRecord:
    """Claims networks before they are rated, so that no two processes rate one.

    A claim is a running trial, written in one piece with the key of the network. Storages number trials
    in the order in which they are written, so of several claims to a network all processes agree that the one with
    the lowest number holds, without a lock. A process that dies leaves claims which others recognise by its process
    number and give back, or complete where it had found the values (:mod:`.waiting_values`).

    Args:
        study: The study in its storage.
        stale_after_s: Seconds after which a claim of another machine is given up.

    Attributes:
        salt: A number that no other process has.
    """

    def __init__(self, study: optuna.Study, stale_after_s: float = STALE_AFTER_S) -> None:
        self.study = study
        self._stale_after_s = stale_after_s
        self._owner = f"{_machine()}/{os.getpid()}/{_birth(os.getpid())}"
        self._writer = uuid.uuid4().hex
        self.salt = int(self._writer[:8], 16)
        self._seen: set[int] = set()
        self._tokens: dict[int, str] = {}
        self._lock = threading.Lock()

    def read_new(self) -> list[optuna.trial.FrozenTrial]:
        """Return the trials of others, or of earlier runs, that were finished since the last call.

        Claims of processes that died are given back or completed first, and are among them.
        """
        trials = self.study.get_trials(deepcopy=False)
        dead = [trial for trial in trials if trial.state.name == "RUNNING" and CLAIM in trial.user_attrs and self._is_dead(trial)]
        for trial in dead:
            self._end(trial.number, trial.user_attrs[CLAIM])
        if dead:
            trials = self.study.get_trials(deepcopy=False)
        new = [trial for trial in trials if trial.state.is_finished() and trial.number not in self._seen]
        self._seen |= {trial.number for trial in new}
        return [trial for trial in new if trial.user_attrs.get(WRITER) != self._writer]

    def claimed_elsewhere(self) -> set[str]:
        """Return the keys of the networks that other processes rate now."""
        import optuna

        running = self.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
        claims = [trial.user_attrs for trial in running if CLAIM in trial.user_attrs]
        return {facts["graph_key"] for facts in claims if facts[WRITER] != self._writer}

    def claim(self, template: optuna.trial.FrozenTrial, graph_key: str, n_most: int) -> int | None:
        """Claim a network.

        Args:
            template: Parameters, constraints and attributes of the trial.
            graph_key: Of the network.
            n_most: Networks that all processes together may rate.

        Returns:
            The number of the trial to finish; None where another process has claimed or rated the network, or where
            enough are.
        """
        import optuna

        token = uuid.uuid4().hex
        with self._lock:
            running = optuna.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=template.params,
                distributions=template.distributions,
                user_attrs={**template.user_attrs, "graph_key": graph_key, CLAIM: token, OWNER: self._owner, WRITER: self._writer},
                system_attrs=template.system_attrs,
            )
            self.study.add_trial(running)
            holding = [trial for trial in self.study.get_trials(deepcopy=False) if _is_holding(trial)]
        mine = next(trial.number for trial in holding if trial.user_attrs.get(CLAIM) == token)
        before = [trial for trial in holding if trial.number < mine]
        if len(before) >= n_most or any(trial.user_attrs.get("graph_key") == graph_key for trial in before):
            self.release(mine)
            return None
        self._tokens[mine] = token
        return mine

    def finish(self, number: int, values: Sequence[float]) -> None:
        """Complete a claimed trial, in one piece."""
        token = self._tokens.pop(number)
        keep_values(token, values)
        with self._lock:
            self._seen.add(number)
            self.study.tell(number, list(values))
        drop_values(token)

    def release(self, number: int) -> None:
        """Give a claim back; whoever comes next may rate the network."""
        self._seen.add(number)
        self._end(number, self._tokens.pop(number, ""))

    def _end(self, number: int, token: str) -> None:
        """Complete a claimed trial with the values that wait for it; give it back where there are none."""
        import optuna

        values = kept_values(token)
        state = optuna.trial.TrialState.FAIL if values is None else None
        with self._lock:
            # Another process may have recognised the same dead claim.
            self.study.tell(number, values, state=state, skip_if_finished=True)
        drop_values(token)

    def add(self, trial: optuna.trial.FrozenTrial) -> None:
        """Keep a trial that needed no claim: a network that is not rated."""
        trial.set_user_attr(WRITER, self._writer)
        self.study.add_trial(trial)

    def _is_dead(self, trial: optuna.trial.FrozenTrial) -> bool:
        machine, pid, birth = str(trial.user_attrs[OWNER]).rsplit("/", 2)
        if machine != _machine():
            began = trial.datetime_start or datetime.now()
            return (datetime.now() - began).total_seconds() > self._stale_after_s
        return _birth(int(pid)) != birth


def wait_s(n_waits: int) -> float:
    """Sleep before the storage is asked again, longer each time, and return how long."""
    seconds = min(0.05 * 1.5**n_waits, 5.0)
    time.sleep(seconds)
    return seconds


def _is_holding(trial: optuna.trial.FrozenTrial) -> bool:
    """Tell whether a trial rates a network now or has rated it; one that was given back does not."""
    if trial.state.name == "RUNNING":
        return CLAIM in trial.user_attrs
    return trial.state.name == "COMPLETE" and facts_of(trial).get("accuracy") is not None


@cache
def _machine() -> str:
    """Return a name of what process numbers are unique in: the machine, and the container in it."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux
        namespace = ""
    return f"{socket.gethostname()}{namespace}"


def _birth(pid: int) -> str:
    """Return when a process began, in the system's ticks, since numbers are used again; empty where it has ended."""
    try:
        # The name, in parentheses, may hold spaces; the start time is field 22, the 20th behind it.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    except OSError:
        return "alive" if not Path("/proc/self").exists() and _exists(pid) else ""


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def facts_of(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """Return the attributes of a trial, the accuracy of a claimed one from its value."""
    facts = dict(trial.user_attrs)
    if CLAIM in facts:
        facts["accuracy"] = trial.values[0] if trial.values and trial.state.name == "COMPLETE" else None
    return facts
