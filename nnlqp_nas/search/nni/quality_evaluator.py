"""A quality of this project as an evaluator of NNI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import nni
from nni.nas.evaluator import FunctionalEvaluator

from ...core import Architecture
from ...quality import Quality


class QualityEvaluator(FunctionalEvaluator):  # type: ignore[misc]  # of any type, as all of NNI
    """Reports the quality of each model to NNI, which maximises it.

    A quality judges architectures, so no PyTorch module is built for it, which is most of the time
    of a search whose quality is a table or a surrogate.

    >>> QualityEvaluator(AccuracySurrogate("cifar10"), map_space(NasBench201()).to_architecture)

    Args:
        quality: Judges architectures.
        to_architecture: NNI's sample to architecture: that of :func:`map_space`, or
            ``read_hpo_parameters`` of a space that :func:`as_model_space` wrapped.
    """

    def __init__(self, quality: Quality, to_architecture: Callable[[Mapping[str, Any]], Architecture]) -> None:
        super().__init__(_report, quality=quality, to_architecture=to_architecture)

    # NNI's traced copies name this class, whose arguments they are.
    @property
    def trace_kwargs(self) -> dict[str, Any]:
        return dict(self.arguments)

    def _execute(self, model: Any) -> Any:
        """Evaluate the sample of a model: what NNI offers 'to avoid instantiation of the deep learning model'."""
        return self.evaluate(model.sample)


def _report(sample: Mapping[str, Any], quality: Quality, to_architecture: Callable[[Mapping[str, Any]], Architecture]) -> float:
    value = float(quality.evaluate([to_architecture(sample)])[0])
    nni.report_final_result(value)
    return value
