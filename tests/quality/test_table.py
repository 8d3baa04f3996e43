from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from nnlqp_nas.core import Architecture, InvalidSettingError
from nnlqp_nas.quality import TableQuality
from nnlqp_nas.search_spaces.mobilenetv3 import MobileNetV3
from nnlqp_nas.search_spaces.nasbench201 import NasBench201
from nnlqp_nas.search_spaces.nasbench_macro import NasBenchMacro
from nnlqp_nas.testing.quality_contract import QualityContract, draw_members

from ..search_spaces.published_tables import FOLDER, read_table

SPACE = NasBench201()
MEMBERS = draw_members(SPACE, 5)


def write_csv(folder: Path, rows: list[tuple[str, object]], header: str = "architecture,accuracy") -> Path:
    path = folder / "accuracies.csv"
    lines = ['"{}",{}'.format(encoding.replace('"', '""'), value) for encoding, value in rows]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


class TestTableQuality(QualityContract):
    @pytest.fixture
    def quality(self, tmp_path: Path) -> TableQuality:
        return TableQuality(write_csv(tmp_path, [(member.key, 90 + at) for at, member in enumerate(MEMBERS)]), SPACE)

    @pytest.fixture
    def members(self) -> list[Architecture]:
        return MEMBERS


@pytest.mark.parametrize(
    "encode",
    [lambda m: m.key, lambda m: m.key.partition(":")[2], SPACE.encode, lambda m: json.dumps(list(m.code))],
    ids=["key", "code", "notation", "json"],
)
def test_architectures_may_be_written_in_several_ways(tmp_path, encode):
    table = TableQuality(write_csv(tmp_path, [(encode(member), at) for at, member in enumerate(MEMBERS)]), SPACE)
    assert table.evaluate(MEMBERS).tolist() == [0, 1, 2, 3, 4]


def test_a_dictionary_may_be_json_or_columns_of_lists(tmp_path):
    space = MobileNetV3(1.0)
    members = draw_members(space, 4)
    encodings = [space.encode(member) for member in members]
    as_json = TableQuality(write_csv(tmp_path, [(json.dumps(encoding), at) for at, encoding in enumerate(encodings)]), space)
    rows = [{**encoding, "top1": float(at)} for at, encoding in enumerate(encodings)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "subnets.parquet")
    as_columns = TableQuality(tmp_path / "subnets.parquet", space, ["ks", "e", "d", "r"], "top1", "top-1, %")
    assert as_json.evaluate(members).tolist() == as_columns.evaluate(members).tolist() == [0, 1, 2, 3]
    assert as_columns.metric == "top-1, %"


def test_digits_keep_their_zeros_and_repeated_rows_have_their_mean(tmp_path):
    space = NasBenchMacro()
    table = TableQuality(write_csv(tmp_path, [("00000012", 60), ("00000012", 64), ("20000000", 70)]), space)
    assert len(table) == 2
    assert table.evaluate([space.decode("00000012"), space.decode("20000000")]).tolist() == [62, 70]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("|nor_conv_9x9~0|", 1)], "row 1 of .*: expected a cell"),
        ([(MEMBERS[0].key, 1), (MEMBERS[1].key, "inf")], "expected accuracy to be a finite number, got inf in row 2"),
        ([(MEMBERS[0].key, "")], "expected accuracy to be a finite number, got None in row 1"),
        ([(MEMBERS[0].key, "high")], "expected a table with columns architecture, accuracy"),
        ([("nasbench201:9-9-9-9-9-9", 1)], "row 1 of .*: expected a member of space 'nasbench201'"),
        ([("[1, 2", 1)], "which is no JSON"),
    ],
)
def test_rows_that_mean_nothing_are_named(tmp_path, rows, message):
    with pytest.raises(InvalidSettingError, match=message):
        TableQuality(write_csv(tmp_path, rows), SPACE)


def test_files_and_columns_must_be_there(tmp_path):
    path = write_csv(tmp_path, [(MEMBERS[0].key, 1)])
    parquet.write_table(pyarrow.table({"architecture": [MEMBERS[0].key]}), tmp_path / "half.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    cases = [(path, "top1"), (tmp_path / "half.parquet", "accuracy"), (tmp_path / "broken.parquet", "accuracy")]
    for wrong, column in [*cases, (tmp_path / "none.csv", "accuracy"), (tmp_path / "table.xlsx", "accuracy")]:
        with pytest.raises(InvalidSettingError, match="expected"):
            TableQuality(wrong, SPACE, accuracy=column)
    with pytest.raises(InvalidSettingError, match="expected a row for nasbench201"):
        TableQuality(path, SPACE).evaluate(MEMBERS[1:2])


@pytest.mark.data
def test_a_published_table_is_read_as_it_lies():
    rows = read_table("nasbench_macro_accuracy", ["arch", "cifar10_test_mean"])
    table = TableQuality(FOLDER / "nasbench_macro_accuracy.parquet", NasBenchMacro(), "arch", "cifar10_test_mean")
    assert len(table) == 6561
    members = [NasBenchMacro().decode(row["arch"]) for row in rows]
    assert np.array_equal(table.evaluate(members), [row["cifar10_test_mean"] for row in rows])
