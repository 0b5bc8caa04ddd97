"""The tables, and how a database of an earlier version becomes one of this version."""

import sqlite3
from collections.abc import Sequence

from angzarr.coordinator import errors, faults
from angzarr.coordinator.errors import StoreOpenError

APPLICATION_ID = 0x616E677A  # "angz"

Migration = Sequence[str]

_FIRST: Migration = (
    """
    CREATE TABLE events (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        domain TEXT NOT NULL,
        edition TEXT NOT NULL,
        root BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        page BLOB NOT NULL,
        correlation_id TEXT NOT NULL,
        external_id TEXT,
        source_edition TEXT,
        source_domain TEXT,
        source_root BLOB,
        source_sequence INTEGER,
        component TEXT,
        command_index INTEGER,
        part INTEGER NOT NULL,
        committed INTEGER NOT NULL CHECK (committed IN (0, 1, 2)),
        cascade_id TEXT NOT NULL,
        command_type TEXT NOT NULL,
        received_at INTEGER NOT NULL,
        fan_out INTEGER NOT NULL CHECK (fan_out IN (0, 1)),
        stored_at INTEGER NOT NULL,
        UNIQUE (domain, edition, root, sequence)
    ) STRICT
    """,
    """
    CREATE UNIQUE INDEX events_external ON events (domain, edition, root, external_id, part)
    WHERE external_id IS NOT NULL
    """,
    # The source comes first, so that the index also answers "what did this event cause?".
    """
    CREATE UNIQUE INDEX events_provenance ON events (
        source_domain, source_root, source_sequence, source_edition,
        component, command_index, domain, edition, root, part
    ) WHERE source_domain IS NOT NULL
    """,
    "CREATE INDEX events_correlation ON events (correlation_id, position) WHERE correlation_id <> ''",
    "CREATE INDEX events_pending ON events (cascade_id) WHERE committed = 0",
    """
    CREATE TABLE snapshots (
        domain TEXT NOT NULL,
        edition TEXT NOT NULL,
        root BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        retention INTEGER NOT NULL,
        snapshot BLOB NOT NULL,
        PRIMARY KEY (domain, edition, root, sequence)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE positions (
        consumer TEXT NOT NULL,
        domain TEXT NOT NULL,
        edition TEXT NOT NULL,
        root BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        parked INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        PRIMARY KEY (consumer, domain, edition, root)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX positions_parked ON positions (consumer) WHERE parked = 1",
    """
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        component TEXT NOT NULL,
        domain TEXT NOT NULL,
        edition TEXT NOT NULL,
        root BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        last_sequence INTEGER NOT NULL,
        correlation_id TEXT NOT NULL,
        body BLOB NOT NULL,
        attempt INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE dead_letters (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        component TEXT NOT NULL,
        domain TEXT NOT NULL,
        occurred_at INTEGER NOT NULL,
        letter BLOB NOT NULL
    ) STRICT
    """,
)

_SECOND: Migration = (
    # The pages of the command that caused an event, with the first of its events; older ones do not have it.
    "ALTER TABLE events ADD COLUMN command BLOB",
)

MIGRATIONS: tuple[Migration, ...] = (_FIRST, _SECOND)
"""One entry per version: what takes a database from the version before to it. Entries are only ever added."""


def schema_version(connection: sqlite3.Connection) -> int:
    """The version of the database's schema; 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: str, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a database to the newest version, each step in one transaction.

    Raises:
        StoreOpenError: STORE_SCHEMA_NEWER, it is of a newer version than this angzarr knows; STORE_FOREIGN, it is
            another program's.
    """
    version = check(connection, path, migrations)
    for number, migration in enumerate(migrations[version:], version + 1):
        _step(connection, number, migration)


def check(connection: sqlite3.Connection, path: str, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """The database's version, if this angzarr can use it.

    Raises:
        StoreOpenError: STORE_SCHEMA_NEWER or STORE_FOREIGN, as for ``migrate``.
    """
    version = schema_version(connection)
    _check_owner(connection, path, version)
    if version > len(migrations):
        raise StoreOpenError(
            f"{path} has schema version {version}, this angzarr knows versions up to {len(migrations)}: "
            "open it with the angzarr that wrote it, or a newer one",
            code=errors.STORE_SCHEMA_NEWER,
            details={"path": path, "version": version, "supported": len(migrations)},
        )
    return version


def _check_owner(connection: sqlite3.Connection, path: str, version: int) -> None:
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if owner == APPLICATION_ID or (owner == 0 and version == 0 and tables == 0):
        return
    raise StoreOpenError(
        f"{path} is an SQLite database of another program: choose another file for the store",
        code=errors.STORE_FOREIGN,
        details={"path": path},
    )


def _step(connection: sqlite3.Connection, number: int, migration: Migration) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in migration:
            connection.execute(statement)
        faults.reached("in a migration")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
