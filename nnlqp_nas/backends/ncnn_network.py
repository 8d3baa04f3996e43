"""Networks in ncnn's own form: layers in a text file, weights in a binary one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Parameter = int | float | list[int] | list[float]

_MAGIC = 7767517
_ARRAY = -23300
"""Identifiers of parameters that are lists are counted down from here."""
_ACTIVATION, _ACTIVATION_VALUES = 9, 10
_ACTIVATED = frozenset({"Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise", "InnerProduct"})


@dataclass
class NcnnLayer:
    """A layer.

    Attributes:
        kind: ncnn's name of it, such as ``Convolution``.
        name: Its own name, without spaces.
        inputs: Names of the blobs that it reads.
        outputs: Names of the blobs that it makes.
        parameters: Identifier to value.
        weights: Arrays in the order that the layer reads them; the flag says whether a tag of the
            storage type stands before the numbers.
    """

    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    parameters: dict[int, Parameter] = field(default_factory=dict)
    weights: list[tuple[NDArray[np.float32], bool]] = field(default_factory=list)


class NcnnNetwork:
    """The layers of a network in the order in which they run."""

    def __init__(self) -> None:
        self.layers: list[NcnnLayer] = []
        self._makers: dict[str, NcnnLayer] = {}

    def append(self, layer: NcnnLayer) -> None:
        """Add a layer that reads blobs of layers before it."""
        self.layers.append(layer)
        self._makers.update(dict.fromkeys(layer.outputs, layer))

    def maker(self, blob: str) -> NcnnLayer:
        """Return the layer that makes a blob."""
        return self._makers[blob]

    def rename(self, blob: str, name: str) -> None:
        """Give a blob that nothing reads yet another name."""
        layer = self._makers.pop(blob)
        layer.outputs[layer.outputs.index(blob)] = name
        self._makers[name] = layer

    def activate(self, blob: str, activation: int, values: list[float]) -> bool:
        """Let the layer that makes ``blob`` apply an activation itself; False where it cannot."""
        layer = self._makers[blob]
        if layer.kind not in _ACTIVATED or self.is_activated(layer):
            return False
        layer.parameters[_ACTIVATION] = activation
        if values:
            layer.parameters[_ACTIVATION_VALUES] = values
        return True

    def is_activated(self, layer: NcnnLayer) -> bool:
        """Whether a layer applies an activation itself."""
        return _ACTIVATION in layer.parameters and layer.kind in _ACTIVATED

    def write(self, param: Path, binary: Path, kept: list[str]) -> None:
        """Write both files.

        Args:
            param: Where the layers go.
            binary: Where the weights go.
            kept: The blobs that are outputs of the network.
        """
        layers = _with_splits(self.layers, kept)
        n_blobs = sum(len(layer.outputs) for layer in layers)
        param.write_text("\n".join([str(_MAGIC), f"{len(layers)} {n_blobs}", *map(_line, layers), ""]))
        with binary.open("wb") as file:
            for layer in layers:
                for values, is_tagged in layer.weights:
                    file.write(b"\0\0\0\0" if is_tagged else b"")
                    file.write(np.ascontiguousarray(values, np.float32).data)


def _with_splits(layers: list[NcnnLayer], kept: list[str]) -> list[NcnnLayer]:
    """Return the layers with a ``Split`` behind every blob that several read: in ncnn a blob has one reader."""
    n_readers = Counter([blob for layer in layers for blob in layer.inputs] + kept)
    n_served: Counter[str] = Counter()
    result = []
    for layer in layers:
        inputs = []
        for blob in layer.inputs:
            inputs.append(f"{blob}_split_{n_served[blob]}" if n_readers[blob] > 1 else blob)
            n_served[blob] += 1
        outputs = [f"{blob}_whole" if n_readers[blob] > 1 else blob for blob in layer.outputs]
        result.append(NcnnLayer(layer.kind, layer.name, inputs, outputs, layer.parameters, layer.weights))
        for blob in layer.outputs:
            if n_readers[blob] > 1:
                n_copies = n_readers[blob] - (blob in kept)
                copies = [f"{blob}_split_{i}" for i in range(n_copies)] + [blob] * (blob in kept)
                result.append(NcnnLayer("Split", f"{blob}_split", [f"{blob}_whole"], copies))
    return result


def _line(layer: NcnnLayer) -> str:
    head = f"{layer.kind:<24} {layer.name:<24} {len(layer.inputs)} {len(layer.outputs)}"
    parameters = [_parameter(key, value) for key, value in layer.parameters.items()]
    return " ".join([head, *layer.inputs, *layer.outputs, *parameters])


def _parameter(key: int, value: Parameter) -> str:
    if isinstance(value, list):
        return ",".join([f"{_ARRAY - key}={len(value)}", *map(_number, value)])
    return f"{key}={_number(value)}"


def _number(value: float) -> str:
    """A point tells a float from an integer."""
    return f"{value:.9e}" if isinstance(value, float) else str(value)
