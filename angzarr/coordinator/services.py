"""The coordinator's services: stubs for clients in this process, and what the sockets serve.

Each method is named after its RPC and takes ``timeout`` (seconds) and ``metadata`` as a stub over a channel does.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator.asking import CallerLeftError, caller_waits
from angzarr.coordinator.commands import CommandPipeline
from angzarr.coordinator.errors import StoreError
from angzarr.coordinator.facts import FactPipeline
from angzarr.coordinator.queries import Queries
from angzarr.coordinator.speculation import CompensationPipeline, Speculation
from angzarr.log import get_logger
from angzarr.messages import (
    AggregateRoot,
    BusinessResponse,
    CommandRequest,
    CommandResponse,
    Empty,
    EventBook,
    EventRequest,
    FactInjectionResponse,
    Query,
    SpeculateCommandHandlerRequest,
)

T = TypeVar("T")
Metadata = Iterable[tuple[str, str | bytes]] | None

_log = get_logger(__name__)


async def answered(operation: Awaitable[T], timeout: float | None) -> T:
    """Await an operation as an RPC is awaited: it fails with GRPCError only.

    Raises:
        GRPCError: the operation's own; DEADLINE_EXCEEDED after ``timeout`` seconds; INTERNAL for what nobody foresaw,
            with the traceback in the log.
    """
    try:
        if timeout is None:
            return await operation
        with caller_waits(timeout):
            async with asyncio.timeout(timeout) as deadline:
                return await operation
    except GRPCError:
        raise
    except CallerLeftError as error:
        text = "the call's deadline passed while it was handled"
        raise GRPCError(Status.DEADLINE_EXCEEDED, text if timeout is None else _too_late(timeout)) from error
    except StoreError as error:
        raise GRPCError(Status.INTERNAL, str(error)) from error
    except TimeoutError as error:
        if timeout is not None and deadline.expired():
            raise GRPCError(Status.DEADLINE_EXCEEDED, _too_late(timeout)) from None
        raise _unforeseen(error) from error
    except Exception as error:
        raise _unforeseen(error) from error


def _too_late(timeout: float) -> str:
    return f"no answer within {timeout:g} s"


def _unforeseen(error: Exception) -> GRPCError:
    _log.exception("coordinator_failed", exc_info=error)
    return GRPCError(Status.INTERNAL, f"{type(error).__name__} in the coordinator; its log has the traceback")


class CommandHandlerCoordinatorService:
    """Commands, facts, speculation and compensation, of every domain."""

    def __init__(
        self,
        commands: CommandPipeline,
        facts: FactPipeline,
        speculation: Speculation,
        compensation: CompensationPipeline,
    ) -> None:
        self._commands = commands
        self._facts = facts
        self._speculation = speculation
        self._compensation = compensation

    async def handle_command(
        self, request: CommandRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> CommandResponse:
        """HandleCommand."""
        return await answered(self._commands.handle(request), timeout)

    async def handle_event(
        self, request: EventRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> FactInjectionResponse:
        """HandleEvent."""
        return await answered(self._facts.handle(request), timeout)

    async def handle_sync_speculative(
        self, request: SpeculateCommandHandlerRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> CommandResponse:
        """HandleSyncSpeculative."""
        return await answered(self._speculation.handle(request), timeout)

    async def handle_compensation(
        self, request: CommandRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> BusinessResponse:
        """HandleCompensation."""
        return await answered(self._compensation.handle(request), timeout)


class EventQueryService:
    """What is stored, of every domain."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def get_event_book(
        self, request: Query, timeout: float | None = None, metadata: Metadata = None
    ) -> EventBook:
        """GetEventBook."""
        return await answered(self._queries.get_event_book(request), timeout)

    async def get_event_book_bytes(self, request: Query) -> bytes:
        """GetEventBook, encoded: what the sockets serve."""
        return await answered(self._queries.get_event_book_bytes(request), None)

    def get_events(
        self, request: Query, timeout: float | None = None, metadata: Metadata = None
    ) -> AsyncIterator[EventBook]:
        """GetEvents."""
        return failing_cleanly(lambda: self._queries.get_events(request))

    def synchronize(
        self,
        requests: AsyncIterable[Query] | Iterable[Query],
        timeout: float | None = None,
        metadata: Metadata = None,
    ) -> AsyncIterator[EventBook]:
        """Synchronize: one book per query."""
        return failing_cleanly(lambda: self._synchronized(requests))

    async def _synchronized(
        self, requests: AsyncIterable[Query] | Iterable[Query]
    ) -> AsyncIterator[EventBook]:
        async for query in _each(requests):
            yield await self._queries.get_event_book(query)

    def get_aggregate_roots(
        self, request: Empty | None = None, timeout: float | None = None, metadata: Metadata = None
    ) -> AsyncIterator[AggregateRoot]:
        """GetAggregateRoots."""
        return failing_cleanly(self._queries.get_aggregate_roots)


async def _each(items: AsyncIterable[T] | Iterable[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


async def failing_cleanly(stream: Callable[[], AsyncIterator[T]]) -> AsyncIterator[T]:
    """A stream that fails with GRPCError only."""
    try:
        async for item in stream():
            yield item
    except GRPCError:
        raise
    except StoreError as error:
        raise GRPCError(Status.INTERNAL, str(error)) from error
    except Exception as error:
        raise _unforeseen(error) from error
