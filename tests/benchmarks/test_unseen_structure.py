from __future__ import annotations

import numpy as np
import pytest

from benchmarks.unseen_structure import ALWAYS, CAMPAIGN_SEED, CUT, FAMILIES, first_of_campaign, training_tables
from nnlqp_nas.core import LatencyTable, Platform
from nnlqp_nas.datasets.latency_row import LatencyRow
from nnlqp_nas.datasets.members import draw_members

CPU = Platform.parse("cpu-formula-fp32")


def _row(space: str, code: tuple[int, ...]) -> LatencyRow:
    return LatencyRow(
        space=space, settings="{}", code="-".join(map(str, code)), graph_key="", platform=str(CPU), batch_size=1, latency_ms=1.0
    )


def test_the_first_networks_of_a_campaign_stay_the_first_when_more_are_measured() -> None:
    rows = [_row("resnet", architecture.code) for _, _, architecture in draw_members("resnet", 6, CAMPAIGN_SEED)]
    others = [_row("nasbench201", (digit,) * 6) for digit in range(3)]
    small, large = (first_of_campaign([*rows[:n], *others], 3) for n in (4, 6))
    assert small == large == [*rows[:3], *others]


def test_cells_of_nasbench201_are_not_cut() -> None:
    assert "nasbench201" not in CUT
    assert set(CUT) - {"vit"} < set(FAMILIES)


@pytest.mark.parametrize(
    ("family", "absent"), [("vgg", {"vgg", "vit"}), ("mobilenetv3_large", {"mobilenetv3_large", "mobilenetv3", "vit"})]
)
def test_nothing_of_a_left_out_family_is_learned_from(family: str, absent: set[str]) -> None:
    names = (*FAMILIES, *ALWAYS, "vit")
    tables = {name: LatencyTable(CPU, 1, [], np.zeros(0)) for name in names}
    assert {table.domain for table in training_tables(tables, family)} == set(names) - absent
