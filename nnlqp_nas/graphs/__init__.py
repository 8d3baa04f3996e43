"""Networks as graphs: the layer builder, ONNX in and out, cost, passes."""

from .cost import OperatorCost, graph_cost, operator_cost
from .layer_builder import LayerBuilder
from .layered_space import LayeredSpace
from .onnx_writer import to_onnx

__all__ = ["LayerBuilder", "LayeredSpace", "OperatorCost", "graph_cost", "operator_cost", "to_onnx"]
