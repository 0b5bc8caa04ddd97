"""The store in an SQLite file, or in memory."""

import functools
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio.to_thread

from angzarr.coordinator import errors
from angzarr.coordinator.errors import StoreError, StoreOpenError
from angzarr.coordinator.store import reads, schema
from angzarr.coordinator.store.lock import FileLock
from angzarr.coordinator.store.threads import Reader, Worker, Writer

if TYPE_CHECKING:
    import asyncio

    from angzarr.coordinator.store.records import (
        DeadLetterRow,
        History,
        Key,
        LoggedEvent,
        Operation,
        OutboxRow,
        Position,
        Provenance,
        StoredCommand,
        StoredPage,
        StoredSnapshot,
    )

T = TypeVar("T")

MEMORY = ":memory:"
_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True)
class StoreConfig:
    """How the store treats its file."""

    full_sync: bool = False
    """Sync every commit to the disk (PRAGMA synchronous=FULL). Off, a power failure may lose the last commits, a
    crash of the process none; a commit is several times faster."""

    readers: int = 2
    """Threads that read beside the one that writes."""

    busy_timeout: float = 5.0
    """Seconds to wait for a lock held by another program, such as a backup."""

    cache_kib: int = 8 * 1024
    """KiB of page cache per connection, of which there is one for each reader and one that writes."""


class SqliteStore:
    """Events, snapshots, positions, outbox and dead letters in one SQLite database.

    Args:
        path: the database file, made with its directory where missing; ``":memory:"`` for none.
        config: how to treat it.

    Raises:
        StoreOpenError: STORE_UNWRITABLE, the path is empty or a directory's.
    """

    def __init__(self, path: str | Path = MEMORY, config: StoreConfig | None = None) -> None:
        self.path: str = str(path)
        if not Path(self.path.strip()).name:
            raise StoreOpenError(
                f"{self.path!r} is no name of a database file: give one, or {MEMORY!r} for none",
                code=errors.STORE_UNWRITABLE,
                details={"path": self.path},
            )
        self._config = config or StoreConfig()
        self._lock: FileLock | None = None
        self._writer: Writer | None = None
        self._readers: list[Reader] = []

    async def open(self) -> None:
        """Open it; see Store.open."""
        if self.path != MEMORY:
            self._lock = await anyio.to_thread.run_sync(self._prepare_file)
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise

    async def _start(self) -> None:
        self._writer = Writer("angzarr-store-writer", functools.partial(self._connect, write=True), self.path)
        await self._writer.start()
        # A database in memory belongs to its one connection: the writer answers questions too.
        for number in range(0 if self.path == MEMORY else self._config.readers):
            reader = Reader(f"angzarr-store-reader-{number}", self._connect, self.path)
            if self._readers:
                reader.share(self._readers[0])
            await reader.start()
            self._readers.append(reader)

    async def close(self) -> None:
        """Finish what is under way; see Store.close."""
        workers: list[Worker] = [*self._readers, *([self._writer] if self._writer else [])]
        for stopped in [worker.stop() for worker in workers]:
            await stopped
        if self._lock is not None:
            self._lock.release()

    def _prepare_file(self) -> FileLock:
        path = Path(self.path)
        lock = FileLock(path)
        if path.is_dir():
            raise _unwritable(path, IsADirectoryError("it is a directory"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            _check_header(path)
        except BaseException:
            lock.release()
            raise
        return lock

    def _connect(self, *, write: bool = False) -> sqlite3.Connection:
        timeout = self._config.busy_timeout
        return self._opening(
            lambda: sqlite3.connect(self.path, timeout=timeout, isolation_level=None, cached_statements=256),
            lambda connection: self._configure(connection, write=write),
        )

    def _opening(
        self,
        connect: Callable[[], sqlite3.Connection],
        prepare: Callable[[sqlite3.Connection], object],
    ) -> sqlite3.Connection:
        try:
            connection = connect()
            try:
                prepare(connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.DatabaseError as error:
            raise self._open_error(error) from error
        return connection

    def _configure(self, connection: sqlite3.Connection, *, write: bool) -> None:
        config = self._config
        connection.execute(f"PRAGMA synchronous = {'FULL' if config.full_sync else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{config.cache_kib}")
        connection.execute("PRAGMA temp_store = MEMORY")
        if write:
            connection.execute("PRAGMA journal_mode = WAL")
            schema.migrate(connection, self.path)
        else:
            connection.execute("PRAGMA query_only = ON")

    def _open_error(self, error: sqlite3.DatabaseError) -> StoreOpenError:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_NOTADB:
            return _not_sqlite(self.path)
        return _unwritable(Path(self.path), error)

    def submit(self, unit: "Sequence[Operation]") -> "asyncio.Future[list[Any]]":
        """Store a unit of work; see Store.submit."""
        return self._opened().submit(unit)

    def _opened(self) -> Writer:
        if self._writer is None:
            raise StoreError(
                f"the store {self.path} is not open: enter the coordinator before using it",
                code=errors.STORE_CLOSED,
                details={"path": self.path},
            )
        return self._writer

    async def _read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        if self._readers:
            return await self._readers[0].submit(question)
        return await self._opened().ask(question)

    async def load(self, key: "Key", divergence: int | None = None, with_snapshot: bool = True) -> "History":
        return await self._read(lambda connection: reads.load(connection, key, divergence, with_snapshot))

    async def pages(
        self, key: "Key", lower: int = 0, upper: int | None = None, divergence: int | None = None
    ) -> "list[StoredPage]":
        return await self._read(lambda connection: reads.view(connection, key, divergence, lower, upper))

    async def own_pages(self, key: "Key", lower: int, upper: int | None = None) -> "list[StoredPage]":
        return await self._read(lambda connection: reads.own_pages(connection, key, lower, upper))

    async def newest_snapshot(self, key: "Key") -> "StoredSnapshot | None":
        return await self._read(lambda connection: reads.newest_snapshot(connection, key))

    async def snapshots(self, key: "Key") -> "list[StoredSnapshot]":
        return await self._read(lambda connection: reads.snapshots(connection, key))

    async def next_sequence(self, key: "Key", divergence: int | None = None) -> int:
        return await self._read(lambda connection: reads.next_sequence(connection, key, divergence))

    async def by_external_id(self, key: "Key", external_id: str) -> "list[StoredPage]":
        return await self._read(lambda connection: reads.by_external_id(connection, key, external_id))

    async def by_provenance(self, key: "Key", causes: "Sequence[Provenance]") -> "list[StoredPage]":
        return await self._read(lambda connection: reads.by_provenance(connection, key, causes))

    async def by_correlation(self, correlation_id: str) -> "list[LoggedEvent]":
        return await self._read(lambda connection: reads.by_correlation(connection, correlation_id))

    async def caused_by(self, key: "Key", sequence: int) -> "list[LoggedEvent]":
        return await self._read(lambda connection: reads.caused_by(connection, key, sequence))

    async def event(self, key: "Key", sequence: int) -> "LoggedEvent | None":
        return await self._read(lambda connection: reads.event(connection, key, sequence))

    async def command_of(self, key: "Key", sequence: int) -> "StoredCommand | None":
        return await self._read(lambda connection: reads.command_of(connection, key, sequence))

    async def since(
        self, position: int, limit: int, domains: Iterable[str] | None = None, upto: int | None = None
    ) -> "list[LoggedEvent]":
        return await self._read(lambda connection: reads.since(connection, position, limit, domains, upto))

    async def head(self) -> int:
        return await self._read(reads.head)

    async def roots(
        self, after: tuple[str, bytes] = ("", b""), limit: int = 1000, domain: str | None = None
    ) -> list[tuple[str, bytes]]:
        return await self._read(lambda connection: reads.roots(connection, after, limit, domain))

    async def pending_cascades(self) -> "list[tuple[str, Key, int]]":
        return await self._read(reads.pending_cascades)

    async def outbox(self, after: int = 0, limit: int = 1000) -> "list[OutboxRow]":
        return await self._read(lambda connection: reads.outbox(connection, after, limit))

    async def position(self, consumer: str, key: "Key") -> "Position | None":
        return await self._read(lambda connection: reads.position(connection, consumer, key))

    async def positions(self, consumer: str) -> "list[Position]":
        return await self._read(lambda connection: reads.positions(connection, consumer))

    async def parked(self, consumer: str) -> "list[Position]":
        return await self._read(lambda connection: reads.positions(connection, consumer, parked=True))

    async def covered(self, consumer: str) -> set[str]:
        return await self._read(lambda connection: reads.covered(connection, consumer))

    async def projected(self, key: "Key", sequence: int) -> "dict[str, int | None]":
        return await self._read(lambda connection: reads.projected(connection, key, sequence))

    async def dead_letters(
        self, domain: str | None = None, component: str | None = None
    ) -> "list[DeadLetterRow]":
        return await self._read(lambda connection: reads.dead_letters(connection, domain, component))


def _check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            header = file.read(len(_MAGIC))
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unwritable(path, error) from error
    if header and header != _MAGIC:
        raise _not_sqlite(str(path))


def _not_sqlite(path: str) -> StoreOpenError:
    return StoreOpenError(
        f"{path} is not an SQLite database: choose another file for the store; this one was not touched",
        code=errors.STORE_NOT_SQLITE,
        details={"path": path},
    )


def _unwritable(path: Path, error: Exception) -> StoreOpenError:
    return StoreOpenError(
        f"{path} cannot be opened for writing: {error}; choose a file in a directory you may write to",
        code=errors.STORE_UNWRITABLE,
        details={"path": path, "cause": error},
        cause=error,
    )
