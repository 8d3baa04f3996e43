"""The ends of operator probes: what the families have between their last map and their output."""

from __future__ import annotations

from nnlqp_nas.graphs import LayerBuilder

from .probe_layers import as_tokens

HEADS = ("pool", "classifier", "convolution", "expanded", "hidden", "normalised", "features_1024", "features_4096", "token")
_EXPANDED = 1280
_LARGEST = {"convolution": 28, "token": 28}
_LARGEST_FLATTENED = 7
_FLATTENED_CHANNELS = {1024: 512, 4096: 256}


def write_head(net: LayerBuilder, x: int, head: str, n_classes: int) -> int:
    """Write the end of a probe behind a map; where its cost grows with the map, that is pooled to the size families end with."""
    x = _shrunk(net, x, _LARGEST.get(head, net.shape(x)[2]))
    if head == "token":
        return _write_token(net, x, n_classes)
    if head.startswith("features_"):
        return _write_features(net, x, int(head.removeprefix("features_")), n_classes)
    if head == "convolution":  # SqueezeNet's
        x = net.relu(net.conv(x, n_classes, 1, bias=True))
    if head == "normalised":  # NAS-Bench-201's; behind a sum, for behind a convolution it would be folded
        x = net.relu(net.batch_norm(net.add(x, net.avg_pool(x, 3, 1, 1))))
    x = net.global_avg_pool(x)
    if head == "expanded":  # Once-for-All's
        x = net.hard_swish(net.conv(x, _EXPANDED, 1, bias=True))
    x = net.flatten(x)
    if head == "hidden":  # MobileNetV3's
        x = net.hard_swish(net.linear(x, _EXPANDED))
    return x if head in ("pool", "convolution") else net.linear(x, n_classes)


def _shrunk(net: LayerBuilder, x: int, largest: int) -> int:
    while net.shape(x)[2] > largest:
        x = net.max_pool(x, 2)
    return x


def _write_features(net: LayerBuilder, x: int, features: int, n_classes: int) -> int:
    """AlexNet's and VGG's: wide fully-connected layers over a small map."""
    x = net.relu(net.conv(x, _FLATTENED_CHANNELS[features], 1, bias=True))
    x = net.flatten(_shrunk(net, x, _LARGEST_FLATTENED))
    for _ in range(2):
        x = net.relu(net.linear(x, features))
    return net.linear(x, n_classes)


def _write_token(net: LayerBuilder, x: int, n_classes: int) -> int:
    """ViT's: a class token beside those of the map, and learned positions."""
    tokens = net.prepend_weight(as_tokens(net, x))
    tokens = net.layer_norm(net.add_weight(tokens, *net.shape(tokens)))
    return net.linear(net.take(tokens, 0), n_classes)
