"""The eleven networks that measurements of the instruments themselves use: the published one of each family, and a cell network."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnlqp_nas import load_space
from nnlqp_nas.core import Platform
from nnlqp_nas.datasets.members import Member
from nnlqp_nas.measurable import measurable_platforms

FAMILIES = (
    *("alexnet", "efficientnet", "googlenet", "mnasnet", "mobilenetv2"),
    *("mobilenetv3_large", "resnet", "squeezenet", "vgg", "vit"),
)
CELLS = "nasbench201"
_CELL_SEED = 4


def default_networks() -> dict[str, Member]:
    """Return the default member of every family, and one seeded NAS-Bench-201 network, by the name of their space."""
    members: dict[str, Member] = {}
    for name in FAMILIES:
        space: Any = load_space(name)
        members[name] = (space, {}, space.default)
    cells = load_space(CELLS)
    members[CELLS] = (cells, {}, cells.sample(np.random.default_rng(_CELL_SEED)))
    return members


def one_thread_platforms() -> list[Platform]:
    """Return the platforms that this machine can measure on one core, sorted by name."""
    return [platform for platform in measurable_platforms() if not _has_threads(platform)]


def _has_threads(platform: Platform) -> bool:
    return any(token.endswith("t") and token[:-1].isdigit() for token in platform.variant.split("-"))
