"""One call's HTTP/2 stream.

grpclib wakes a waiting call by cancelling its task, which leaves ``Task.cancelling()`` one too high and so breaks an
enclosing ``asyncio.timeout`` or ``anyio.fail_after``. A call here waits on a future of its own that the stream's events
resolve, and nothing is ever cancelled but by the caller. The stream stands in for ``grpclib.protocol.Stream`` below
grpclib's own connection and events processor, whichever channel they belong to.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from grpclib.const import Status
from grpclib.protocol import H2Protocol
from h2.errors import ErrorCodes
from h2.exceptions import NoAvailableStreamIDError, ProtocolError, TooManyStreamsError

from angzarr.client import failures
from angzarr.client.writing import ClientConnection
from angzarr.errors import ClientError
from angzarr.http2.headers import Prepared
from angzarr.http2.lean_client import LeanClient

_PREFIX = 5
_EVERYTHING = 2**63


class CallStream:
    """A stream as grpclib's events processor wants it, and what a call does with it.

    Args:
        protocol: the connection to open it on.
        limit: largest message to accept, in bytes.
        single: whether one message is all the answer may have.
    """

    _whole: asyncio.Future[None] | None = None  # of who waits for all of the answer
    _timer: asyncio.TimerHandle | None = None
    _release: Callable[[], None] | None = None
    _failure: ClientError | None = None
    _wanted = _PREFIX
    _unacknowledged = 0
    _batch: int | None = None
    id: int = 0
    ended: bool = False
    waits_for_window: bool = False
    # What grpclib's events processor reads and writes on its own streams:
    headers: list[tuple[str, str]] | None = None
    trailers: list[tuple[str, str]] | None = None
    data_received = 0
    buffer: property = property(lambda stream: stream)  # no attribute of every stream: that would be a cycle
    headers_received: property = buffer
    trailers_received: property = buffer
    window_updated: property = buffer

    def __init__(self, protocol: H2Protocol, limit: int, *, single: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._processor: Any = protocol.processor
        self._write: Callable[[], None] = getattr(protocol, "flush", protocol.connection.flush)
        self._limit = limit
        self._single = single
        self._waiters: list[asyncio.Future[None]] = []  # of who waits for less: one sends, one receives
        self._body = bytearray()

    def set(self) -> None:
        """Headers, trailers or window came in, or the call is over: wake those who may have waited for it."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        whole = self._whole
        if whole is not None and not whole.done() and (self.ended or self._failure is not None):
            whole.set_result(None)

    def add(self, data: bytes, ack_size: int) -> None:
        """Data came in: acknowledged at once while a message is incomplete, else when the next one is asked for."""
        body = self._body
        body += data
        if len(body) >= _PREFIX:
            size = int.from_bytes(body[1:_PREFIX])
            if size > self._limit:
                self.fail(self._too_large(size))
            elif self._single and len(body) > _PREFIX + size:
                self.fail(_several())
        self._unacknowledged += ack_size
        if len(body) < self._wanted:  # what that gives to write is written when all that came in is taken
            self._protocol.connection._connection.acknowledge_received_data(self.unacked_size(), self.id)
        self.set()

    def unacked_size(self) -> int:
        """What the peer was not yet given back of its window."""
        size, self._unacknowledged = self._unacknowledged, 0
        return size

    def __ended__(self) -> None:
        self.ended = True
        self.set()

    @property
    def sent(self) -> bool:
        """Whether the whole request may have reached the server; otherwise it certainly was not executed."""
        if self._batch is None:
            return False
        connection = self._protocol.connection
        return not isinstance(connection, ClientConnection) or self._batch < connection.batch

    def __terminated__(self, reason: str) -> None:
        self.fail(failures.transport_error(reason) if self.sent else failures.never_reached(reason))

    def was_reset(self, code: int) -> None:
        """The server has cut the stream off."""
        self.fail(failures.stream_reset(code, sent=self.sent))

    def fail(self, error: ClientError) -> None:
        """End the call with an error, unless it has ended already."""
        if self._failure is None and not self.ended:
            self._failure = error
            self.set()

    def fail_at(self, deadline: float, seconds: float) -> None:
        """Let the call fail with DEADLINE_EXCEEDED at a loop time."""
        self._timer = self._loop.call_at(deadline, self._expire, seconds)

    def _expire(self, seconds: float) -> None:
        text = f"no answer within {seconds:.3g} s"
        make = failures.no_answer if self.sent else failures.not_sent
        self.fail(make(Status.DEADLINE_EXCEEDED, text))

    async def open(self, headers: list[tuple[str, str]], data: bytes | None, *, end: bool) -> None:
        """Open the stream with its headers and, as far as the windows allow, first data in one write.

        Args:
            headers: the request's headers.
            data: a first message with its prefix; None for none yet.
            end: whether nothing follows.

        Raises:
            NeverReachedError: the connection is closed, or closes before the stream is open.
        """
        protocol = self._protocol
        connection, h2 = protocol.connection, protocol.connection._connection
        while True:
            if not connection.write_ready.is_set():
                await self._until_event(connection.write_ready)
            if self._failure is not None:
                raise self._failure
            if connection.is_closing():
                raise failures.never_reached("the connection is closed")
            try:
                stream_id = h2.get_next_available_stream_id()
                h2.send_headers(stream_id, headers, end_stream=end and data is None)
                break
            except TooManyStreamsError:
                connection.stream_close_waiter.clear()
                await self._until_event(connection.stream_close_waiter)
            except (NoAvailableStreamIDError, ProtocolError) as error:
                protocol.handler.close()
                raise failures.never_reached(error) from error
        self._opened(stream_id)
        sent = self._send_some(data, 0, end) if data is not None else 0
        self._flush()
        connection.headers_send_process()
        if data is not None and sent < len(data):
            await self.send_rest(data, sent, end)

    def start(self, headers: Prepared, data: bytes) -> bool:
        """Open the stream with a request of one message, as ``open`` does, when that takes one step and no waiting.

        Returns:
            Whether it was done; otherwise nothing was.
        """
        connection: Any = self._protocol.connection
        http2 = connection._connection
        if (
            self._failure is not None
            or not isinstance(http2, LeanClient)
            or not connection.write_ready.is_set()
            or connection.is_closing()
        ):
            return False
        stream_id = http2.send_request(headers, data)
        if stream_id is None:
            return False
        self._opened(stream_id)
        self._batch = connection.batch
        self._write()
        return True

    def _opened(self, stream_id: int) -> None:
        self.id = stream_id
        self._release = self._processor.register(self)
        self._protocol.connection.streams_started += 1

    async def send(self, data: bytes) -> None:
        """Send a further message."""
        await self.send_rest(data, 0, False)

    async def end(self) -> None:
        """Say that no message follows."""
        if self._can_send():
            self._protocol.connection._connection.end_stream(self.id)
            self._flush()

    async def send_rest(self, data: bytes, start: int, end: bool) -> None:
        """Send a message from a byte on, as the windows open."""
        connection = self._protocol.connection
        while start < len(data) and self._can_send():
            if not connection.write_ready.is_set():
                await self._until_event(connection.write_ready)
                continue
            sent = self._send_some(data, start, end)
            self._flush()
            start += sent
            if not sent:
                self.waits_for_window = True
                try:
                    await self._until(self._window_open)
                finally:
                    self.waits_for_window = False

    def _send_some(self, data: bytes, start: int, end: bool) -> int:
        """Hand h2 what the windows allow; how much that was."""
        h2 = self._protocol.connection._connection
        at, total = start, len(data)
        if not at and total <= min(h2.max_outbound_frame_size, h2.local_flow_control_window(self.id)):
            h2.send_data(self.id, data, end_stream=end)
            at = total
        while at < total:
            size = min(h2.local_flow_control_window(self.id), h2.max_outbound_frame_size, total - at)
            if size <= 0:
                break
            h2.send_data(self.id, data[at : at + size], end_stream=end and at + size == total)
            at += size
        if at == total:
            self._batch = getattr(self._protocol.connection, "batch", 0)
        return at - start

    def _can_send(self) -> bool:
        if self._failure is not None:
            raise self._failure
        return not self.ended

    def _window_open(self) -> bool:
        if self.ended or self._failure is not None:  # HTTP/2 knows no window of a stream that is over
            return True
        return self._protocol.connection._connection.local_flow_control_window(self.id) > 0

    async def finished(self) -> None:
        """Wait until the server has ended its side of the stream."""
        self._wanted = _EVERYTHING
        self._acknowledge()
        while not self.ended:
            if self._failure is not None:
                raise self._failure
            self._whole = self._loop.create_future()
            try:
                await self._whole
            finally:
                self._whole = None

    async def next_message(self) -> bytes | None:
        """The next message; None when the server has ended its side."""
        self._wanted = _PREFIX
        await self._until(lambda: self.ended or len(self._body) >= _PREFIX)
        if len(self._body) >= _PREFIX:
            self._wanted = size = _PREFIX + int.from_bytes(self._body[1:_PREFIX])
            await self._until(lambda: self.ended or len(self._body) >= size)
        return self.take_message()

    def take_message(self) -> bytes | None:
        """The first message of what came in; None when there is nothing.

        Raises:
            NoAnswerError: INTERNAL, the message is compressed or cut off.
        """
        body = self._body
        if not body:
            return None
        size = int.from_bytes(body[1:_PREFIX])
        if size > self._limit:
            raise self._too_large(size)
        if body[0]:
            raise failures.no_answer(Status.INTERNAL, "the answer is compressed, which was not asked for")
        if len(body) < _PREFIX + size:
            raise failures.no_answer(Status.INTERNAL, "the answer is cut off")
        if self._single and len(body) > _PREFIX + size:
            raise _several()
        message = bytes(memoryview(body)[_PREFIX : _PREFIX + size])
        del body[: _PREFIX + size]
        return message

    def _too_large(self, size: int) -> ClientError:
        return failures.no_answer(
            Status.RESOURCE_EXHAUSTED,
            f"the answer has {size} bytes, more than the {self._limit} of max_message_bytes",
        )

    def close(self) -> None:
        """Let go of the stream; one that is still open is reset, so that the server can stop."""
        if self._timer is not None:
            self._timer.cancel()
        release, self._release = self._release, None
        if release is None:
            return
        connection = self._protocol.connection
        if not connection.is_closing():
            h2 = connection._connection
            stream = h2.streams.get(self.id)
            if stream is not None and not stream.closed:
                h2.reset_stream(self.id, error_code=ErrorCodes.CANCEL)
                self._flush()
        release()

    def _acknowledge(self) -> None:
        size = self.unacked_size()
        connection = self._protocol.connection
        if size and not connection.is_closing():
            connection._connection.acknowledge_received_data(size, self.id)
            self._write()

    def _flush(self) -> None:
        connection = self._protocol.connection
        if not connection.is_closing():
            self._write()

    async def _until(self, ready: Callable[[], bool]) -> None:
        self._acknowledge()
        while not ready():
            if self._failure is not None:
                raise self._failure
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                self._waiters.remove(waiter)

    async def _until_event(self, event: asyncio.Event) -> None:
        """Wait for one of the connection's events, or for the end of the connection."""
        streams = self._processor.streams
        before_open = not self.id
        if before_open:
            streams[-id(self)] = self
        waiting = asyncio.ensure_future(event.wait())
        waiting.add_done_callback(lambda _: self.set())
        try:
            await self._until(waiting.done)
        finally:
            waiting.cancel()
            if before_open:
                streams.pop(-id(self), None)


def _several() -> ClientError:
    return failures.no_answer(Status.INTERNAL, "more than one message where one belongs")
