"""Latency in your own Optuna loop: a constraint to state for each trial, and a pruner that acts on it.

Example::

    constraint = LatencyConstraint(nnlqp_nas.load_oracle("cpu-onnxruntime-fp32"), budget_ms=5.0)


    def objective(trial):
        model = build(trial)  # an architecture, a graph, an ONNX path, a torch module, ...
        if not constraint(trial, model):  # constraint and latency are written to the trial
            raise optuna.TrialPruned  # before anything costly
        return train_and_test(model)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
from optuna.pruners import BasePruner, NopPruner

from ..core import InvalidSettingError, LatencyOracle, Measurement, MeasurementFailure
from .chance import DEFAULT_PROBABILITY, bound_ms, check_probability, probability_of_fit

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

FAILURE_EXCESS = 1.0
"""Constraint value of a network that the platform cannot run: as of one that takes twice the budget."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a constraint says of one network; true where it fits.

    Attributes:
        answer: What the oracle told.
        excess: Share by which the latency that holds with the constraint's probability is above the budget; <= 0 fits.
        probability: That the network fits.
    """

    answer: Measurement | MeasurementFailure
    excess: float
    probability: float

    def __bool__(self) -> bool:
        return self.excess <= 0.0


class LatencyConstraint:
    """Prices a trial's network, and states for Optuna whether it fits the budget.

    Samplers that know constraints (TPE, NSGA-II and III, GP, :class:`RegularisedEvolutionSampler`) then keep to
    networks that fit. For budgets on several platforms take several, each with a ``name``.

    >>> constraint = LatencyConstraint(oracle, budget_ms=20.0)
    >>> study.optimize(lambda trial: train(model) if constraint(trial, model := build(trial)) else 0.0)

    Args:
        oracle: Tells latencies; of :func:`nnlqp_nas.load_oracle`, it takes whatever describes a network.
        budget_ms: Largest latency, milliseconds for the whole batch.
        probability: With which a network has to fit; what is predicted has to leave room for the error, see
            :mod:`nnlqp_nas.search.chance`.
        batch_size: Inputs per run.
        name: Stands before the names of constraint and attributes.

    Raises:
        InvalidSettingError: If the budget is not finite and positive, or ``probability`` not between 0 and 1.
    """

    def __init__(
        self,
        oracle: LatencyOracle,
        budget_ms: float,
        probability: float = DEFAULT_PROBABILITY,
        batch_size: int = 1,
        name: str | None = None,
    ) -> None:
        if not (math.isfinite(budget_ms) and budget_ms > 0):
            raise InvalidSettingError(f"expected budget_ms > 0, got {budget_ms}")
        self.oracle = oracle
        self.budget_ms = budget_ms
        self.probability = check_probability(probability)
        self.batch_size = batch_size
        self._prefix = "" if name is None else f"{name}_"

    def __call__(self, trial: optuna.Trial, model: Any) -> Verdict:
        """Write the constraint ``latency_ms`` to the trial, and the attributes ``predicted_ms``, ``interval_ms``,
        ``latency_source`` and ``fit_probability``.

        The constraint's value is the excess of :class:`Verdict`. A network that the platform cannot run
        gets ``latency_failure``, the reason, in the place of latencies, and does not fit.

        Args:
            trial: The running trial.
            model: Whatever the oracle takes.

        Raises:
            InvalidModelError: If the model cannot be read.
            UnsupportedError: If the oracle has no source.
        """  # noqa: D205 - two lines of names
        verdict = self.judge(model)
        trial.set_constraint(f"{self._prefix}latency_ms", verdict.excess)
        for name, value in _attributes(verdict).items():
            trial.set_user_attr(f"{self._prefix}{name}", value)
        return verdict

    def require(self, trial: optuna.Trial, model: Any) -> Verdict:
        """Do as a call does, and prune the trial where the network does not fit.

        Raises:
            optuna.TrialPruned: If it does not fit.
        """
        verdict = self(trial, model)
        if not verdict:
            raise optuna.TrialPruned(f"takes {_describe(verdict)}, budget {self.budget_ms:g} ms")
        return verdict

    def judge(self, model: Any) -> Verdict:
        """Return the verdict on a network without a trial, such as for :class:`RegularisedEvolutionSampler`'s ``accepts``."""
        answer = self.oracle.query([model], self.batch_size)[0]
        if isinstance(answer, MeasurementFailure):
            return Verdict(answer, FAILURE_EXCESS, 0.0)
        excess = bound_ms(answer, self.probability) / self.budget_ms - 1.0
        return Verdict(answer, excess, probability_of_fit(answer, self.budget_ms))


class ConstraintPruner(BasePruner):
    """Prunes trials that violate a constraint they stated, and asks another pruner about the rest.

    >>> study = optuna.create_study(pruner=ConstraintPruner(optuna.pruners.MedianPruner()))

    The objective asks ``trial.should_prune()`` after :class:`LatencyConstraint`, and after each epoch as ever.

    Args:
        inner: Judges trials that violate nothing; None never prunes them.
    """

    def __init__(self, inner: BasePruner | None = None) -> None:
        self._inner = inner or NopPruner()

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        return any(value > 0.0 for value in trial.constraints.values()) or self._inner.prune(study, trial)


def _attributes(verdict: Verdict) -> dict[str, Any]:
    answer = verdict.answer
    if isinstance(answer, MeasurementFailure):
        return {"latency_failure": f"{answer.stage}: {answer.reason}"}
    return {
        "predicted_ms": answer.latency_ms,
        "interval_ms": list(answer.interval_ms) if answer.interval_ms else None,
        "latency_source": str(answer.source),
        "fit_probability": verdict.probability,
    }


def _describe(verdict: Verdict) -> str:
    answer = verdict.answer
    if isinstance(answer, MeasurementFailure):
        return f"nothing, it failed to {answer.stage} ({answer.reason})"
    return f"{answer.latency_ms:.4g} ms ({answer.source}), fits with probability {verdict.probability:.2f}"
