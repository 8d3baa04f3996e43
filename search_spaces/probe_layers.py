"""The layers that operator probes are made of: the blocks of the families, on any map."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from nnlqp_nas.graphs import LayerBuilder

KERNELS = (3, 5, 7)
STRIDES = (1, 2)
ACTIVATIONS = ("relu", "relu6", "hard_swish", "swish", "gelu", "sigmoid", "hard_sigmoid", "none")
RATIOS = (1, 2, 4, 6)
SMALLEST_HALVED = 8
LARGEST_ATTENDED = 28
_MOST_CHANNELS = 1024
_GROUP_WIDTH = 4
_N_HEADS = dict(zip(RATIOS, (1, 2, 4, 8), strict=True))


class Options(NamedTuple):
    """What a layer may vary; a layer that does not use an option is given the first choice."""

    kernel: int
    stride: int
    activation: str
    ratio: int


class Layer(NamedTuple):
    """A layer of a probe.

    Attributes:
        write: Writes the layer behind a map whose channels are a multiple of 8; what it returns is such a map.
        uses: The options that have an effect.
        smallest: Height of the smallest map that it fits.
        largest: Height of the largest map that it fits.
        halves: Whether it always halves the map.
    """

    write: Callable[[LayerBuilder, int, Options], int]
    uses: tuple[str, ...]
    smallest: int = 1
    largest: int = 1 << 10
    halves: bool = False


def activated(net: LayerBuilder, x: int, name: str) -> int:
    """Write an activation; 'none' is none."""
    return x if name == "none" else int(getattr(net, name)(x))


def _conv(net: LayerBuilder, x: int, channels: int, kernel: int, o: Options, stride: int = 1, groups: int = 1) -> int:
    return activated(net, net.batch_norm(net.conv(x, channels, kernel, stride, groups=groups)), o.activation)


def _channels(net: LayerBuilder, x: int) -> int:
    return net.shape(x)[1]


def _channels_behind(net: LayerBuilder, x: int, o: Options) -> int:
    """Twice as many channels where the map is halved, as networks do."""
    return min(_MOST_CHANNELS, o.stride * _channels(net, x)) if o.stride > 1 else _channels(net, x)


def _without(o: Options) -> Options:
    return o._replace(activation="none")


def _write_conv(net: LayerBuilder, x: int, o: Options) -> int:
    return _conv(net, x, _channels_behind(net, x, o), o.kernel, o, o.stride)


def _write_pointwise(net: LayerBuilder, x: int, o: Options) -> int:
    y = _conv(net, x, o.ratio * _channels(net, x), 1, o)
    return _conv(net, y, _channels(net, x), 1, _without(o))


def _write_grouped(net: LayerBuilder, x: int, o: Options) -> int:
    channels = _channels(net, x)
    return _conv(net, x, channels, o.kernel, o, o.stride, channels // _GROUP_WIDTH)


def _write_depthwise(net: LayerBuilder, x: int, o: Options) -> int:
    channels = _channels(net, x)
    return _conv(net, x, channels, o.kernel, o, o.stride, channels)


def _write_inverted(net: LayerBuilder, x: int, o: Options, gates: bool = False) -> int:
    middle, channels = o.ratio * _channels(net, x), _channels_behind(net, x, o)
    y = _conv(net, x, middle, 1, o)
    y = _conv(net, y, middle, o.kernel, o, o.stride, middle)
    if gates:
        y = _write_gate(net, y, o._replace(ratio=4))
    y = _conv(net, y, channels, 1, _without(o))
    return y if o.stride > 1 else net.add(y, x)


def _write_inverted_gated(net: LayerBuilder, x: int, o: Options) -> int:
    return _write_inverted(net, x, o, gates=True)


def _write_gate(net: LayerBuilder, x: int, o: Options) -> int:
    """Squeeze and excitation: gated as in EfficientNet where the activation is smooth, as in MobileNetV3 otherwise."""
    is_smooth = o.activation in ("swish", "gelu", "sigmoid")
    y = net.conv(net.global_avg_pool(x), _channels(net, x) // o.ratio, 1, bias=True)
    y = net.conv(activated(net, y, o.activation), _channels(net, x), 1, bias=True)
    return net.mul(x, net.sigmoid(y) if is_smooth else net.hard_sigmoid(y))


def _write_residual(net: LayerBuilder, x: int, o: Options) -> int:
    channels = _channels_behind(net, x, o)
    y = _conv(net, _conv(net, x, channels, o.kernel, o, o.stride), channels, o.kernel, _without(o))
    return activated(net, net.add(y, _write_shortcut(net, x, channels, o)), o.activation)


def _write_bottleneck(net: LayerBuilder, x: int, o: Options) -> int:
    channels = _channels_behind(net, x, o)
    middle = channels // o.ratio
    y = _conv(net, _conv(net, x, middle, 1, o), middle, o.kernel, o, o.stride)
    y = _conv(net, y, channels, 1, _without(o))
    return activated(net, net.add(y, _write_shortcut(net, x, channels, o)), o.activation)


def _write_shortcut(net: LayerBuilder, x: int, channels: int, o: Options) -> int:
    return x if o.stride == 1 else _conv(net, x, channels, 1, _without(o), o.stride)


def _write_cell(net: LayerBuilder, x: int, o: Options) -> int:
    """NAS-Bench-201's operations: pooling, and activation, convolution and normalisation in this order."""
    pooled = net.avg_pool(x, 3, 1, 1)
    y = net.batch_norm(net.conv(activated(net, pooled, o.activation), _channels(net, x), o.kernel))
    return net.add(net.add(x, y), pooled)


def _write_normalised(net: LayerBuilder, x: int, o: Options) -> int:
    """Batch normalisations that cannot be folded: behind pooling, and behind a sum."""
    pooled = net.avg_pool(x, 3, 1, 1)
    y = net.conv(pooled, _channels(net, x), o.kernel, groups=_channels(net, x))
    return activated(net, net.batch_norm(net.add(net.batch_norm(pooled), y)), o.activation)


def _write_fire(net: LayerBuilder, x: int, o: Options) -> int:
    y = activated(net, net.conv(x, _channels(net, x) // o.ratio, 1, bias=True), o.activation)
    half = _channels(net, x) // 2
    return net.concat([activated(net, net.conv(y, half, size, bias=True), o.activation) for size in (1, o.kernel)])


def _write_inception(net: LayerBuilder, x: int, o: Options) -> int:
    quarter = _channels(net, x) // 4
    middle = _conv(net, _conv(net, x, 2 * quarter, 1, o), quarter, 3, o)
    large = _conv(net, _conv(net, x, quarter, 1, o), quarter, o.kernel, o)
    pooled = _conv(net, net.max_pool(x, 3, 1, 1, ceil=True), quarter, 1, o)
    return net.concat([_conv(net, x, quarter, 1, o), middle, large, pooled])


def _write_dense(net: LayerBuilder, x: int, o: Options) -> int:
    y = net.concat([x, _conv(net, x, _channels(net, x), o.kernel, o)])
    return _conv(net, y, _channels(net, x), 1, o)


def _write_max_pool(net: LayerBuilder, x: int, o: Options) -> int:
    return net.max_pool(x, o.kernel, o.stride, o.kernel // 2)


def _write_avg_pool(net: LayerBuilder, x: int, o: Options) -> int:
    return net.avg_pool(x, o.kernel, o.stride, o.kernel // 2)


def as_tokens(net: LayerBuilder, x: int) -> int:
    """Write a map (C, H, W) as tokens (H * W, C)."""
    _, channels, height, width = net.shape(x)
    return net.transpose(net.reshape(x, channels, height * width), 0, 2, 1)


def _as_map(net: LayerBuilder, tokens: int, like: int) -> int:
    return net.reshape(net.transpose(tokens, 0, 2, 1), *net.shape(like)[1:])


def _write_attention(net: LayerBuilder, x: int, o: Options) -> int:
    tokens = as_tokens(net, x)
    _, n, width = net.shape(tokens)
    n_heads = _N_HEADS[o.ratio]
    h = net.layer_norm(tokens)
    orders = ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3))
    query, key, value = (net.transpose(net.reshape(net.linear(h, width), n, n_heads, width // n_heads), *order) for order in orders)
    weights = net.softmax(net.scale(net.matmul(query, key), (width // n_heads) ** -0.5))
    mixed = net.reshape(net.transpose(net.matmul(weights, value), 0, 2, 1, 3), n, width)
    return _as_map(net, net.add(tokens, net.linear(mixed, width)), x)


def _write_perceptron(net: LayerBuilder, x: int, o: Options) -> int:
    tokens = as_tokens(net, x)
    width = net.shape(tokens)[2]
    y = activated(net, net.linear(net.layer_norm(tokens), o.ratio * width), o.activation)
    return _as_map(net, net.add(tokens, net.linear(y, width)), x)


LAYERS: dict[str, Layer] = {
    "conv": Layer(_write_conv, ("kernel", "stride", "activation")),
    "pointwise": Layer(_write_pointwise, ("activation", "ratio")),
    "grouped": Layer(_write_grouped, ("kernel", "stride", "activation")),
    "depthwise": Layer(_write_depthwise, ("kernel", "stride", "activation")),
    "inverted": Layer(_write_inverted, ("kernel", "stride", "activation", "ratio")),
    "inverted_gated": Layer(_write_inverted_gated, ("kernel", "stride", "activation", "ratio")),
    "gate": Layer(_write_gate, ("activation", "ratio")),
    "residual": Layer(_write_residual, ("kernel", "stride", "activation")),
    "bottleneck": Layer(_write_bottleneck, ("kernel", "stride", "activation", "ratio")),
    "cell": Layer(_write_cell, ("kernel", "activation")),
    "normalised": Layer(_write_normalised, ("kernel", "activation")),
    "fire": Layer(_write_fire, ("kernel", "activation", "ratio")),
    "inception": Layer(_write_inception, ("kernel", "activation")),
    "dense": Layer(_write_dense, ("kernel", "activation")),
    "max_pool": Layer(_write_max_pool, ("kernel", "stride")),
    "max_pool_2": Layer(lambda net, x, _: net.max_pool(x, 2), (), SMALLEST_HALVED, halves=True),
    "max_pool_3": Layer(lambda net, x, _: net.max_pool(x, 3, 2), (), SMALLEST_HALVED, halves=True),
    "max_pool_3_ceil": Layer(lambda net, x, _: net.max_pool(x, 3, 2, ceil=True), (), SMALLEST_HALVED, halves=True),
    "avg_pool": Layer(_write_avg_pool, ("kernel", "stride")),
    "attention": Layer(_write_attention, ("ratio",), largest=LARGEST_ATTENDED),
    "perceptron": Layer(_write_perceptron, ("activation", "ratio"), largest=LARGEST_ATTENDED),
}
