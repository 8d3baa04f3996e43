from __future__ import annotations

from dataclasses import replace

from nnlqp_nas.predictors.held_out import hold_out

from .conftest import EAGER, ENGINE, formula_table


def test_a_share_of_every_domain_is_held_out_and_a_network_is_on_one_side_everywhere() -> None:
    every = formula_table(ENGINE, 60, 1, 0.005, 40.0, 10.0)
    cells = replace(every, graphs=every.graphs[:40], latency_ms=every.latency_ms[:40])
    few = replace(every, graphs=every.graphs[40:], latency_ms=every.latency_ms[40:], domain="few")
    elsewhere = replace(cells, platform=EAGER)
    kept, held_out = hold_out([cells, few, elsewhere], 0.25, seed=3)
    assert [(table.domain, table.platform, len(table)) for table in held_out] == [
        ("nasbench201", ENGINE, 10),
        ("few", ENGINE, 5),
        ("nasbench201", EAGER, 10),
    ]
    sides = [{graph.key for table in side for graph in table.graphs} for side in (kept, held_out)]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 60


def test_something_is_left_to_learn_from() -> None:
    table = formula_table(ENGINE, 1, 1, 0.005, 40.0, 10.0)
    kept, held_out = hold_out([table], 0.9, seed=0)
    assert (len(kept), len(held_out)) == (1, 0)
