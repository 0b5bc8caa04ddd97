"""SQLite away from the event loop: one thread that writes in groups, some that read.

Results come back in batches, one wake-up of the loop for a whole group: a hop per statement would cost more than the
statement.
"""

import asyncio
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import anyio.to_thread

from angzarr.coordinator import errors
from angzarr.coordinator.errors import StoreError, StoreFullError
from angzarr.coordinator.store import writes
from angzarr.coordinator.store.records import Operation

T = TypeVar("T")

Connect = Callable[[], sqlite3.Connection]
Read = Callable[[sqlite3.Connection], Any]
_Unit = tuple["asyncio.Future[Any]", Sequence[Operation]]
_Outcome = tuple["asyncio.Future[Any]", Any, BaseException | None]

GROUP_LIMIT = 512


def resolve(outcomes: Sequence[_Outcome]) -> None:
    """Give a group of futures their results; those nobody waits for any more are passed over."""
    for future, result, error in outcomes:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


class Worker(ABC):
    """A thread with a connection of its own and a queue of work.

    Args:
        name: of the thread, for debuggers.
        connect: makes the connection, in the thread.
        path: of the database, for messages.
    """

    def __init__(self, name: str, connect: Connect, path: str) -> None:
        self._connect = connect
        self._path = path
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    async def start(self) -> None:
        """Start the thread; raises what opening the connection raised."""
        # Starting a thread waits for its first sign of life.
        await anyio.to_thread.run_sync(self._thread.start)
        await self._opened

    def stop(self) -> "asyncio.Future[None]":
        """Take no more work; the future is done when what is queued is. Doing so twice is fine."""
        if not self._closing:
            self._closing = True
            self._hand_over(None)
        return asyncio.shield(self._stopped)

    def _submit(self, work: Any) -> "asyncio.Future[Any]":
        if self._closing:
            raise StoreError(
                f"the store {self._path} is closed: enter the coordinator before using it",
                code=errors.STORE_CLOSED,
                details={"path": self._path},
            )
        future: asyncio.Future[Any] = self._loop.create_future()
        self._hand_over((future, work))
        return future

    def _hand_over(self, item: Any) -> None:
        self._queue.put(item)

    def _run(self) -> None:
        try:
            connection = self._connect()
        except BaseException as error:
            self._post([(self._opened, None, error), (self._stopped, None, None)])
            return
        self._post([(self._opened, None, None)])
        try:
            while (item := self._queue.get()) is not None:
                if not self._work(connection, item):
                    break
        finally:
            connection.close()
            self._post([(self._stopped, None, None)])

    def _post(self, outcomes: Sequence[_Outcome]) -> None:
        try:
            self._loop.call_soon_threadsafe(resolve, outcomes)
        except RuntimeError:
            # The loop is gone, and with it whoever waited.
            return

    @abstractmethod
    def _work(self, connection: sqlite3.Connection, item: Any) -> bool:
        """Do what came out of the queue; whether to go on."""

    def _answer(self, connection: sqlite3.Connection, future: "asyncio.Future[Any]", read: Read) -> _Outcome:
        try:
            return (future, read(connection), None)
        except Exception as error:
            return (future, None, self._failure(error))

    def _failure(self, error: BaseException) -> BaseException:
        if isinstance(error, StoreError) or not isinstance(error, sqlite3.Error):
            return error
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            return StoreFullError(self._path, error)
        return StoreError(
            f"the store {self._path} failed: {error}",
            details={"path": self._path, "cause": error},
            cause=error,
        )


class Writer(Worker):
    """The one thread that writes. Units that wait are committed together, each of them whole or not at all.

    What is submitted in one turn of the event loop is handed over as one: a thread that wakes up in the middle of the
    turn would only fight the loop for the interpreter's lock.
    """

    def __init__(self, name: str, connect: Connect, path: str) -> None:
        super().__init__(name, connect, path)
        self._turn: list[Any] = []
        self._backlog: deque[Any] = deque()

    def _hand_over(self, item: Any) -> None:
        if not self._turn:
            self._loop.call_soon(self._end_of_turn)
        self._turn.append(item)

    def _end_of_turn(self) -> None:
        turn, self._turn = self._turn, []
        self._queue.put(turn)

    def _next(self) -> Any:
        """The next item; raises Empty when there is none at the moment."""
        while not self._backlog:
            self._backlog.extend(self._queue.get_nowait())
        return self._backlog.popleft()

    def submit(self, unit: Sequence[Operation]) -> "asyncio.Future[list[Any]]":
        """Queue a unit of work; the future has one result per operation once it is committed."""
        return self._submit(unit)

    def ask(self, read: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """Queue a question behind the units submitted so far: for a store that has no readers."""
        return self._submit(read)

    def _work(self, connection: sqlite3.Connection, item: Any) -> bool:
        self._backlog.extend(item)
        while self._backlog:
            if not self._one_group(connection):
                return False
        return True

    def _one_group(self, connection: sqlite3.Connection) -> bool:
        group: list[_Unit] = []
        item = self._backlog.popleft()
        while item is not None:
            if callable(item[1]):
                self._post([*self._flush(connection, group), self._answer(connection, *item)])
                group = []
            else:
                group.append(item)
            if len(group) == GROUP_LIMIT:
                break
            try:
                item = self._next()
            except Empty:
                break
        self._post(self._flush(connection, group))
        return item is not None

    def _flush(self, connection: sqlite3.Connection, group: Sequence[_Unit]) -> list[_Outcome]:
        return self._commit_together(connection, group) if group else []

    def _commit_together(self, connection: sqlite3.Connection, group: Sequence[_Unit]) -> list[_Outcome]:
        # A savepoint per unit would cost every group what only a failing one needs: on failure all of it is taken
        # back, and each unit runs again in a transaction of its own.
        try:
            results = self._transaction(connection, [unit for _, unit in group])
        except Exception as error:
            if len(group) == 1:
                return [(group[0][0], None, self._failure(error))]
            return [outcome for unit in group for outcome in self._commit_together(connection, [unit])]
        return [(future, result, None) for (future, _), result in zip(group, results, strict=True)]

    def _transaction(
        self, connection: sqlite3.Connection, units: Sequence[Sequence[Operation]]
    ) -> list[list[Any]]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            results = [[writes.apply(connection, operation) for operation in unit] for unit in units]
            connection.execute("COMMIT")
        except BaseException:
            # SQLite itself rolls back when the disk is full.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return results


class Reader(Worker):
    """A thread that reads. Several share one queue."""

    def share(self, other: "Reader") -> None:
        """Take work from another reader's queue too."""
        self._queue = other._queue

    def submit(self, read: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """Queue a question; the future has its answer."""
        return self._submit(read)

    def _work(self, connection: sqlite3.Connection, item: Any) -> bool:
        self._post([self._answer(connection, *item)])
        return True
