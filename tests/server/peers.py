"""A small service of bytes, and a client that speaks HTTP/2 frame by frame and can misbehave."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from hyperframe.frame import GoAwayFrame

from angzarr.codec import GrpcCodec
from angzarr.server.grpc_server import GrpcServer
from angzarr.server.options import ServerOptions

ECHO = "/test.Bytes/Echo"
COUNT = "/test.Bytes/Count"
CHAT = "/test.Bytes/Chat"
WAIT = "/test.Bytes/Wait"


class RawCodec(GrpcCodec):
    """Leaves bytes alone, for methods whose messages are bytes."""

    def encode(self, message: Any, message_type: Any) -> bytes:
        return message if message_type is bytes else super().encode(message, message_type)

    def decode(self, data: bytes, message_type: Any) -> Any:
        return data if message_type is bytes else super().decode(data, message_type)


class Bytes:
    """Echo answers what it is sent, Count a countdown, Chat message for message; Wait answers once it is released."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.waiting = 0

    def __mapping__(self) -> dict[str, Handler]:
        unary, stream, both = Cardinality.UNARY_UNARY, Cardinality.UNARY_STREAM, Cardinality.STREAM_STREAM
        return {
            ECHO: Handler(self._echo, unary, bytes, bytes),
            WAIT: Handler(self._wait, unary, bytes, bytes),
            COUNT: Handler(self._count, stream, bytes, bytes),
            CHAT: Handler(self._chat, both, bytes, bytes),
        }

    async def _echo(self, stream: Any) -> None:
        message = await stream.recv_message()
        if message == b"raise":
            raise RuntimeError("secret text")
        if message == b"reject":
            raise GRPCError(Status.FAILED_PRECONDITION, "niet möglich", b"\x08\x09")
        if message.startswith(b"grow "):
            message = bytes(int(message[5:]))
        await stream.send_message(message)

    async def _wait(self, stream: Any) -> None:
        message = await stream.recv_message()
        self.waiting += 1
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        await stream.send_message(message)

    async def _count(self, stream: Any) -> None:
        for number in range(int(await stream.recv_message()), 0, -1):
            await stream.send_message(b"%d" % number)

    async def _chat(self, stream: Any) -> None:
        async for message in stream:
            await stream.send_message(message)


def internal(error: BaseException) -> GRPCError:
    return GRPCError(Status.INTERNAL, type(error).__name__)


def server_of(*services: Any, background: Any = (), **options: Any) -> GrpcServer:
    return GrpcServer(
        services,
        background=background,
        codec=RawCodec(),
        status_of=internal,
        options=ServerOptions(**{"linger": 0.1, **options}),
    )


@asynccontextmanager
async def serving(*services: Any, **options: Any) -> AsyncIterator[tuple[GrpcServer, int]]:
    """A server on a free port of the loopback interface, and the port."""
    async with server_of(*services, **options) as server:
        address = await server.listen("127.0.0.1:0")
        yield server, int(address.rpartition(":")[2])


async def until(done: Callable[[], bool]) -> None:
    """Let the loop run until something has become so."""
    while not done():  # noqa: ASYNC110
        await asyncio.sleep(0)


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


class Peer:
    """One HTTP/2 connection of a client that does just what the test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        # h2 refuses every frame after a GOAWAY; a well-behaved client goes on listening
        self.h2._frame_dispatch_table[GoAwayFrame] = _goaway
        self.events: list[Event] = []
        self.flush()

    @classmethod
    async def connect(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    @classmethod
    async def connect_unix(cls, path: str) -> Self:
        return cls(*await asyncio.open_unix_connection(path))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return

    def flush(self) -> None:
        self._writer.write(self.h2.data_to_send())

    def write(self, data: bytes) -> None:
        """Bytes of any kind."""
        self._writer.write(data)

    def request(
        self,
        path: str,
        message: bytes | None = None,
        end: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """Open a stream; with a message, send it and (by default) end the request."""
        stream = self._opened(path, message, end, headers or {})
        self.flush()
        return stream

    def request_and_give_up(self, path: str, message: bytes) -> int:
        """Open a stream and reset it in one write."""
        stream = self._opened(path, message, True, {})
        self.h2.reset_stream(stream, 8)
        self.flush()
        return stream

    def _opened(self, path: str, message: bytes | None, end: bool, headers: Mapping[str, str]) -> int:
        stream = self.h2.get_next_available_stream_id()
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "test",
            "content-type": "application/grpc",
            "te": "trailers",
            **headers,
        }
        self.h2.send_headers(stream, list(fields.items()))
        if message is not None:
            self.h2.send_data(stream, framed(message), end_stream=end)
        return stream

    async def read(self, until: Callable[[Event], bool]) -> Event | None:
        """Read events up to one that fits, or to the end of the connection (None)."""
        for event in self.events:
            if until(event):
                return event
        while data := await self._receive():
            fresh = self.h2.receive_data(data)
            for event in fresh:
                if isinstance(event, DataReceived) and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.flush()
            self.events.extend(fresh)
            for event in fresh:
                if until(event):
                    return event
        return None

    async def _receive(self) -> bytes:
        try:
            return await self._reader.read(65536)
        except ConnectionResetError:
            return b""

    async def answer(self, stream: int) -> dict[str, str]:
        """All headers and trailers of a stream, read to its end; ``reset`` is the code it was reset with."""
        await self.read(lambda event: _ends(event, stream))
        found: dict[str, str] = {}
        for event in self.events:
            if isinstance(event, ResponseReceived | TrailersReceived) and event.stream_id == stream:
                found.update({str(name): str(value) for name, value in event.headers})
            if isinstance(event, StreamReset) and event.stream_id == stream:
                found["reset"] = str(int(event.error_code or 0))
        return found

    def body(self, stream: int) -> bytes:
        """What has been received as data of a stream."""
        return b"".join(
            event.data
            for event in self.events
            if isinstance(event, DataReceived) and event.stream_id == stream
        )

    async def goaway(self) -> ConnectionTerminated:
        """The server's GOAWAY."""
        event = await self.read(lambda event: isinstance(event, ConnectionTerminated))
        assert isinstance(event, ConnectionTerminated)
        return event

    async def closed(self) -> bool:
        """Read until the server has closed the connection."""
        return await self.read(lambda event: False) is None


def _ends(event: Event, stream: int) -> bool:
    return isinstance(event, StreamEnded | StreamReset) and event.stream_id == stream


def _goaway(frame: GoAwayFrame) -> tuple[list[Any], list[Event]]:
    event = ConnectionTerminated()
    event.error_code = frame.error_code
    event.last_stream_id = frame.last_stream_id
    event.additional_data = frame.additional_data
    return [], [event]
