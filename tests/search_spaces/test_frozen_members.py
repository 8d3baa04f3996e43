"""Data sets keep networks as codes: a code must mean the same network for good."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nnlqp_nas.core import Architecture
from nnlqp_nas.core.plugins import SPACES, load_plugin

FROZEN: dict[str, str] = json.loads((Path(__file__).parent / "frozen_members.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("key", FROZEN)
def test_codes_mean_the_networks_that_they_meant(key: str) -> None:
    architecture = Architecture.from_key(key)
    space = load_plugin(SPACES, architecture.space)()
    space.check(architecture)
    assert space.graph(architecture).key == FROZEN[key]


def test_seed_0_draws_the_members_that_it_drew() -> None:
    for name in sorted({key.partition(":")[0] for key in FROZEN}):
        space, rng = load_plugin(SPACES, name)(), np.random.default_rng(0)
        drawn = [space.sample(rng).key for _ in range(3)]
        assert [key for key in FROZEN if key.startswith(f"{name}:")][-3:] == drawn
