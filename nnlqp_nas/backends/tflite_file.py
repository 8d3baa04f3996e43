"""The .tflite file format: tensors, their data, and operators, written into one flatbuffer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from numpy.typing import NDArray

_VERSION, _IDENTIFIER = 3, b"TFL3"
_ALIGNMENT = 16
_LARGEST_SHARED_BYTES = 1 << 12
_LARGEST_OLD_CODE = 127
_ELEMENT_TYPES = {np.dtype(np.float32): "FLOAT32", np.dtype(np.int8): "INT8", np.dtype(np.int32): "INT32"}


class TfliteFile:
    """A network of one subgraph that grows operator by operator."""

    def __init__(self) -> None:
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[int, int] = {}
        self._buffers: list[Any] = [_AlignedBuffer(None)]  # the format keeps the first one empty
        self._shared: dict[tuple[str, tuple[int, ...], bytes], int] = {}
        self._inputs: list[int] = []
        self._outputs: list[int] = []

    def add_input(self, name: str, shape: Sequence[int]) -> int:
        """Return the tensor of a new float input of the network."""
        self._inputs.append(self._add_tensor(name, shape, "FLOAT32", 0))
        return self._inputs[-1]

    def add_output(self, tensor: int, name: str) -> None:
        """Make a tensor the network's next output, under this name."""
        self._tensors[tensor].name = name
        self._outputs.append(tensor)

    def add_constant(self, value: NDArray[Any]) -> int:
        """Return a tensor that holds ``value`` (float32, int8 or int32); small equal ones are kept once."""
        value = np.ascontiguousarray(value)
        key = (str(value.dtype), value.shape, value.tobytes() if value.nbytes <= _LARGEST_SHARED_BYTES else b"")
        if value.nbytes <= _LARGEST_SHARED_BYTES and key in self._shared:
            return self._shared[key]
        self._buffers.append(_AlignedBuffer(value))
        name = f"constant_{len(self._tensors)}"
        tensor = self._add_tensor(name, value.shape, _ELEMENT_TYPES[value.dtype], len(self._buffers) - 1)
        self._shared[key] = tensor
        return tensor

    def add_quantised(self, value: NDArray[np.float32], axis: int) -> int:
        """Return a tensor of ``value`` as 8-bit integers, symmetric, with a scale for each slice of ``axis``."""
        others = tuple(i for i in range(value.ndim) if i != axis)
        scales = np.maximum(np.abs(value).max(axis=others), np.float32(1e-12)) / np.float32(127)
        spread = scales.reshape([-1 if i == axis else 1 for i in range(value.ndim)])
        self._buffers.append(_AlignedBuffer(np.ascontiguousarray(np.rint(value / spread).astype(np.int8))))
        tensor = self._add_tensor(f"constant_{len(self._tensors)}", value.shape, "INT8", len(self._buffers) - 1)
        self._tensors[tensor].quantization = schema.QuantizationParametersT(
            scale=scales, zeroPoint=np.zeros(len(scales), np.int64), quantizedDimension=axis
        )
        return tensor

    def add_operator(self, name: str, inputs: Sequence[int], shapes: Sequence[Sequence[int]], options: Any = None) -> list[int]:
        """Append an operator and return the tensors of its results.

        Args:
            name: As in the format's list of built-in operators, such as ``CONV_2D``.
            inputs: Tensors that it reads.
            shapes: A shape for each result.
            options: Its options, an object of the schema; None where defaults will do.
        """
        outputs = [self._add_tensor(f"{name}_{len(self._operators)}_{i}", shape, "FLOAT32", 0) for i, shape in enumerate(shapes)]
        code = getattr(schema.BuiltinOperator, name)
        operator = schema.OperatorT(
            opcodeIndex=self._codes.setdefault(code, len(self._codes)), inputs=_ints(inputs), outputs=_ints(outputs)
        )
        if options is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
            operator.builtinOptions = options
        self._operators.append(operator)
        return outputs

    def to_bytes(self) -> bytes:
        """Return the file."""
        subgraph = schema.SubGraphT(
            tensors=self._tensors,
            inputs=_ints(self._inputs),
            outputs=_ints(self._outputs),
            operators=self._operators,
            name="network",
        )
        # Version 1 of an operator is registered for every kernel, and no kernel looks at it.
        codes = [
            schema.OperatorCodeT(deprecatedBuiltinCode=min(code, _LARGEST_OLD_CODE), builtinCode=code, version=1) for code in self._codes
        ]
        model = schema.ModelT(version=_VERSION, operatorCodes=codes, subgraphs=[subgraph], buffers=self._buffers)
        # Room for all from the start: a builder that grows copies what it has.
        builder = flatbuffers.Builder(sum(one.n_bytes for one in self._buffers) + (1 << 10) * (len(self._tensors) + 1))
        builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
        return bytes(builder.Output())

    def _add_tensor(self, name: str, shape: Sequence[int], element_type: str, buffer: int) -> int:
        kind = getattr(schema.TensorType, element_type)
        self._tensors.append(schema.TensorT(shape=_ints(shape), type=kind, buffer=buffer, name=name, hasRank=True))
        return len(self._tensors) - 1


class _AlignedBuffer:
    """Data of a tensor, as the schema's objects pack themselves, at an address that kernels may load vectors from."""

    def __init__(self, value: NDArray[Any] | None) -> None:
        self._value = value
        self.n_bytes = 0 if value is None else value.nbytes + _ALIGNMENT

    def Pack(self, builder: Any) -> int:  # noqa: N802 (the schema's name)
        data = 0
        if self._value is not None:
            n = self._value.nbytes
            builder.StartVector(1, n, _ALIGNMENT)
            builder.head -= n
            builder.Bytes[builder.head : builder.head + n] = memoryview(self._value.reshape(-1)).cast("B")
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


def _ints(values: Sequence[int]) -> NDArray[np.int32]:
    return np.array(values, np.int32)
