"""Which networks a campaign measures: seeded members of search spaces, no graph twice."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core import Architecture, GraphView, InvalidSettingError, SearchSpace
from .measured import space_of

Member = tuple[SearchSpace, dict[str, Any], Architecture]
"""A space, the arguments it was made with, and one of its architectures."""

_FEWEST_NODES = 3
_TRIES_A_MEMBER = 200


def draw_members(name: str, n: int, seed: int, settings: Sequence[Mapping[str, Any]] = ({},)) -> list[Member]:
    """Return ``n`` members of a space whose graphs differ as engines run them.

    The first k members are the same for every n >= k: a larger campaign holds the smaller one.

    Args:
        name: The search space or family.
        n: How many.
        seed: Draws them.
        settings: Arguments to make the space with; members come from each in turn.

    Raises:
        UnknownNameError: If nobody registered the space.
        InvalidSettingError: If the space has fewer distinct networks, or does not take the arguments.
    """
    members: list[Member] = []
    keys: set[str] = set()
    rng = np.random.default_rng(seed)
    spaces = [(space_of(name, json.dumps(one, sort_keys=True)), dict(one)) for one in settings]
    for tried, (space, arguments) in enumerate(itertools.cycle(spaces)):
        if len(members) == n:
            break
        if tried > _TRIES_A_MEMBER * n:
            raise InvalidSettingError(f"expected {n} distinct networks of {name}, found {len(members)}; ask for fewer")
        architecture = space.sample(rng)
        graph = space.graph(architecture, GraphView.OPTIMISED)
        if graph.key not in keys and len(graph) >= _FEWEST_NODES:
            keys.add(graph.key)
            members.append((space, arguments, architecture))
    return members
