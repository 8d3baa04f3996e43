"""Answers for whatever describes a network: architectures, files, ONNX models, PyTorch modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..core import Architecture, LatencyOracle, ModelGraph, Platform, SearchSpace, Spent
from ..core.plugins import SPACES, load_plugin
from .graph_oracle import Answer, OnResult


class LoweringOracle(LatencyOracle):
    """Turns every model into the graph that the platform executes, and asks ``inner``.

    Welcome are :class:`Architecture`, :class:`ModelGraph` (taken as it is), a path, the bytes of
    an ONNX file, ``onnx.ModelProto`` and ``torch.nn.Module`` (with an attribute ``input_shape``).

    Args:
        inner: Answers for graphs.
        spaces: Spaces whose architectures are asked for; one that is not given is made with the
            default settings of the plug-in of its name.
    """

    def __init__(self, inner: LatencyOracle, spaces: Iterable[SearchSpace] = ()) -> None:
        self.inner = inner
        self._spaces = {space.name: space for space in spaces}

    @property
    def platform(self) -> Platform:
        return self.inner.platform

    @property
    def spent(self) -> Spent:
        return self.inner.spent

    def query(self, models: Sequence[Any], batch_size: int = 1, on_result: OnResult | None = None) -> list[Answer]:
        """Answer for each model.

        Raises:
            InvalidModelError: If a model cannot be read.
            InvalidSettingError: If ``batch_size`` is below 1 or an architecture is no member of its space.
            UnknownNameError: If nobody registered an architecture's space.
            UnsupportedError: If there is no source for this platform, here and now.
        """
        return self.inner.query([self.lower(model) for model in models], batch_size, on_result)

    def lower(self, model: Any) -> ModelGraph:
        """Return the graph of a model, in the view that the platform executes.

        Raises:
            InvalidModelError: If the model cannot be read.
            InvalidSettingError: If an architecture is no member of its space.
            UnknownNameError: If nobody registered an architecture's space.
        """
        if isinstance(model, ModelGraph):
            return model
        if isinstance(model, Architecture):
            space = self._space(model.space)
            space.check(model)
            return space.graph(model, self.platform.view)
        from ..graphs import read_graph

        return read_graph(model, self.platform.view)

    def _space(self, name: str) -> SearchSpace:
        if name not in self._spaces:
            make: Callable[[], SearchSpace] = load_plugin(SPACES, name)
            self._spaces[name] = make()
        return self._spaces[name]
