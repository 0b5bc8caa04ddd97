"""What the SQLite file adds: durability, refusals, migrations, a full disk."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from angzarr.coordinator.errors import StoreError, StoreFullError, StoreOpenError
from angzarr.coordinator.store import SqliteStore, StoreConfig, schema
from angzarr.coordinator.store.records import Append, Key, NewEvent

ALICE = Key("player", "", b"a" * 16)


async def opened(path: Path, config: StoreConfig | None = None) -> SqliteStore:
    store = SqliteStore(path, config)
    await store.open()
    return store


async def refusal(path: Path) -> StoreOpenError:
    with pytest.raises(StoreOpenError) as caught:
        await opened(path)
    assert str(path) in str(caught.value)
    return caught.value


async def test_events_outlive_the_store(tmp_path: Path) -> None:
    store = await opened(tmp_path / "new" / "events.db")
    await store.submit([Append(ALICE, (NewEvent(0, b"page", 1),))])
    await store.close()
    again = await opened(tmp_path / "new" / "events.db")
    assert [page.data for page in await again.pages(ALICE)] == [b"page"]
    await again.close()


async def test_the_file_is_as_the_contract_says(tmp_path: Path) -> None:
    store = await opened(tmp_path / "events.db", StoreConfig(full_sync=True))
    assert await store._opened().ask(lambda c: c.execute("PRAGMA journal_mode").fetchone()) == ("wal",)
    assert await store._opened().ask(lambda c: c.execute("PRAGMA synchronous").fetchone()) == (2,)
    assert await store._opened().ask(lambda c: c.execute("PRAGMA foreign_keys").fetchone()) == (1,)
    tables = await store._read(
        lambda c: c.execute(
            "SELECT name, strict FROM pragma_table_list WHERE name NOT LIKE 'sqlite_%'"
        ).fetchall()
    )
    assert all(strict for _, strict in tables)
    await store.close()


async def test_a_second_coordinator_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    store = await opened(tmp_path / "events.db")
    error = await refusal(tmp_path / "events.db")
    assert (error.code, error.details["pid"]) == ("STORE_LOCKED", str(os.getpid()))
    await store.close()
    again = await opened(tmp_path / "events.db")
    await again.close()


async def test_a_second_coordinator_is_refused_by_whatever_link_it_comes(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "events.db")
    store = await opened(tmp_path / "events.db")
    assert (await refusal(tmp_path / "link.db")).code == "STORE_LOCKED"
    await store.close()


async def test_a_file_that_is_not_sqlite_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, not a database")
    assert (await refusal(path)).code == "STORE_NOT_SQLITE"
    assert path.read_text() == "these are my notes, not a database"


async def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
    assert (await refusal(path)).code == "STORE_NOT_SQLITE"


async def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE users (name TEXT)")
    connection.commit()
    connection.close()
    assert (await refusal(path)).code == "STORE_FOREIGN"


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await (await opened(path)).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    error = await refusal(path)
    assert (error.code, error.details["version"]) == ("STORE_SCHEMA_NEWER", "99")


async def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert (await refusal(tmp_path / "file" / "events.db")).code == "STORE_UNWRITABLE"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not bind this user")
async def test_a_read_only_directory_is_refused(tmp_path: Path) -> None:
    await anyio.Path(tmp_path).chmod(0o500)
    try:
        assert (await refusal(tmp_path / "events.db")).code == "STORE_UNWRITABLE"
    finally:
        await anyio.Path(tmp_path).chmod(0o700)


async def test_a_full_disk_fails_the_command_and_nothing_else(tmp_path: Path) -> None:
    store = await opened(tmp_path / "events.db")
    await store.submit([Append(ALICE, (NewEvent(0, b"before", 1),))])

    def limit(pages: int) -> "object":
        return lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    await store._opened().ask(limit(1))  # type: ignore[arg-type]
    with pytest.raises(StoreFullError) as caught:
        await store.submit([Append(ALICE, (NewEvent(1, b"x" * 1_000_000, 1),))])
    assert caught.value.code == "STORE_FULL"
    assert [page.data for page in await store.pages(ALICE)] == [b"before"]
    await store._opened().ask(limit(1_000_000))  # type: ignore[arg-type]
    await store.submit([Append(ALICE, (NewEvent(1, b"after", 1),))])
    assert [page.data for page in await store.pages(ALICE)] == [b"before", b"after"]
    await store.close()


async def test_an_unopened_store_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not open"):
        await SqliteStore(tmp_path / "events.db").head()


def test_migrations_run_once_each_and_in_order(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
    first = ("CREATE TABLE one (n INTEGER) STRICT",)
    second = ("CREATE TABLE two (n INTEGER) STRICT", "INSERT INTO two VALUES (2)")
    schema.migrate(connection, "events.db", (first,))
    schema.migrate(connection, "events.db", (first, second))
    schema.migrate(connection, "events.db", (first, second))
    assert schema.schema_version(connection) == 2
    assert connection.execute("SELECT n FROM two").fetchall() == [(2,)]
    connection.close()


def _made_by_version(path: Path, version: int) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    schema.migrate(connection, str(path), schema.MIGRATIONS[:version])
    connection.execute(
        "INSERT INTO events (domain, edition, root, sequence, created_at, page, correlation_id, part,"
        " committed, cascade_id, command_type, received_at, fan_out, stored_at)"
        " VALUES ('player', '', ?, 0, 1, x'01', 'c-1', 0, 1, '', 'Register', 2, 1, 3)",
        (ALICE.root,),
    )
    connection.close()


async def test_a_database_of_every_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    for version in range(1, len(schema.MIGRATIONS)):
        path = tmp_path / f"{version}.db"
        await anyio.to_thread.run_sync(_made_by_version, path, version)
        store = await opened(path)
        await store.submit(
            [Append(ALICE, (NewEvent(1, b"new", 4, command_type="Deposit", command=b"sent"),))]
        )
        assert [page.data for page in await store.pages(ALICE)] == [b"\x01", b"new"]
        assert await store.command_of(ALICE, 0) is None
        found = await store.command_of(ALICE, 1)
        assert found is not None
        assert found.data == b"sent"
        assert await store._read(schema.schema_version) == len(schema.MIGRATIONS)
        await store.close()


def test_a_failing_migration_leaves_the_version_before(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
    first = ("CREATE TABLE one (n INTEGER) STRICT",)
    schema.migrate(connection, "events.db", (first,))
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(connection, "events.db", (first, ("DROP TABLE one", "CREATE nonsense")))
    assert schema.schema_version(connection) == 1
    assert connection.execute("SELECT count(*) FROM one").fetchone() == (0,)
    connection.close()


_STORM = """
import asyncio, sys
from angzarr.coordinator.store import SqliteStore
from angzarr.coordinator.store.records import Append, Key, NewEvent

async def aggregate(store, number):
    key = Key("player", "", bytes([number]) * 16)
    for n in range(0, 100_000, 3):
        await store.submit([Append(key, tuple(NewEvent(n + i, b"x" * 200, 1) for i in range(3)))])
        sys.stdout.write(f"{number} {n + 2}\\n")
        sys.stdout.flush()

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    await asyncio.gather(*(aggregate(store, number) for number in range(16)))

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 100, 1500])
async def test_after_a_kill_what_was_acknowledged_is_there_and_nothing_is_half(
    tmp_path: Path, lines: int
) -> None:
    acknowledged = await anyio.to_thread.run_sync(_storm_until_killed, tmp_path / "events.db", lines)
    store = await opened(tmp_path / "events.db")
    for number, last in acknowledged.items():
        stored = [page.sequence for page in await store.pages(Key("player", "", bytes([number]) * 16))]
        assert stored == list(range(len(stored)))
        assert len(stored) % 3 == 0
        assert stored[-1] >= last
    await store.close()


def _storm_until_killed(path: Path, lines: int) -> dict[int, int]:
    command = [sys.executable, "-c", _STORM, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        head = [process.stdout.readline() for _ in range(lines)]
        os.kill(process.pid, signal.SIGKILL)
        tail, _ = process.communicate()
    words = [line.split() for line in [*head, *tail.splitlines(keepends=True)] if line.endswith("\n")]
    return {int(number): int(last) for number, last in words}
