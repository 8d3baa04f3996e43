"""ONNX models as .tflite files, without TensorFlow.

Maps are stored with channels last, as every kernel of TensorFlow Lite wants them: so are inputs and outputs of four
dimensions that are maps. Transpositions of ONNX are not carried out but remembered as the order of a value's
axes, and done where an operator needs another order. Batch normalisation stands folded already; activation
functions are written into the operator before them, as converters do.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import onnx

from ..core import UnsupportedError
from .tflite_arithmetic import ARITHMETIC
from .tflite_convolutions import CONVOLUTIONS
from .tflite_joins import JOINS
from .tflite_maps import MAPS
from .tflite_network import CHANNELS_LAST, Node, TfliteNetwork, Value, Writer
from .tflite_normalisations import NORMALISATIONS
from .tflite_pools import POOLS
from .tflite_products import PRODUCTS
from .tflite_reshapes import RESHAPES

OPERATORS: Mapping[str, Writer] = MappingProxyType(
    {**ARITHMETIC, **CONVOLUTIONS, **JOINS, **MAPS, **NORMALISATIONS, **POOLS, **PRODUCTS, **RESHAPES}
)
_MARK = "@"


def to_tflite(model: onnx.ModelProto, is_quantised: bool = False) -> bytearray:
    """Return the .tflite file of an ONNX model that :func:`nnlqp_nas.graphs.to_onnx` made.

    Args:
        model: The network, fixed shapes, float inputs.
        is_quantised: True for dynamic-range quantisation: weights of convolutions and fully-connected layers
            as 8-bit integers, symmetric, a scale an output channel; activations are quantised as kernels run.

    Raises:
        UnsupportedError: If it has an operator, or a form of one, that is not in :data:`OPERATORS`; names it.
    """
    net = TfliteNetwork(model, is_quantised)
    for one in model.graph.input:
        if not net.is_constant(one.name):
            net.values[one.name] = _add_input(net, one)
    for node in net.nodes:
        if not all(name in net.values for name in node.outputs):
            _write(net, node)
    for one in model.graph.output:
        _add_output(net, one.name)
    return net.file.to_bytes()


def axes_order(tensor_name: str) -> tuple[int, ...]:
    """Return which of ONNX's axes each axis of an input or output is, from the tensor's name."""
    return tuple(int(digit) for digit in tensor_name.rpartition(_MARK)[2])


def _add_input(net: TfliteNetwork, info: onnx.ValueInfoProto) -> Value:
    if info.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise UnsupportedError(f"expected float inputs for LiteRT, got {info.name} of another type; run it on another engine")
    shape = net.shapes[info.name]
    order = CHANNELS_LAST if len(shape) == 4 else tuple(range(len(shape)))
    value = Value(-1, shape, order)
    return Value(net.file.add_input(_marked(info.name, order), value.stored), shape, order)


def _write(net: TfliteNetwork, node: Node) -> None:
    if node.op_type not in OPERATORS:
        raise node.unsupported("without a counterpart")
    written = OPERATORS[node.op_type](net, node)
    results = written if isinstance(written, list) else [written]
    net.values.update(zip(node.outputs, results, strict=False))


def _add_output(net: TfliteNetwork, name: str) -> None:
    """A map leaves as it is stored, everything else as ONNX has it."""
    value = net.values[name]
    value = value if value.order == CHANNELS_LAST else net.plain(name)
    # An output's name tells the order of its axes, so it needs a tensor of its own.
    tensor = value.tensor if net.file.is_computed(value.tensor) else net.reshape(value.tensor, value.stored)
    net.file.add_output(tensor, _marked(name, value.order))


def _marked(name: str, order: tuple[int, ...]) -> str:
    return f"{name}{_MARK}{''.join(map(str, order))}"
