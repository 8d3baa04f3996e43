"""Vision transformers: variations of ViT (Dosovitskiy et al., ICLR 2021, arXiv 2010.11929) and DeiT (Touvron et al., ICML 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnlqp_nas.core import Architecture, Parameter
from nnlqp_nas.graphs import Family, LayerBuilder

PATCHES = (14, 16, 28, 32)
WIDTHS = (128, 192, 256, 320, 384, 512, 640, 768)
DEPTHS = tuple(range(6, 15))
HEAD_WIDTHS = (32, 64)
RATIOS = (2, 3, 4)
MAX_DEPTH = DEPTHS[-1]
_EPSILON = 1e-6

_PARAMETERS = (
    Parameter("patch", PATCHES),
    Parameter("width", WIDTHS),
    Parameter("depth", DEPTHS),
    Parameter("head_width", HEAD_WIDTHS),
    *(Parameter(f"mlp_ratio_{block}", RATIOS) for block in range(1, MAX_DEPTH + 1)),
)


class VisionTransformer(Family):
    """Patches of the image as tokens, a class token, and blocks of attention and a perceptron.

    Varied: patch, width, depth, width of a head (and so the number of heads), and, block by block as
    AutoFormer (Chen et al., ICCV 2021) does, the perceptron's ratio; ratios of blocks beyond the depth have no
    effect and are zero in the code. Query, key and value are three layers. The default is
    DeiT-Tiny without distillation; :attr:`base` is ViT-B/16.

    Args:
        resolution: Height and width of the input, pixels.
        n_classes: Outputs of the last layer.
    """

    name = "vit"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return _PARAMETERS

    @property
    def published(self) -> Mapping[str, int | float | str]:
        return _choices(width=192)

    @property
    def base(self) -> Architecture:
        """ViT-B/16."""
        return self.decode(_choices(width=768))

    @property
    def size(self) -> int:
        return len(PATCHES) * len(WIDTHS) * len(HEAD_WIDTHS) * sum(len(RATIOS) ** depth for depth in DEPTHS)

    def canonical(self, code: tuple[int, ...]) -> tuple[int, ...]:
        """Return ``code`` with the ratios of blocks beyond the depth set to 0."""
        n_inactive = MAX_DEPTH - DEPTHS[code[2]]
        return (*code[: len(code) - n_inactive], *(0,) * n_inactive)

    def write(self, architecture: Architecture, net: LayerBuilder) -> int:
        choice: dict[str, Any] = self.encode(architecture)
        width, n_heads = choice["width"], choice["width"] // choice["head_width"]
        x = net.input(3, self.resolution, self.resolution)
        x = net.part(_write_tokens, x, width, choice["patch"])
        for block in range(1, choice["depth"] + 1):
            x = net.part(_write_block, x, n_heads, choice[f"mlp_ratio_{block}"])
        return net.linear(net.take(net.layer_norm(x, _EPSILON), 0), self.n_classes)


def _choices(width: int) -> dict[str, int | float | str]:
    depth = 12
    ratios = {f"mlp_ratio_{block}": 4 if block <= depth else RATIOS[0] for block in range(1, MAX_DEPTH + 1)}
    return {"patch": 16, "width": width, "depth": depth, "head_width": 64, **ratios}


def _write_tokens(net: LayerBuilder, x: int, width: int, patch: int) -> int:
    x = net.conv(x, width, patch, patch, pad=0, bias=True)
    _, _, height, breadth = net.shape(x)
    x = net.prepend_weight(net.transpose(net.reshape(x, width, height * breadth), 0, 2, 1))
    return net.add_weight(x, *net.shape(x))


def _write_block(net: LayerBuilder, x: int, n_heads: int, ratio: int) -> int:
    x = net.add(x, _write_attention(net, net.layer_norm(x, _EPSILON), n_heads))
    y = net.gelu(net.linear(net.layer_norm(x, _EPSILON), ratio * net.shape(x)[2]))
    return net.add(x, net.linear(y, net.shape(x)[2]))


def _write_attention(net: LayerBuilder, x: int, n_heads: int) -> int:
    _, n_tokens, width = net.shape(x)
    head_width = width // n_heads
    orders = ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3))
    query, key, value = (net.transpose(net.reshape(net.linear(x, width), n_tokens, n_heads, head_width), *order) for order in orders)
    weights = net.softmax(net.scale(net.matmul(query, key), head_width**-0.5))
    mixed = net.transpose(net.matmul(weights, value), 0, 2, 1, 3)
    return net.linear(net.reshape(mixed, n_tokens, width), width)
