"""Networks as graphs: the layer builder, ONNX in and out, cost, passes.

Reading and writing ONNX, and spaces of functions, are imported when they are first used: pricing architectures needs none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .cost import OperatorCost, graph_cost, graph_costs, operator_cost
from .family import Family
from .layer_builder import LayerBuilder
from .layered_space import LayeredSpace
from .passes import optimised, viewed

if TYPE_CHECKING:
    from .function_space import FunctionSpace
    from .onnx_reader import read_graph
    from .onnx_writer import to_onnx, write_onnx

__all__ = [
    "Family",
    "FunctionSpace",
    "LayerBuilder",
    "LayeredSpace",
    "OperatorCost",
    "graph_cost",
    "graph_costs",
    "operator_cost",
    "optimised",
    "read_graph",
    "to_onnx",
    "viewed",
    "write_onnx",
]

_LAZY = {"FunctionSpace": "function_space", "read_graph": "onnx_reader", "to_onnx": "onnx_writer", "write_onnx": "onnx_writer"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
