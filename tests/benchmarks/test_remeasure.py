"""Further passes of the data set's rows: which passes count, and how two sittings of one machine are made comparable."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.measured_networks import only_repeated
from benchmarks.remeasure import keep, renewed
from nnlqp_nas.core import InvalidSettingError
from nnlqp_nas.datasets.journal import Journal, Pass
from nnlqp_nas.datasets.latency_row import LatencyRow, read_rows, write_rows


def _row(n: int, latency_ms: float, host: str = "one") -> LatencyRow:
    return LatencyRow(
        space="resnet",
        settings="{}",
        code=str(n),
        graph_key=f"key{n}",
        platform="cpu-mnn-fp32",
        batch_size=1,
        latency_ms=latency_ms,
        raw_ms=latency_ms,
        host=host,
        taken_at=f"2026-01-01T00:{n:02d}:00+00:00",
        facts=json.dumps({"pass_medians_ms": [latency_ms]}),
    )


OLD = [_row(n, 10.0 + n) for n in range(5)]


def _again(factors: dict[int, float], number: int = 0, slowness: float = 0.9) -> list[Pass]:
    return [Pass(replace(OLD[n], latency_ms=slowness * factor * (10.0 + n)), number) for n, factor in factors.items()]


def test_sittings_are_made_equal_by_their_median_and_passes_that_agree_are_averaged() -> None:
    found = renewed(OLD, _again({0: 1.0, 1: 1.0, 2: 1.02, 3: 1.0, 4: 0.8}))
    assert [row.latency_ms for row in found] == pytest.approx([10.0, 11.0, 12.12, 13.0, 12.6])
    assert [json.loads(row.facts)["is_repeatable"] for row in found] == [True, True, True, True, False]


def test_the_two_fastest_passes_count() -> None:
    passes = [*_again({0: 1.0, 1: 1.0, 4: 0.8}), *_again({4: 0.81}, 1), *_again({4: 1.3}, 2)]
    last = renewed(OLD, passes)[-1]
    assert last.latency_ms == pytest.approx(14.0 * 0.805)
    assert json.loads(last.facts)["is_repeatable"]


def test_rows_of_another_machine_are_refused() -> None:
    with pytest.raises(InvalidSettingError, match="one machine"):
        renewed(OLD, [Pass(replace(OLD[0], host="two"), 0)])


def test_keeping_twice_changes_nothing_and_leaves_other_rows_as_they_are(tmp_path: Path) -> None:
    path, journal = tmp_path / "rows.parquet", Journal(tmp_path / "journal.jsonl")
    write_rows(path, OLD)
    for one in _again({0: 1.0, 2: 1.02, 3: 1.0}):
        journal.append(one)
    assert keep(path, journal) == 3
    kept = read_rows([path])
    assert [row.code for row in kept] == [row.code for row in OLD]
    assert (kept[1], kept[4]) == (OLD[1], OLD[4])
    assert keep(path, journal) == 0
    assert read_rows([path]) == kept
    assert [row.code for row in only_repeated(kept)] == ["0", "2", "3"]
    assert only_repeated(OLD) == OLD
