"""How the blocks and networks of NNI's hub run: MobileNetV3Space and ProxylessNAS."""

from __future__ import annotations

from typing import Any

from nni.nas.hub.pytorch import MobileNetV3Space, ProxylessNAS
from nni.nas.hub.pytorch.mobilenetv3 import SqueezeExcite
from nni.nas.hub.pytorch.proxylessnas import DepthwiseSeparableConv, InvertedResidual

from ...graphs import LayerBuilder
from .module_writer import Choices, write_module


@write_module.register
def _(module: MobileNetV3Space, net: LayerBuilder, x: int, choices: Choices) -> int:
    x = write_module(module.stem, net, x, choices)
    x = write_module(module.blocks, net, x, choices)
    return write_module(module.classifier, net, net.flatten(x), choices)


@write_module.register
def _(module: ProxylessNAS, net: LayerBuilder, x: int, choices: Choices) -> int:
    for part in (module.stem, module.blocks, module.feature_mix_layer, module.global_avg_pooling):
        x = write_module(part, net, x, choices)
    return write_module(module.classifier, net, net.flatten(x), choices)


@write_module.register(DepthwiseSeparableConv)
@write_module.register(InvertedResidual)
def _(module: Any, net: LayerBuilder, x: int, choices: Choices) -> int:
    y = x
    for layer in module:
        y = write_module(layer, net, y, choices)
    # A frozen network has the shortcuts of its space: NNI compares expressions of choices by identity, not what they come to.
    return net.add(x, y) if module.has_skip else y


@write_module.register
def _(module: SqueezeExcite, net: LayerBuilder, x: int, choices: Choices) -> int:
    y = net.global_avg_pool(x)
    for layer in (module.conv_reduce, module.act1, module.conv_expand, module.gate):
        y = write_module(layer, net, y, choices)
    return net.mul(x, y)
