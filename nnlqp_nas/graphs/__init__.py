"""Networks as graphs: the layer builder, ONNX in and out, cost, passes."""

from .layer_builder import LayerBuilder
from .layered_space import LayeredSpace

__all__ = ["LayerBuilder", "LayeredSpace"]
