"""Windows that slide over a map, and how TensorFlow Lite pads for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from numpy.typing import NDArray

from .tflite_network import Node, Shape, TfliteNetwork, Value


@dataclass(frozen=True)
class Windows:
    """Windows over the two sides of a map, each field one value a side.

    Attributes:
        sizes: Of the map.
        results: How many windows.
        extents: Of a window, dilation included.
        strides: Between windows.
        begins: Padding before the map.
        ends: Padding behind it.
    """

    sizes: tuple[int, ...]
    results: tuple[int, ...]
    extents: tuple[int, ...]
    strides: tuple[int, ...]
    begins: tuple[int, ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, node: Node, shape: Shape, output: Shape) -> Windows:
        """Read the windows of a convolution or pool; a last window that sticks out counts as padding behind the map."""
        attributes = node.attributes
        extents = tuple(d * (k - 1) + 1 for k, d in zip(attributes["kernel_shape"], attributes["dilations"], strict=True))
        strides, pads = tuple(attributes["strides"]), attributes["pads"]
        reached = ((output[2 + i] - 1) * strides[i] + extents[i] - shape[2 + i] - pads[i] for i in (0, 1))
        ends = tuple(max(pads[2 + i], reach) for i, reach in enumerate(reached))
        return cls(shape[2:], output[2:], extents, strides, tuple(pads[:2]), ends)

    @property
    def padding(self) -> int | None:
        """``VALID`` or ``SAME`` where one of them is this padding, else None."""
        if not any(self.begins) and self.results == tuple((n - e) // s + 1 for n, e, s in self._each()):
            return int(schema.Padding.VALID)
        totals = [max(0, (-(-n // s) - 1) * s + e - n) for n, e, s in self._each()]
        is_same = self.results == tuple(-(-n // s) for n, _, s in self._each()) and self.begins == tuple(t // 2 for t in totals)
        return int(schema.Padding.SAME) if is_same else None

    def pad(self, net: TfliteNetwork, x: Value, filling: float) -> Value:
        """Write the padding as an operator of its own; ``x`` has channels last."""
        places = np.array([[0, 0], *zip(self.begins, self.ends, strict=True), [0, 0]], np.int32)
        shape = (*x.shape[:2], *(n + begin + end for n, begin, end in zip(self.sizes, self.begins, self.ends, strict=True)))
        result = Value(-1, shape, x.order)
        name, others = ("PADV2", [net.numbers(filling)]) if filling else ("PAD", [])
        return Value(net.emit(name, [x.tensor, net.file.add_constant(places), *others], result.stored), shape, x.order)

    def count(self, begins: tuple[int, ...], ends: tuple[int, ...]) -> NDArray[np.float32]:
        """Return how many cells each window holds of the map and a border of this width, as (H, W)."""
        sides = []
        for i in (0, 1):
            first = np.arange(self.results[i]) * self.strides[i] - self.begins[i]
            last = np.minimum(first + self.extents[i], self.sizes[i] + ends[i])
            sides.append(last - np.maximum(first, -begins[i]))
        return np.outer(*sides).astype(np.float32)

    def _each(self) -> zip[tuple[int, int, int]]:
        return zip(self.sizes, self.extents, self.strides, strict=True)
