"""A search space of this project as a model space of NNI, so that NNI's strategies search it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import nni
from nni.mutable import Categorical, Sample
from nni.mutable.exception import SampleValidationError
from nni.mutable.mutable import LabeledMutable
from nni.nas.space import BaseModelSpace, current_model

from ...core import Architecture, SearchSpace


class ArchitectureModel(BaseModelSpace):  # type: ignore[misc]  # of any type, as all of NNI
    """The choices of a search space, and nothing that would have to be built.

    NNI's ``SimplifiedModelSpace`` makes it again for each sample; it holds the sample's
    architecture then, which is what an evaluator gets instead of a PyTorch module.

    Args:
        space: The search space.

    Attributes:
        architecture: The member that a sample names; None in the space itself.
    """

    def __init__(self, space: SearchSpace) -> None:
        super().__init__()
        self.space = space
        sample = current_model()
        self.architecture: Architecture | None = None if sample is None else self._read(sample)

    def leaf_mutables(self, is_leaf: Callable[[Any], bool]) -> Iterable[LabeledMutable]:  # noqa: ARG002 - each choice is a leaf
        for parameter in self.space.parameters:
            yield Categorical(list(parameter.choices), label=parameter.name)

    def check_contains(self, sample: Sample) -> SampleValidationError | None:
        for choice in self.leaf_mutables(bool):
            error = choice.check_contains(sample)
            if error is not None:
                return error
        return None

    def freeze(self, sample: Sample) -> Architecture:
        """Return the architecture that a sample names."""
        self.validate(sample)
        return self._read(sample)

    def _read(self, sample: Sample) -> Architecture:
        return self.space.architecture(*(sample[parameter.name] for parameter in self.space.parameters))


def as_model_space(space: SearchSpace) -> Any:
    """Return a search space as a model space for NNI's strategies, engines and experiments."""
    return nni.trace(ArchitectureModel)(space)
