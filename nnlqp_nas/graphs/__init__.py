"""Networks as graphs: the layer builder, ONNX in and out, cost, passes."""

from .cost import OperatorCost, graph_cost, operator_cost
from .layer_builder import LayerBuilder
from .layered_space import LayeredSpace
from .onnx_reader import read_graph
from .onnx_writer import to_onnx
from .passes import optimised, viewed

__all__ = ["LayerBuilder", "LayeredSpace", "OperatorCost", "graph_cost", "operator_cost", "optimised", "read_graph", "to_onnx", "viewed"]
