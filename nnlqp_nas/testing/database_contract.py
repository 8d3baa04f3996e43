"""The contract test of latency databases: inherit it, give a ``database`` fixture."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ..core import InvalidSettingError, LatencyDatabase, Measurement, MeasurementFailure, Platform, Source

_PLATFORM = Platform.parse("cpu-contract-fp32")
_OTHER = Platform.parse("gpu-contract-fp16-2t")
_NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)


def measured(key: str = "a", latency_ms: float = 1.0, platform: Platform = _PLATFORM, **settings: Any) -> Measurement:
    """Return a true-looking measurement of the network ``key``."""
    given: dict[str, Any] = {"batch_size": 1, "std_ms": 0.1, "n_runs": 20, "host": "here", "taken_at": _NOON} | settings
    given.setdefault("interval_ms", (latency_ms * 0.9, latency_ms * 1.1))
    return Measurement(graph_key=key, platform=platform, latency_ms=latency_ms, source=Source.MEASURED, **given)


def failed(key: str = "a", platform: Platform = _PLATFORM) -> MeasurementFailure:
    """Return a failure to measure the network ``key``."""
    return MeasurementFailure(graph_key=key, platform=platform, batch_size=1, stage="run", reason="no kernel", host="here", taken_at=_NOON)


class LatencyDatabaseContract:
    """Every guarantee of :class:`LatencyDatabase`, as a test.

    >>> class TestMine(LatencyDatabaseContract):
    ...     @pytest.fixture
    ...     def database(self, tmp_path):
    ...         return MyDatabase(tmp_path / "file")
    """

    @pytest.fixture
    def database(self) -> LatencyDatabase:
        """Return an empty database."""
        raise NotImplementedError("a contract subclass gives the fixture 'database'")

    @pytest.fixture(autouse=True)
    def _close_afterwards(self, database: LatencyDatabase) -> Iterator[None]:
        yield
        database.close()

    def test_starts_empty(self, database: LatencyDatabase) -> None:
        assert database.revision == 0
        assert database.count_rows() == {}
        assert list(database.select()) == []
        assert database.look_up(["a", "b"], _PLATFORM) == [None, None]
        assert database.look_up([], _PLATFORM) == []

    def test_gives_back_what_was_added(self, database: LatencyDatabase) -> None:
        given = measured(
            latency_ms=1.25, std_ms=None, interval_ms=None, n_runs=7, facts={"engine": "x 1.0", "cores": [1, 2], "is_hot": True}
        )
        assert database.add([given]) == 1
        (found,) = database.look_up(["a"], _PLATFORM)
        assert found is not None
        assert found.source is Source.DATABASE
        for field in ("graph_key", "platform", "batch_size", "latency_ms", "std_ms", "interval_ms", "n_runs", "host", "taken_at"):
            assert getattr(found, field) == getattr(given, field), field
        assert dict(found.facts) == dict(given.facts)

    def test_every_bit_of_a_latency_comes_back(self, database: LatencyDatabase) -> None:
        latency_ms = 0.1 + 0.2
        database.add([measured(latency_ms=latency_ms)])
        (found,) = database.look_up(["a"], _PLATFORM)
        assert found is not None
        assert found.latency_ms == latency_ms

    def test_times_come_back_with_their_zone(self, database: LatencyDatabase) -> None:
        from datetime import timezone

        taken_at = datetime(2026, 6, 1, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=5, minutes=30)))
        database.add([measured("a", taken_at=taken_at), measured("b", taken_at=None)])
        first, second = database.look_up(["a", "b"], _PLATFORM)
        assert first is not None
        assert second is not None
        assert first.taken_at == taken_at
        assert second.taken_at is None

    def test_answers_in_the_order_asked(self, database: LatencyDatabase) -> None:
        database.add([measured(key, latency_ms=ms) for key, ms in (("a", 1.0), ("b", 2.0), ("c", 3.0))])
        found = database.look_up(["c", "nowhere", "a", "c"], _PLATFORM)
        assert [one and one.latency_ms for one in found] == [3.0, None, 1.0, 3.0]

    def test_the_newest_row_answers_and_the_older_stay(self, database: LatencyDatabase) -> None:
        database.add([measured(latency_ms=1.0)])
        database.add([measured(latency_ms=2.0, taken_at=_NOON - timedelta(days=1)), measured(latency_ms=3.0)])
        (found,) = database.look_up(["a"], _PLATFORM)
        assert found is not None
        assert found.latency_ms == 3.0
        assert [one.latency_ms for one in database.select()] == [1.0, 2.0, 3.0]

    def test_tells_platforms_batch_sizes_and_hosts_apart(self, database: LatencyDatabase) -> None:
        database.add([measured(latency_ms=1.0), measured(latency_ms=2.0, platform=_OTHER), measured(latency_ms=8.0, batch_size=8)])
        database.add([measured(latency_ms=5.0, host="there")])

        def look_up(**where: Any) -> float | None:
            (found,) = database.look_up(["a"], **({"platform": _PLATFORM} | where))
            return None if found is None else found.latency_ms

        assert look_up(platform=_OTHER) == 2.0
        assert look_up(batch_size=8) == 8.0
        assert look_up(batch_size=2) is None
        assert (look_up(), look_up(host="here"), look_up(host="there"), look_up(host="elsewhere")) == (5.0, 1.0, 5.0, None)

    def test_refuses_predictions_and_adds_none_of_their_company(self, database: LatencyDatabase) -> None:
        prediction = Measurement(graph_key="b", platform=_PLATFORM, batch_size=1, latency_ms=1.0, source=Source.PREDICTED)
        with pytest.raises(InvalidSettingError, match="prediction"):
            database.add([measured(), prediction])
        assert database.revision == 0
        assert database.look_up(["a", "b"], _PLATFORM) == [None, None]

    def test_revision_grows_with_every_row(self, database: LatencyDatabase) -> None:
        assert database.add([]) == 0
        assert database.revision == 0
        seen = [0]
        for results in ([measured()], [measured(), measured("b")], [failed()]):
            assert database.add(results) == len(results)
            seen.append(database.revision)
        assert seen == sorted(set(seen))

    def test_failures_are_no_latencies(self, database: LatencyDatabase) -> None:
        assert database.add([failed(), measured("b")]) == 2
        assert database.look_up(["a"], _PLATFORM) == [None]
        assert database.count_rows() == {_PLATFORM: 1}

    def test_selects_by_platform_batch_size_and_revision(self, database: LatencyDatabase) -> None:
        database.add([measured("a"), measured("b", platform=_OTHER), measured("c", batch_size=4)])
        known = database.revision
        database.add([failed("x"), measured("d")])
        assert [one.graph_key for one in database.select()] == ["a", "b", "c", "d"]
        assert [one.graph_key for one in database.select(_OTHER)] == ["b"]
        assert [one.graph_key for one in database.select(batch_size=4)] == ["c"]
        assert [one.graph_key for one in database.select(since_revision=known)] == ["d"]
        assert list(database.select(since_revision=database.revision)) == []
        assert all(one.source is Source.DATABASE for one in database.select())

    def test_counts_rows_by_platform(self, database: LatencyDatabase) -> None:
        database.add([measured("a"), measured("a"), measured("b", platform=_OTHER)])
        assert database.count_rows() == {_PLATFORM: 2, _OTHER: 1}

    def test_holds_many_rows(self, database: LatencyDatabase) -> None:
        database.add(measured(f"{i:032x}", latency_ms=1.0 + i) for i in range(2500))
        found = database.look_up([f"{i:032x}" for i in range(3000)], _PLATFORM)
        assert [one and one.latency_ms for one in found] == [1.0 + i if i < 2500 else None for i in range(3000)]
        assert [one.latency_ms for one in database.select()] == [1.0 + i for i in range(2500)]

    def test_closes_twice(self, database: LatencyDatabase) -> None:
        database.close()
        database.close()
