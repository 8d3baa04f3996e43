from __future__ import annotations

from importlib import import_module

import pytest

from nnlqp_nas.search_spaces.widths import make_divisible, widths_around

FAMILIES = (
    ("efficientnet", "EfficientNet"),
    ("mnasnet", "MnasNet"),
    ("mobilenetv2", "MobileNetV2"),
    ("mobilenetv3_large", "MobileNetV3Large"),
)


@pytest.mark.parametrize(("module", "name"), FAMILIES)
def test_every_two_expansions_are_two_numbers_of_channels(module, name):
    """Whatever a block reads; else two codes would be one network."""
    family = getattr(import_module(f"nnlqp_nas.search_spaces.{module}"), name)
    readable = family.outside[0].choices
    for stage in family.stages:
        channels, expansions = stage.once[0].choices, stage.each[1].choices
        for n_in in {*readable, *channels}:
            assert len({make_divisible(n_in * expansion) for expansion in expansions}) == len(expansions)
        readable = channels


@pytest.mark.parametrize("channels", [16, 24, 32, 40, 64, 96, 112, 320, 960, 1280])
def test_widths_hold_the_published_one_and_range_around_it(channels):
    widths = widths_around(channels)
    assert channels in widths
    assert list(widths) == sorted(set(widths))
    assert all(width % 8 == 0 for width in widths)
    assert widths[0] <= max(8, 0.4 * channels)
    assert widths[-1] >= 1.6 * channels
