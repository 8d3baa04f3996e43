"""The layer builder: what a search space writes its networks against."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from itertools import compress, count
from math import prod

from ..core import INPUT, GraphView, ModelGraph, Operator, Shape
from . import operators as ops

ZERO = "Zero"
_ABSORBING = frozenset(
    {"Conv", "BatchNormalization", "Relu", "Clip", "HardSwish", "MaxPool", "AveragePool", "GlobalAveragePool", "Gemm", "Flatten", "Reshape"}
    | {"Mul", "MatMul", "Transpose", "Part", "Identity", "Dropout"}
)


class LayerBuilder:
    """Writes a network node by node and returns it as a :class:`ModelGraph`.

    Values are integers: positions of nodes. With ``GraphView.OPTIMISED`` the builder leaves out
    what an inference engine leaves out, as it goes: identities, branches that are multiplied by
    zero and all that only they feed, and batch normalisation behind a convolution (the
    convolution has a bias then). ``GraphView.CONVERTED`` keeps what is computed from such zeros. With
    ``GraphView.AS_WRITTEN`` every layer becomes a node.

    >>> net = LayerBuilder()
    >>> x = net.input(3, 32, 32)
    >>> x = net.relu(net.batch_norm(net.conv(x, 16, 3)))
    >>> graph = net.finish(net.linear(net.flatten(net.global_avg_pool(x)), 10))
    """

    def __init__(self, view: GraphView = GraphView.OPTIMISED) -> None:
        self._view = view
        self._is_shortening = view is not GraphView.AS_WRITTEN
        self._operators: list[Operator] = []
        self._sources: list[tuple[int, ...]] = []

    def shape(self, x: int) -> Shape:
        """Return the shape of a value, batch dimension 1."""
        return self._operators[x].output

    def append(self, operator: Operator, *sources: int, folds: bool = True) -> int:
        """Add any operator and return its value.

        Args:
            operator: What the node computes.
            sources: The values it reads.
            folds: Whether a batch normalisation may be folded into the convolution it reads;
                False where something else reads that convolution too.
        """
        if self._is_shortening:
            shortcut = self._shorten(operator, sources, folds)
            if shortcut is not None:
                return shortcut
        self._operators.append(operator)
        self._sources.append(sources)
        return len(self._operators) - 1

    def _shorten(self, operator: Operator, sources: tuple[int, ...], folds: bool) -> int | None:
        op_type = operator.op_type
        if op_type == "BatchNormalization" and folds and self._operators[sources[0]].op_type == "Conv":
            self._operators.append(ops.with_bias(self._operators[sources[0]]))
            self._sources.append(self._sources[sources[0]])
            return len(self._operators) - 1
        if op_type in ("Identity", "Dropout"):
            return sources[0]
        if op_type == "Mul" and len(sources) == 1 and operator.attribute("input_1") == 0.0:
            # A constant: it reads nothing, so that what only fed the product goes.
            return self.append(Operator(ZERO, output=operator.output))
        return self._shorten_zeros(operator, sources)

    def _shorten_zeros(self, operator: Operator, sources: tuple[int, ...]) -> int | None:
        kinds = [self._operators[source].op_type for source in sources]
        if ZERO not in kinds:
            return None
        is_all = kinds.count(ZERO) == len(kinds)
        if self._view is GraphView.OPTIMISED and (operator.op_type in _ABSORBING or is_all):
            return self.append(Operator(ZERO, output=operator.output))
        if operator.op_type == "Add" and len(sources) == 2:
            return sources[0] if is_all else sources[1 - kinds.index(ZERO)]
        return None

    def part(self, write: Callable[..., int], x: int, *arguments: Hashable) -> int:
        """Write a part that reads only ``x``, as ``write(self, x, *arguments)`` does; pasted where it was written before.

        Args:
            write: A function, the same object each time, that depends on nothing but its arguments.
                The part must not begin with a batch normalisation.
            x: The value it reads; parts are remembered by its shape.
            arguments: Further arguments of ``write``, hashable.
        """
        if self._operators[x].op_type == ZERO:
            return write(self, x, *arguments)
        operators, sources, output = _write_part(write, self.shape(x), arguments, self._view)
        base = len(self._operators) - 1
        self._operators += operators
        self._sources += [
            (base + read[0] if read[0] else x,) if len(read) == 1 else tuple([base + source if source else x for source in read])
            for read in sources
        ]
        return base + output if output else x

    def finish(self, *outputs: int) -> ModelGraph:
        """Return the network that ends in these values, without nodes that nothing reads unless it is taken as written."""
        if not self._is_shortening:
            return ModelGraph(tuple(self._operators), tuple(self._sources), outputs)
        return _without_dead(self._operators, self._sources, outputs)

    # Layers. Each returns the value of its result.

    def input(self, *shape: int) -> int:
        """A network input of shape (C, H, W), or any shape without the batch dimension."""
        return self.append(ops.input_operator((1, *shape)))

    def conv(
        self,
        x: int,
        channels: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        pad: int | tuple[int, int] | None = None,
        groups: int = 1,
        dilation: int = 1,
        bias: bool = False,
    ) -> int:
        """2-D convolution; ``pad=None`` keeps the map's size at stride 1."""
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        if pad is None:
            pad = (dilation * (kernel[0] - 1) // 2, dilation * (kernel[1] - 1) // 2)
        pads = (pad, pad) if isinstance(pad, int) else pad
        return self.append(ops.conv_operator(self.shape(x), channels, kernel, stride, pads, groups, dilation, bias), x)

    def batch_norm(self, x: int, epsilon: float = 1e-5) -> int:
        """Batch normalisation; a convolution it reads must not be read by anything else."""
        return self.append(ops.batch_norm_operator(self.shape(x), epsilon), x)

    def relu(self, x: int) -> int:
        """max(x, 0)."""
        return self.append(ops.map_operator("Relu", self.shape(x)), x)

    def relu6(self, x: int) -> int:
        """min(max(x, 0), 6)."""
        return self.append(ops.map_operator("Clip", self.shape(x), (("input_1", 0.0), ("input_2", 6.0))), x)

    def sigmoid(self, x: int) -> int:
        """1 / (1 + exp(-x))."""
        return self.append(ops.map_operator("Sigmoid", self.shape(x)), x)

    def hard_sigmoid(self, x: int) -> int:
        """min(max(x / 6 + 0.5, 0), 1)."""
        slope = (("alpha", ops.canonical_float(1 / 6)), ("beta", 0.5))
        return self.append(ops.map_operator("HardSigmoid", self.shape(x), slope), x)

    def hard_swish(self, x: int) -> int:
        """Return x * hard_sigmoid(x)."""
        return self.append(ops.map_operator("HardSwish", self.shape(x)), x)

    def swish(self, x: int) -> int:
        """Return x * sigmoid(x), two nodes as exporters write it."""
        return self.mul(x, self.sigmoid(x))

    def gelu(self, x: int) -> int:
        """Gaussian error linear unit (exact)."""
        return self.append(ops.map_operator("Gelu", self.shape(x), (("approximate", "none"),)), x)

    def softmax(self, x: int, axis: int = -1) -> int:
        """Softmax along ``axis``."""
        shape = self.shape(x)
        return self.append(ops.map_operator("Softmax", shape, (("axis", axis % len(shape)),)), x)

    def identity(self, x: int) -> int:
        """Return x itself: a node only where the network is taken as written."""
        return self.append(ops.map_operator("Identity", self.shape(x)), x)

    def zero(self, x: int) -> int:
        """0 * x, as PyTorch implementations of a 'none' operation run it."""
        return self.append(ops.map_operator("Mul", self.shape(x), (("input_1", 0.0),)), x)

    def scale(self, x: int, factor: float) -> int:
        """Return factor * x, the factor a constant."""
        return self.append(ops.map_operator("Mul", self.shape(x), (("input_1", ops.canonical_float(factor)),)), x)

    def add(self, x: int, y: int) -> int:
        """Return x + y."""
        return self._commutative("Add", x, y)

    def mul(self, x: int, y: int) -> int:
        """Return x * y, broadcast."""
        return self._commutative("Mul", x, y)

    def _commutative(self, op_type: str, x: int, y: int) -> int:
        """The larger argument first, as models that are read have it, so that the order does not change the key."""
        shape_x, shape_y = self.shape(x), self.shape(y)
        if shape_x != shape_y and prod(shape_y) > prod(shape_x):
            x, y, shape_x, shape_y = y, x, shape_y, shape_x
        return self.append(ops.binary_operator(op_type, shape_x, shape_y), x, y)

    def add_weight(self, x: int, *shape: int) -> int:
        """Return x + a learned tensor of ``shape``."""
        return self.append(ops.bias_operator(self.shape(x), shape), x)

    def concat(self, values: Sequence[int], axis: int = 1) -> int:
        """Concatenation, along the channels unless told otherwise."""
        return self.append(ops.concat_operator(tuple(self.shape(x) for x in values), axis), *values)

    def prepend_weight(self, x: int, n: int = 1) -> int:
        """Put ``n`` learned rows, such as a class token, before the rows of (N, C)."""
        return self.append(ops.prepend_operator(self.shape(x), n), x)

    def take(self, x: int, index: int, axis: int = 1) -> int:
        """Return the slice ``index`` of an axis, which goes."""
        return self.append(ops.take_operator(self.shape(x), index, axis), x)

    def max_pool(self, x: int, kernel: int, stride: int | None = None, pad: int = 0, ceil: bool = False) -> int:
        """Maximum over windows; ``stride=None`` is the kernel's size, ``ceil`` keeps a last window that sticks out."""
        return self.append(ops.pool_operator("MaxPool", self.shape(x), kernel, stride or kernel, pad, ceil), x)

    def avg_pool(self, x: int, kernel: int, stride: int | None = None, pad: int = 0) -> int:
        """Mean over windows, padding not counted; ``stride=None`` is the kernel's size."""
        return self.append(ops.pool_operator("AveragePool", self.shape(x), kernel, stride or kernel, pad), x)

    def global_avg_pool(self, x: int) -> int:
        """Mean over height and width: (C, H, W) to (C, 1, 1)."""
        return self.append(ops.global_pool_operator(self.shape(x)), x)

    def flatten(self, x: int) -> int:
        """All dimensions but the batch into one."""
        return self.append(ops.flatten_operator(self.shape(x)), x)

    def linear(self, x: int, features: int, bias: bool = True) -> int:
        """Fully-connected layer over the last dimension."""
        shape = self.shape(x)
        y = self.append(ops.linear_operator(shape, features, bias), x)
        return y if len(shape) == 2 or not bias else self.append(ops.bias_operator(self.shape(y), (features,)), y)

    def matmul(self, x: int, y: int) -> int:
        """Product of the last two dimensions, batched over the others."""
        return self.append(ops.matmul_operator(self.shape(x), self.shape(y)), x, y)

    def reshape(self, x: int, *shape: int) -> int:
        """Reshape to ``shape``, given without the batch dimension."""
        return self.append(ops.reshape_operator(self.shape(x), (1, *shape)), x)

    def transpose(self, x: int, *order: int) -> int:
        """Permute the dimensions; 0 is the batch."""
        return self.append(ops.transpose_operator(self.shape(x), order), x)

    def layer_norm(self, x: int, epsilon: float = 1e-5) -> int:
        """Normalise over the last dimension."""
        return self.append(ops.layer_norm_operator(self.shape(x), epsilon), x)


@lru_cache(maxsize=1 << 14)
def _write_part(
    write: Callable[..., int], shape: Shape, arguments: tuple[Hashable, ...], view: GraphView
) -> tuple[tuple[Operator, ...], tuple[tuple[int, ...], ...], int]:
    """Return operators, sources and output of a part; node 0 is what it reads and is not among them."""
    net = LayerBuilder(view)
    graph = net.finish(write(net, net.input(*shape[1:]), *arguments))
    return graph.operators[1:], graph.sources[1:], graph.outputs[0]


def _without_dead(operators: list[Operator], sources: list[tuple[int, ...]], outputs: tuple[int, ...]) -> ModelGraph:
    alive = bytearray(len(operators))
    for node in outputs:
        alive[node] = 1
    for node in range(len(operators) - 1, -1, -1):
        if alive[node]:
            for source in sources[node]:
                alive[source] = 1
        elif operators[node].op_type == INPUT:
            alive[node] = 1
    if all(alive):
        return ModelGraph(tuple(operators), tuple(sources), outputs)
    place = dict(zip(compress(range(len(operators)), alive), count()))
    return ModelGraph(
        tuple(compress(operators, alive)),
        tuple([tuple([place[source] for source in read]) if len(read) != 1 else (place[read[0]],) for read in compress(sources, alive)]),
        tuple(place[node] for node in outputs),
    )
