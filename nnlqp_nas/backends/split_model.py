"""A network in parts, loaded: some by the engine that is measured, the rest by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .engine import LoadedModel
from .partition import Part


class SplitModel(LoadedModel):
    """Runs the parts one after the other and hands on what they leave.

    The time of a run includes the copies from part to part: whoever falls back pays for them.

    Args:
        parts: What the parts read and leave, in the order in which they run.
        models: Each part, loaded; those that read the network's inputs only hold them already.
        inputs: The network's inputs by name.
        outputs: Names of the network's outputs.
    """

    def __init__(
        self, parts: Sequence[Part], models: Sequence[LoadedModel], inputs: Mapping[str, NDArray[np.float32]], outputs: Sequence[str]
    ) -> None:
        self._steps = [(part, model, any(name not in inputs for name in part.inputs)) for part, model in zip(parts, models, strict=True)]
        self._values: dict[str, NDArray[Any]] = dict(inputs)
        self._outputs = outputs

    def run(self) -> None:
        for part, model, has_news in self._steps:
            if has_news:
                model.feed([self._values[name] for name in part.inputs])
            model.run()
            self._values.update(zip(part.outputs, model.outputs(), strict=True))

    def outputs(self) -> list[NDArray[np.float32]]:
        return [self._values[name] for name in self._outputs]

    @property
    def facts(self) -> Mapping[str, Any]:
        """Facts of the engine, the operator types that ONNX Runtime ran in its place, and the number of parts."""
        theirs = next(model.facts for part, model, _ in self._steps if not part.is_refused)
        fallback = sorted({op_type for part, *_ in self._steps if part.is_refused for op_type in part.operators})
        return {**theirs, "fallback": fallback, "n_parts": len(self._steps)}
