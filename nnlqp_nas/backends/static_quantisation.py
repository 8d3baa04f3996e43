"""Static int8 quantisation in QDQ form, for engines that read quantised ONNX."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

QUANTISED = "model.int8.onnx"
_N_CALIBRATION = 4


def quantise(source: Path, target: Path, inputs: list[NDArray[np.float32]], n_calibration: int = _N_CALIBRATION, seed: int = 1) -> None:
    """Write a statically quantised copy of a model.

    Activations are unsigned and weights signed 8-bit integers, a scale a channel of the weights;
    the ranges of activations are the extremes over random normal inputs.

    Args:
        source: The fp32 model, batch normalisation folded already.
        target: Where the quantised one goes.
        inputs: Arrays of the shapes that the model reads, in its order.
        n_calibration: Number of random inputs.
        seed: Seed of them.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static  # type: ignore[import-untyped]

    model = onnx.load(source)
    _drop_unit_dilations(model)
    weights = {one.name for one in model.graph.initializer}
    names = [one.name for one in model.graph.input if one.name not in weights]
    quantize_static(
        model,
        str(target),
        _calibration_reader(names, inputs, n_calibration, seed),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _drop_unit_dilations(model: onnx.ModelProto) -> None:
    """Remove dilations of 1 from average pools: ONNX Runtime's quantised pool does not know the attribute."""
    for node in model.graph.node:
        if node.op_type == "AveragePool":
            kept = [one for one in node.attribute if one.name != "dilations" or set(one.ints) != {1}]
            del node.attribute[:]
            node.attribute.extend(kept)


def _calibration_reader(names: list[str], inputs: list[NDArray[np.float32]], n_calibration: int, seed: int) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    rng = np.random.default_rng(seed)

    class _RandomReader(CalibrationDataReader):  # type: ignore[misc]
        """Yields random inputs; a class of the engine's, hence made here."""

        def __init__(self) -> None:
            self._batches: Iterator[dict[str, Any]] = (
                {name: rng.standard_normal(x.shape, dtype=np.float32) for name, x in zip(names, inputs, strict=True)}
                for _ in range(n_calibration)
            )

        def get_next(self) -> dict[str, Any] | None:
            return next(self._batches, None)

    return _RandomReader()
