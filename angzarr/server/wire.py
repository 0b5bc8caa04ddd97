"""A call's end of a connection: grpclib's stream without what clients need, its events without what they search.

For every window that a client opens, grpclib wakes every stream of the connection, and for every stream it makes a
queue and three events. Here a stream that waits for room says so, and data are kept in a list.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from grpclib.protocol import AbstractHandler, Connection, EventsProcessor, Stream
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    TrailersReceived,
    WindowUpdated,
)

if TYPE_CHECKING:
    from grpclib.utils import Wrapper

_MUCH = 65536
"""Bytes that are acknowledged before all that came has been read."""
_NONE: Mapping[type[Event], Callable[[Any], None]] = {}


class EndedTooSoonError(Exception):
    """The client has ended its request in the middle of what was to be read."""


class Inbox:
    """What has come of a request. The client is told of new room as it is read, and while a reader waits for more.

    Args:
        acknowledge: tells the client that so many bytes were taken.
    """

    def __init__(self, acknowledge: Callable[[int], None]) -> None:
        self._acknowledge = acknowledge
        self._chunks: deque[bytes] = deque()
        self._start = 0
        self._size = 0
        self._owed = 0
        self._ended = False
        self._reader: asyncio.Future[None] | None = None

    def add(self, data: bytes, frame_size: int) -> None:
        """Take data that came, in a frame of so many bytes."""
        self._chunks.append(data)
        self._size += len(data)
        self._owed += frame_size
        if self._reader is not None:
            self._wake(self._reader)

    def eof(self) -> None:
        """Nothing more will come."""
        self._ended = True
        if self._reader is not None:
            self._wake(self._reader)

    def unacked_size(self) -> int:
        """How many bytes the client has not been told of; it is from now on."""
        owed, self._owed = self._owed, 0
        return owed

    async def read(self, size: int) -> bytes:
        """The next bytes, as many as asked for; none at the end.

        Raises:
            EndedTooSoonError: there are some, but fewer.
        """
        while self._size < size and not self._ended:
            self._acknowledge(self.unacked_size())
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        if self._size < size:
            if self._size:
                raise EndedTooSoonError
            return b""
        data = self._taken(size)
        taken = self._owed - self._size
        if not self._size or taken >= _MUCH:
            self._acknowledge(taken)
            self._owed -= taken
        return data

    def _wake(self, reader: "asyncio.Future[None]") -> None:
        self._reader = None
        if not reader.done():
            reader.set_result(None)

    def _taken(self, size: int) -> bytes:
        self._size -= size
        parts = []
        while size:
            chunk, start = self._chunks[0], self._start
            end = min(len(chunk), start + size)
            size -= end - start
            if end == len(chunk):
                self._chunks.popleft()
                self._start = 0
            else:
                self._start = end
            parts.append(memoryview(chunk)[start:end])
        return b"".join(parts)


class Wire(Stream):
    """A call's end of the connection.

    Args:
        connection: the connection.
        number: the stream's.
        waiting: where a stream is noted that has waited for room.
    """

    def __init__(self, connection: Connection, number: int, waiting: "set[Wire]") -> None:
        self.connection = connection
        self._h2_connection = connection._connection
        self._transport = connection._transport
        self._waiting = waiting
        self.wrapper: Wrapper | None = None
        self.id: int = number
        self.buffer: Any = Inbox(partial(connection.ack, number))

    @cached_property
    def window_updated(self) -> asyncio.Event:  # type: ignore[override]
        """Set when there may be more room to send; made when the stream first waits."""
        self._waiting.add(self)
        return asyncio.Event()


class Events(EventsProcessor):
    """What to do with what comes in.

    For grpclib a frame it does not know is a crash, and a client's GOAWAY the end of every call.
    """

    def __init__(self, handler: AbstractHandler, connection: Connection) -> None:
        super().__init__(handler, connection)
        self._waiting: set[Wire] = set()

    def process(self, event: Event) -> None:
        """Do what an event asks for; nothing once the connection is closed."""
        process = getattr(self, "processors", _NONE).get(type(event))  # grpclib deletes the table on closing
        if process is not None:
            process(event)

    def process_request_received(self, event: RequestReceived) -> None:
        """Take in a call."""
        number: Any = event.stream_id
        stream = self.streams[number] = Wire(self.connection, number, self._waiting)
        headers: Any = event.headers
        self.handler.accept(stream, headers, partial(self._release, stream))

    def _release(self, stream: Wire) -> None:
        del self.streams[stream.id]
        self._waiting.discard(stream)
        if not self.connection.is_closing():
            self.connection.ack(stream.id, stream.buffer.unacked_size())

    def process_data_received(self, event: DataReceived) -> None:
        """Hand data to their call; those of a call that has ended are taken all the same."""
        size: Any = event.flow_controlled_length
        number: Any = event.stream_id
        stream = self.streams.get(number)
        if stream is None:
            self.connection.ack(number, size)
        else:
            data: Any = event.data
            stream.buffer.add(data, size)

    def process_window_updated(self, event: WindowUpdated) -> None:
        """Wake the calls that wait for room."""
        for stream in self._waiting:
            if event.stream_id in (0, stream.id):
                stream.window_updated.set()

    def process_remote_settings_changed(self, event: RemoteSettingsChanged) -> None:
        """Wake the calls that wait for room: the client may have made it."""
        for stream in self._waiting:
            stream.window_updated.set()

    def process_trailers_received(self, event: TrailersReceived) -> None:
        """Nothing: calls do not read their client's trailers."""

    def process_connection_terminated(self, event: ConnectionTerminated) -> None:
        """The client will make no new calls; it still wants the answers of those it made, then hangs up."""
