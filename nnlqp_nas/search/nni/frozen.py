"""Members of an NNI model space as PyTorch modules, and as graphs by exporting them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nni.nas.nn.pytorch import ModelSpace
from nni.nas.space import model_context
from torch import nn

from ...core import GraphView, ModelGraph
from ...graphs import read_graph


def freeze(model_space: ModelSpace, sample: Mapping[str, Any]) -> nn.Module:
    """Return the member of a space that a sample names, built anew as NNI builds it to train it, randomly initialised."""
    with model_context(dict(sample)):
        module: nn.Module = model_space.trace_copy().get(traceable=False)
    return module


def export_graph(model_space: ModelSpace, sample: Mapping[str, Any], input_shape: Sequence[int], view: GraphView) -> ModelGraph:
    """Return the graph of a member by building it and exporting it to ONNX: any space, a fraction of a second each.

    Raises:
        InvalidModelError: If PyTorch cannot export it.
    """
    return read_graph(freeze(model_space, sample).eval(), view, tuple(input_shape))
