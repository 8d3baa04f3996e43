"""ONNX networks as ncnn's files, operator by operator.

ncnn has no batch: what is (1, C, H, W) in ONNX has the dimensions C, H and W, and axes count from C.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import onnx

from ..core import UnsupportedError
from . import ncnn_layout as layout
from .ncnn_arithmetic import (
    BINARY,
    HARD_SWISH,
    LEAKY_RELU,
    RELU,
    SIGMOID,
    UNARY,
    Write,
    activation_writer,
    layer_writer,
    write_batch_norm,
    write_binary,
    write_clip,
    write_conv,
    write_gelu,
    write_gemm,
    write_global_pool,
    write_layer_norm,
    write_matmul,
    write_pass_on,
    write_pool,
    write_unary,
)
from .ncnn_draft import NcnnDraft, attribute_value

WRITERS: Mapping[str, Write] = MappingProxyType(
    {
        "AveragePool": write_pool,
        "BatchNormalization": write_batch_norm,
        "Clip": write_clip,
        "Concat": layout.write_concat,
        "Conv": write_conv,
        "ConvTranspose": write_conv,
        "Dropout": write_pass_on,
        "Elu": layer_writer("ELU", alpha=(0, 1.0)),
        "Erf": layer_writer("Erf"),
        "Flatten": layout.write_flatten,
        "Gather": layout.write_gather,
        "Gelu": write_gelu,
        "Gemm": write_gemm,
        "GlobalAveragePool": write_global_pool,
        "GlobalMaxPool": write_global_pool,
        "HardSigmoid": layer_writer("HardSigmoid", alpha=(0, 0.2), beta=(1, 0.5)),
        "HardSwish": activation_writer("HardSwish", HARD_SWISH, alpha=(0, 1 / 6), beta=(1, 0.5)),
        "Identity": write_pass_on,
        "LayerNormalization": write_layer_norm,
        "LeakyRelu": activation_writer("ReLU", LEAKY_RELU, alpha=(0, 0.01)),
        "MatMul": write_matmul,
        "MaxPool": write_pool,
        "Mish": layer_writer("Mish"),
        "Pad": layout.write_pad,
        "Relu": activation_writer("ReLU", RELU),
        "Reshape": layout.write_reshape,
        "Resize": layout.write_resize,
        "Sigmoid": activation_writer("Sigmoid", SIGMOID),
        "Slice": layout.write_slice,
        "Softmax": layout.write_softmax,
        "Split": layout.write_split,
        "Tanh": layer_writer("TanH"),
        "Transpose": layout.write_transpose,
        **dict.fromkeys(BINARY, write_binary),
        **dict.fromkeys(layout.REDUCTIONS, layout.write_reduce),
        **dict.fromkeys(UNARY, write_unary),
    }
)
"""ONNX operator type to what writes it."""


def write_ncnn(source: Path, param: Path, binary: Path) -> tuple[list[str], list[str]]:
    """Write an ONNX file of batch size 1 in ncnn's form; return the names of its inputs and outputs.

    Raises:
        UnsupportedError: If ncnn has no layer for an operator, or not for its attributes or shapes; the
            message names the ONNX operator.
    """
    model = onnx.load(source)
    draft = NcnnDraft(model)
    for node in model.graph.node:
        if node.op_type not in WRITERS:
            raise UnsupportedError(f"expected operators that ncnn has, got {node.op_type}")
        draft.check(node)
        WRITERS[node.op_type](draft, node, {one.name: attribute_value(one) for one in node.attribute})
    draft.network.write(param, binary, draft.outputs)
    return draft.inputs, draft.outputs
