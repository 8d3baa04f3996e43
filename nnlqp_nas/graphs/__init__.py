"""Networks as graphs: the layer builder, ONNX in and out, cost, passes."""

from .layer_builder import LayerBuilder
from .layered_space import LayeredSpace
from .onnx_writer import to_onnx

__all__ = ["LayerBuilder", "LayeredSpace", "to_onnx"]
