"""Servers that misbehave: HTTP/2 by hand over real sockets, and a proxy that can lose, delay and cut."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import h2.config
import h2.connection
import h2.events

from angzarr import codec
from angzarr.messages import EventBook

BOOK = EventBook(next_sequence=3)


class Peer:
    """The server's end of one connection, driven by a test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        self.h2.initiate_connection()
        self.headers: dict[int, dict[str, str]] = {}
        self._requests: asyncio.Queue[int] = asyncio.Queue()

    async def start(self) -> None:
        """Send the preface."""
        await self.flush()

    async def request(self) -> int:
        """The stream id of the next whole request."""
        while self._requests.empty():
            data = await self.reader.read(65536)
            if not data:
                raise EOFError
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    self.headers[event.stream_id] = dict(event.headers)  # type: ignore[arg-type]
                elif isinstance(event, h2.events.DataReceived):
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    self._requests.put_nowait(event.stream_id)
            await self.flush()
        return self._requests.get_nowait()

    async def answer(self, stream: int, body: bytes | None = None, status: str = "0") -> None:
        """Answer a request; a book by default."""
        message = codec.encode(BOOK)
        framed = b"\0" + len(message).to_bytes(4) + message if body is None else body
        self.h2.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        if framed:
            self.h2.send_data(stream, framed)
        self.h2.send_headers(stream, [("grpc-status", status)], end_stream=True)
        await self.flush()

    async def goaway(self, last: int, code: int = 0) -> None:
        """Send a GOAWAY; written by hand, as h2 would take it for the end."""
        payload = last.to_bytes(4) + code.to_bytes(4)
        await self.flush()
        await self.write(len(payload).to_bytes(3) + b"\x07\x00" + (0).to_bytes(4) + payload)

    async def flush(self) -> None:
        await self.write(self.h2.data_to_send())

    async def write(self, data: bytes) -> None:
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def until_closed(self) -> None:
        """Wait for the client to close its side."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def scripted(*scripts: Script, port: int = 0) -> AsyncIterator[str]:
    """A server whose nth connection follows the nth script, the last one from then on; the value is the endpoint."""
    connections = 0
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        script = scripts[min(connections, len(scripts) - 1)]
        connections += 1
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            peer = Peer(reader, writer)
            await peer.start()
            await script(peer)
        except (EOFError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            running.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        if running:
            await asyncio.wait(running)


async def answering(peer: Peer) -> None:
    """Answer every request with a book."""
    while True:
        await peer.answer(await peer.request())


class Proxy:
    """A TCP proxy in front of an endpoint ``host:port``.

    Attributes:
        endpoint: where it listens.
        dropping: while set, bytes are read and thrown away: a network that lost the route.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._connections: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.endpoint = ""
        self.dropping = False
        self.accepted = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        back: asyncio.StreamWriter | None = None
        try:
            back_reader, back = await asyncio.open_connection(*self._target)
            self._connections |= {writer, back}
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, back, writer))
                group.create_task(self._pump(back_reader, writer, back))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            for side in (writer, back):
                if side is not None:
                    side.transport.abort()
                    self._connections.discard(side)
            self._tasks.discard(task)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, other: asyncio.StreamWriter
    ) -> None:
        while data := await source.read(65536):
            if not self.dropping:
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
        other.transport.abort()

    def cut(self) -> int:
        """Cut every connection with a reset; how many there were."""
        cut = len(self._connections) // 2
        for writer in list(self._connections):
            writer.transport.abort()
        return cut

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.endpoint = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self.cut()
            for task in list(self._tasks):
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)


def open_sockets() -> int:
    """How many sockets this process has open."""
    count = 0
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            count += os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:")
    return count


@asynccontextmanager
async def unharmed() -> AsyncIterator[None]:
    """Afterwards there are no more tasks and sockets than before, and this task's cancellation count is the same."""
    me = asyncio.current_task()
    assert me is not None
    cancelling, tasks, sockets = me.cancelling(), asyncio.all_tasks(), open_sockets()
    yield
    for _ in range(1000):
        if asyncio.all_tasks() <= tasks and open_sockets() <= sockets:
            break
        await asyncio.sleep(0.01)
    assert me.cancelling() == cancelling
    assert asyncio.all_tasks() <= tasks
    assert open_sockets() <= sockets
