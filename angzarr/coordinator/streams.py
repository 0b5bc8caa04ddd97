"""EventStreamService: books as they are stored, by correlation id."""

import asyncio
from collections.abc import AsyncIterator

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import checks
from angzarr.coordinator.commits import Commit
from angzarr.coordinator.status import invalid
from angzarr.messages import EventBook, EventStreamFilter, SyncMode, clone


class EventStreams:
    """Who listens to which correlation id.

    Args:
        buffer: books a listener may lag behind before it is sent away.
    """

    def __init__(self, buffer: int) -> None:
        self._buffer = buffer
        self._listeners: dict[str, set[asyncio.Queue[EventBook | None]]] = {}

    def committed(self, commit: Commit) -> None:
        """Hand a commit to those who listen to its correlation id."""
        if commit.flow.mode == SyncMode.ISOLATED or not self._listeners:
            return
        for queue in self._listeners.get(commit.book.cover.correlation_id, ()):
            if queue.full():
                # The stored events stay where they are; only this listener has to ask for them.
                queue.get_nowait()
                queue.put_nowait(None)
            else:
                queue.put_nowait(commit.book)

    async def subscribe(self, request: EventStreamFilter) -> AsyncIterator[EventBook]:
        """Subscribe.

        Raises:
            GRPCError: INVALID_ARGUMENT, no or a malformed correlation id; RESOURCE_EXHAUSTED, the listener is too
                slow.
        """
        correlation_id = request.correlation_id
        if not correlation_id:
            invalid("EventStreamFilter must have a correlation id")
        checks.correlation_id(correlation_id)
        queue: asyncio.Queue[EventBook | None] = asyncio.Queue(self._buffer)
        listeners = self._listeners.setdefault(correlation_id, set())
        listeners.add(queue)
        try:
            while (book := await queue.get()) is not None:
                yield clone(book)
        finally:
            listeners.discard(queue)
            if not listeners:
                self._listeners.pop(correlation_id, None)
        raise GRPCError(
            Status.RESOURCE_EXHAUSTED,
            f"Too slow: more than {self._buffer} books waited; read what was missed by correlation id",
        )
