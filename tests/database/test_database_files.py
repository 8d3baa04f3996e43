"""Database files: bad ones are refused and left as they are, old ones open, two processes share one."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nnlqp_nas.core import DatabaseError, MissingExtraError, Platform
from nnlqp_nas.database import open_database
from nnlqp_nas.testing.database_contract import measured

PLATFORM = Platform.parse("cpu-onnxruntime-fp32")
FROZEN = Path(__file__).parent / "frozen"
ADD_ROWS = """
import sys
from nnlqp_nas.database import open_database
from nnlqp_nas.testing.database_contract import measured
path, name, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
database = open_database(path)
for i in range(n):
    database.add([measured(f"{name}{i}"), measured(f"{name}{i}x")])
    print(i, flush=True)
database.close()
"""


def add_rows(path: Path, name: str, n: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", ADD_ROWS, str(path), name, str(n)], stdout=subprocess.PIPE, text=True)


def make(path: Path) -> Path:
    database = open_database(path)
    database.add(measured(f"{i:032x}", platform=PLATFORM) for i in range(200))
    database.close()
    return path


def refusal(path: Path | str) -> str:
    """Open what must be refused, and return what was said: one line that names the place and what to do."""
    before = path.read_bytes() if isinstance(path, Path) and path.is_file() else None
    with pytest.raises(DatabaseError) as caught:
        open_database(path)
    if isinstance(path, Path) and before is not None:
        assert path.read_bytes() == before
        assert sorted(file.name for file in path.parent.iterdir()) == [path.name]
    said = str(caught.value)
    assert said.startswith("expected")
    assert "\n" not in said
    assert ", got" in said
    return said


def test_noise_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.sqlite"
    path.write_bytes(os.urandom(5000))
    assert "noise.sqlite" in refusal(path)


def test_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.sqlite"
    path.write_text("hello")
    assert "other content" in refusal(path)


def test_noise_behind_a_good_header_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "latency.sqlite")
    content = path.read_bytes()
    path.write_bytes(content[:100] + os.urandom(len(content) - 100))
    refusal(path)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "latency.sqlite")
    path.write_bytes(path.read_bytes()[:-5000])
    assert "cut short" in refusal(path)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert "directory" in refusal(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file" in refusal(tmp_path / "file" / "deeper" / "latency.sqlite")


def test_a_folder_that_cannot_be_written_is_refused() -> None:
    refusal("/proc/latency.sqlite")


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE studies (study_id INTEGER)")
    connection.commit()
    connection.close()
    assert "studies" in refusal(path)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "latency.sqlite")
    connection = sqlite3.connect(path)
    connection.execute("UPDATE latency_schema SET version_num = '9999'")
    connection.commit()
    connection.close()
    assert "upgrade" in refusal(path)


@pytest.mark.parametrize("url", ["nonsense://host/x", "postgresql+nodriver://host/x", "://"])
def test_an_unknown_url_is_refused(url: str) -> None:
    assert "URL" in refusal(url)


def test_a_missing_driver_is_named() -> None:
    with pytest.raises((MissingExtraError, DatabaseError)) as caught:
        open_database("mysql+pymysql://nobody@127.0.0.1:1/x")
    assert "pymysql" in str(caught.value) or "127.0.0.1" in str(caught.value)


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "latency.sqlite"
    path.touch()
    make(path)


@pytest.mark.parametrize("path", sorted(FROZEN.glob("schema_*.sqlite")), ids=lambda path: path.stem)
def test_every_schema_ever_released_opens_and_answers(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path))
    database = open_database(copy)
    first, second, other = database.look_up(["00" * 16, "11" * 16, "22" * 16], PLATFORM)
    assert first is not None
    assert (first.latency_ms, first.std_ms, first.interval_ms, first.n_runs) == (2.5, 0.125, (2.25, 2.75), 40)
    assert (first.host, first.taken_at, dict(first.facts)) == (
        "a host",
        datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC),
        {"n_threads": 1},
    )
    assert second is not None
    assert (second.std_ms, second.interval_ms, second.taken_at) == (None, None, None)
    assert other is None
    assert [(one.stage, one.reason) for one in database.select_failures()] == [("run", "no kernel")]
    assert database.revision == 4
    assert database.add([measured("a", platform=PLATFORM)]) == 1
    assert len(list(database.select(PLATFORM))) == 4
    database.close()


def test_two_processes_that_make_one_file_lose_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "latency.sqlite"
    writers = [add_rows(path, name, 60) for name in ("a", "b", "c")]
    assert [writer.communicate(timeout=100) and writer.returncode for writer in writers] == [0, 0, 0]
    database = open_database(path)
    keys = [f"{name}{i}{x}" for name in "abc" for i in range(60) for x in ("", "x")]
    assert sorted(one.graph_key for one in database.select()) == sorted(keys)
    assert database.revision == len(keys)
    database.close()


def test_a_killed_writer_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "latency.sqlite"
    writer = add_rows(path, "a", 100_000)
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= 20:
            break
    writer.send_signal(signal.SIGKILL)
    n_committed = 21 + sum(1 for line in writer.stdout if line.endswith("\n"))
    writer.wait(timeout=60)
    writer.stdout.close()
    database = open_database(path)
    keys = [one.graph_key for one in database.select()]
    expected = [f"a{i}{x}" for i in range(len(keys) // 2) for x in ("", "x")]
    assert keys == expected
    assert len(keys) >= 2 * n_committed
    database.close()


def test_a_reader_sees_what_a_writer_adds(tmp_path: Path) -> None:
    reader, writer = open_database(tmp_path / "latency.sqlite"), open_database(tmp_path / "latency.sqlite")
    rows = reader.select()
    writer.add([measured("a", platform=PLATFORM)])
    assert [one.graph_key for one in rows] == ["a"]
    assert reader.revision == 1
    reader.close()
    writer.close()


def test_the_version_in_the_code_is_the_newest_migration() -> None:
    from importlib.resources import files

    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine

    from nnlqp_nas.database.migrating import migrate
    from nnlqp_nas.database.schema import HEAD, VERSION_TABLE, metadata

    assert ScriptDirectory(str(files("nnlqp_nas.database.migrations"))).get_current_head() == HEAD
    engine = create_engine("sqlite://")
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
