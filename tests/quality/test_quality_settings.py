"""Every quality and space that ``nnlqp-nas search`` offers can be made from its settings."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from nnlqp_nas.commands.run_settings import compose_settings, group_choices, instantiate
from nnlqp_nas.core import ModelGraph, SearchSpace
from nnlqp_nas.graphs import LayerBuilder
from nnlqp_nas.quality import Quality

SPACES = {
    "nasbench_macro_cifar10": "nasbench_macro",
    "accel_nasbench_imagenet": "accel_nasbench",
    "mobilenetv3_imagenet": "mobilenetv3_w10",
}
NEEDS = {
    "function": ["quality.function.path=math.fsum"],
    "table": ["quality.path=none.csv"],
    "nats_bench_tss": ["quality.path=none"],
    "training": ["quality.loaders.path=nnlqp_nas.quality.digits.load_digits_batches"],
}
READS_A_FILE = ("table", "nats_bench_tss")


@pytest.mark.parametrize("name", group_choices("search")["quality"])
def test_quality_is_made_for_its_space(name: str) -> None:
    settings = compose_settings("search", [f"quality={name}", f"space={SPACES.get(name, 'nasbench201')}", *NEEDS.get(name, [])])
    if name in READS_A_FILE:
        with pytest.raises(ValueError, match="expected"):
            instantiate(settings.quality, "quality")
        return
    quality, space = instantiate(settings.quality, "quality"), instantiate(settings.space, "space")
    assert isinstance(quality, Quality)
    assert quality.space in (None, space.name)


@pytest.mark.parametrize("name", sorted(SPACES))
def test_a_surrogate_judges_whatever_its_space_draws(name: str) -> None:
    settings = compose_settings("search", [f"quality={name}", f"space={SPACES[name]}"])
    quality, space = instantiate(settings.quality, "quality"), instantiate(settings.space, "space")
    rng = np.random.default_rng(0)
    assert quality.evaluate([space.sample(rng) for _ in range(20)]).shape == (20,)


def test_a_table_is_of_the_space_of_the_search(tmp_path) -> None:
    (tmp_path / "mine.csv").write_text("cell,top1\n00000012,61.5\n", encoding="utf-8")
    overrides = ["quality=table", f"quality.path={tmp_path / 'mine.csv'}", "quality.architecture=cell", "quality.accuracy=top1"]
    settings = compose_settings("search", ["space=nasbench_macro", *overrides])
    quality, space = instantiate(settings.quality, "quality"), instantiate(settings.space, "space")
    assert quality.evaluate([space.decode("00000012")]).tolist() == [61.5]


def build(trial: object) -> ModelGraph:
    net = LayerBuilder()
    return net.finish(net.conv(net.input(3, 8, 8), trial.suggest_int("width", 1, 4)))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", group_choices("search")["space"])
def test_space_is_made(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("users_own")
    module.build = build  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "users_own", module)
    needs = ["space.function.path=users_own.build"] if name == "function" else []
    space = instantiate(compose_settings("search", [f"space={name}", *needs]).space, "space")
    assert isinstance(space, SearchSpace)
    space.check(space.sample(np.random.default_rng(0)))
