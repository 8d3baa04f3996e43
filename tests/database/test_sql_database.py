"""SQLite files as latency databases: the contract, and a model of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nnlqp_nas.core import LatencyDatabase, Measurement, MeasurementFailure, Platform, Source
from nnlqp_nas.database import SqlDatabase, default_path, open_database
from nnlqp_nas.testing.database_contract import LatencyDatabaseContract, failed, measured

PLATFORMS = tuple(map(Platform.parse, ("cpu-onnxruntime-fp32", "cpu-onnxruntime-int8", "gpu-T4-trt7.1-fp32")))


class TestSqlite(LatencyDatabaseContract):
    @pytest.fixture
    def database(self, tmp_path: Path) -> LatencyDatabase:
        return open_database(tmp_path / "latency.sqlite")


class TestSqliteInMemory(LatencyDatabaseContract):
    @pytest.fixture
    def database(self) -> LatencyDatabase:
        return open_database("sqlite://")


@pytest.mark.skipif("NNLQP_NAS_TEST_POSTGRESQL" not in os.environ, reason="set NNLQP_NAS_TEST_POSTGRESQL to the URL of an empty database")
class TestPostgresql(LatencyDatabaseContract):
    @pytest.fixture
    def database(self) -> Iterator[LatencyDatabase]:
        import sqlalchemy

        url = os.environ["NNLQP_NAS_TEST_POSTGRESQL"]
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            for table in ("latency_schema", "measurements", "failures"):
                connection.execute(sqlalchemy.text(f"DROP TABLE IF EXISTS {table}"))
        engine.dispose()
        database = open_database(url)
        yield database
        database.close()


def measurements() -> st.SearchStrategy[Measurement]:
    """Measurements of a few networks in a few places, so that they often meet."""
    return st.builds(
        lambda key, platform, batch_size, host, latency_ms, taken_at: measured(
            key, latency_ms, platform, batch_size=batch_size, host=host, taken_at=taken_at
        ),
        st.sampled_from("abc"),
        st.sampled_from(PLATFORMS),
        st.sampled_from([1, 8]),
        st.sampled_from(["here", "there"]),
        st.floats(1e-6, 1e6),
        st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    )


class DatabaseAgainstList(RuleBasedStateMachine):
    """A database is a list that is searched from its end."""

    def __init__(self) -> None:
        super().__init__()
        self.database = SqlDatabase("sqlite://")
        self.rows: list[Measurement | MeasurementFailure] = []

    def teardown(self) -> None:
        self.database.close()

    @rule(results=st.lists(measurements() | st.sampled_from("abc").map(failed), max_size=4))
    def add(self, results: list[Measurement | MeasurementFailure]) -> None:
        assert self.database.add(results) == len(results)
        self.rows += results

    @rule(
        keys=st.lists(st.sampled_from("abcd"), max_size=5),
        platform=st.sampled_from(PLATFORMS),
        batch_size=st.sampled_from([1, 8]),
        host=st.sampled_from([None, "here", "there"]),
    )
    def look_up(self, keys: list[str], platform: Platform, batch_size: int, host: str | None) -> None:
        newest = {
            row.graph_key: row.latency_ms
            for row in self.rows
            if isinstance(row, Measurement) and (row.platform, row.batch_size) == (platform, batch_size) and host in (None, row.host)
        }
        found = self.database.look_up(keys, platform, batch_size, host)
        assert [one and one.latency_ms for one in found] == [newest.get(key) for key in keys]

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def select_since(self, data: st.DataObject) -> None:
        since = data.draw(st.integers(0, len(self.rows)))
        expected = [row.latency_ms for row in self.rows[since:] if isinstance(row, Measurement)]
        assert [row.latency_ms for row in self.database.select(since_revision=since)] == expected

    @invariant()
    def counts_all(self) -> None:
        n_measured = sum(isinstance(row, Measurement) for row in self.rows)
        assert sum(self.database.count_rows().values()) == n_measured
        assert len(list(self.database.select_failures())) == len(self.rows) - n_measured
        assert self.database.revision == len(self.rows)


TestDatabaseAgainstList = DatabaseAgainstList.TestCase
TestDatabaseAgainstList.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


def test_failures_come_back_whole(tmp_path: Path) -> None:
    database = open_database(tmp_path / "latency.sqlite")
    database.add([failed("a"), measured("b")])
    assert list(database.select_failures()) == [failed("a")]
    database.close()


def test_what_an_engine_says_can_be_stored_whatever_it_holds(tmp_path: Path) -> None:
    database = open_database(tmp_path / "latency.sqlite")
    said = MeasurementFailure(graph_key="a", platform=PLATFORMS[0], batch_size=1, stage="run", reason="bad \0 byte \udcff")
    database.add([said])
    (failure,) = database.select_failures()
    assert failure.reason == "bad  byte ?"
    database.close()


def test_looking_up_a_thousand_networks_is_quick(tmp_path: Path) -> None:
    database = open_database(tmp_path / "latency.sqlite")
    database.add(measured(f"{i:032x}", platform=PLATFORMS[0]) for i in range(5000))
    keys = [f"{i:032x}" for i in range(0, 100_000, 100)]

    def look_up_s() -> float:
        begin = time.perf_counter()
        database.look_up(keys, PLATFORMS[0], host="here")
        return time.perf_counter() - begin

    assert min(look_up_s() for _ in range(10)) < 0.02  # 3 ms on a quiet core; the rest is for machines that are busy
    database.close()


def test_a_looked_up_row_says_so_in_a_copy_too(tmp_path: Path) -> None:
    first, second = open_database(tmp_path / "a.sqlite"), open_database(tmp_path / "b.sqlite")
    first.add([measured("a", platform=PLATFORMS[0])])
    assert second.add(first.select()) == 1
    assert [one.source for one in second.look_up(["a"], PLATFORMS[0])] == [Source.DATABASE]  # type: ignore[union-attr]
    first.close()
    second.close()


def test_the_environment_names_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNLQP_NAS_DATABASE", str(tmp_path / "named.sqlite"))
    open_database().close()
    assert (tmp_path / "named.sqlite").is_file()


def test_without_a_name_it_is_in_the_users_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNLQP_NAS_DATABASE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_path().name == "latency.sqlite"
    open_database().close()
    assert default_path().is_file()


def test_a_name_may_hold_anything_a_file_name_may(tmp_path: Path) -> None:
    place = tmp_path / "50 % more? #1"
    place.mkdir()
    database = open_database(place / "a b%20.sqlite")
    database.add([measured("a", platform=PLATFORMS[0])])
    database.close()
    assert [path.name for path in place.iterdir()] == ["a b%20.sqlite"]
