"""Blocks that several spaces are made of: convolution and normalisation, inverted residuals, squeeze-and-excitation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from nnlqp_nas.graphs import LayerBuilder

from .widths import make_divisible

Activation = Callable[[LayerBuilder, int], int]


class SqueezeExcite(NamedTuple):
    """Squeeze-and-excitation (Hu et al., CVPR 2018, arXiv 1709.01507).

    Attributes:
        activation: Behind the first of its two layers.
        gate: Behind the second.
        is_of_expanded: Whether it squeezes to a quarter of the block's expanded channels, rounded to a
            multiple of 8 (MobileNetV3), or to a quarter of the block's input channels (EfficientNet).
    """

    activation: Activation = LayerBuilder.relu
    gate: Activation = LayerBuilder.hard_sigmoid
    is_of_expanded: bool = True


# Compared by identity: repeated parts are looked up by their arguments, and this one's fields are many.
@dataclass(frozen=True, eq=False)
class InvertedResidual:
    """What inverted residual blocks of a kind share (Sandler et al., CVPR 2018, arXiv 1801.04381).

    Attributes:
        activation: Behind the expanding and the depthwise convolution.
        squeeze: Behind the depthwise convolution; None for none.
        epsilon: Of the batch normalisations.
    """

    activation: Activation
    squeeze: SqueezeExcite | None = None
    epsilon: float = 1e-5


def write_conv_norm(
    net: LayerBuilder,
    x: int,
    channels: int,
    kernel: int = 1,
    stride: int = 1,
    activation: Activation | None = None,
    epsilon: float = 1e-5,
    groups: int = 1,
) -> int:
    """Write convolution and batch normalisation, and an activation behind them."""
    y = net.batch_norm(net.conv(x, channels, kernel, stride, groups=groups), epsilon)
    return y if activation is None else activation(net, y)


def write_classifier(net: LayerBuilder, x: int, n_classes: int) -> int:
    """Write global average pooling and one linear layer."""
    return net.linear(net.flatten(net.global_avg_pool(x)), n_classes)


def write_stage(net: LayerBuilder, x: int, kind: InvertedResidual, channels: int, stride: int, blocks: Iterable[tuple[int, float]]) -> int:
    """Write an inverted residual block for each ``(kernel, expansion)``, the first one with ``stride``."""
    for kernel, expansion in blocks:
        x = net.part(write_inverted_residual, x, kind, channels, kernel, expansion, stride)
        stride = 1
    return x


def write_inverted_residual(
    net: LayerBuilder, x: int, kind: InvertedResidual, channels: int, kernel: int, expansion: float, stride: int
) -> int:
    """Write expanding, depthwise and projecting convolution; a shortcut where shapes allow.

    Args:
        net: What it is written with.
        x: The value it reads.
        kind: Activations, squeeze-and-excitation.
        channels: Of its result.
        kernel: Of the depthwise convolution.
        expansion: Expanded channels over channels of ``x``; 1 leaves the expanding convolution out.
        stride: Of the depthwise convolution.
    """
    n_in = net.shape(x)[1]
    n_middle = make_divisible(n_in * expansion)
    y = x
    if expansion != 1:
        y = write_conv_norm(net, y, n_middle, 1, 1, kind.activation, kind.epsilon)
    y = write_conv_norm(net, y, n_middle, kernel, stride, kind.activation, kind.epsilon, groups=n_middle)
    if kind.squeeze is not None:
        y = write_squeeze_excite(net, y, kind.squeeze, make_divisible(n_middle // 4) if kind.squeeze.is_of_expanded else n_in // 4)
    y = write_conv_norm(net, y, channels, epsilon=kind.epsilon)
    return net.add(y, x) if stride == 1 and n_in == channels else y


def write_squeeze_excite(net: LayerBuilder, x: int, settings: SqueezeExcite, n_squeezed: int) -> int:
    """Write a map weighted by channel, the weights computed from its means."""
    y = settings.activation(net, net.conv(net.global_avg_pool(x), n_squeezed, 1, bias=True))
    y = net.conv(y, net.shape(x)[1], 1, bias=True)
    return net.mul(x, settings.gate(net, y))
