"""A whole server – health, readiness, signals – told to stop while clients do their best or worst."""

import asyncio
import itertools
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpclib.const import Cardinality, Handler
from structlog.testing import CapturingLogger

from angzarr._gen.grpc.health.v1 import HealthCheckResponse
from angzarr.client import Channel, ChannelStub
from angzarr.errors import ClientError
from angzarr.messages import Cover, EventBook, decode, encode
from angzarr.messages.services import Rpc, Service
from angzarr.server import ServerHandle, ServerOptions, create_server, serving
from angzarr.server.serving import run
from tests.server.peers import Peer, framed, until

ONE, MANY, LARGE = "/test.Books/One", "/test.Books/Many", "/test.Books/Large"
SPEAKERS = ("lean", "light", "h2")
SIGNALS = (signal.SIGTERM, signal.SIGINT)
CHECK = "/grpc.health.v1.Health/Check"


class Books:
    """Takes a moment over every book, and counts what it took and what it finished."""

    def __init__(self) -> None:
        self.taken = 0
        self.finished = 0

    def __mapping__(self) -> dict[str, Handler]:
        return {
            ONE: Handler(self._one, Cardinality.UNARY_UNARY, EventBook, EventBook),
            MANY: Handler(self._many, Cardinality.UNARY_STREAM, EventBook, EventBook),
            LARGE: Handler(self._large, Cardinality.UNARY_UNARY, EventBook, EventBook),
        }

    async def _one(self, stream: Any) -> None:
        book = await stream.recv_message()
        self.taken += 1
        await asyncio.sleep(0.03)
        await stream.send_message(book)
        self.finished += 1

    async def _large(self, stream: Any) -> None:
        await stream.recv_message()
        await stream.send_message(EventBook(cover=Cover(domain="d" * 9_000_000)))

    async def _many(self, stream: Any) -> None:
        book = await stream.recv_message()
        self.taken += 1
        for number in range(5):
            await asyncio.sleep(0.01)
            await stream.send_message(EventBook(cover=book.cover, next_sequence=number))
        self.finished += 1


@asynccontextmanager
async def running(service: Any, address: str, **options: Any) -> AsyncIterator[tuple[ServerHandle, Any]]:
    """The server, as `serve` runs it, and its task; whoever enters must have it end."""
    options = {"grace": 60.0, "linger": 0.2, **options}
    handle = create_server([service], address=address, options=ServerOptions(**options))
    task = asyncio.create_task(run(handle, CapturingLogger(), {}))
    await until(lambda: bool(handle.server.addresses) or task.done())
    try:
        yield handle, task
    finally:
        await asyncio.wait([task], timeout=60)
        task.cancel()
        assert not await asyncio.gather(task, return_exceptions=True) or task.exception() is None


def place(transport: str, directory: Path) -> str:
    return "127.0.0.1:0" if transport == "tcp" else f"unix:{directory}/s.sock"


async def connected(address: str) -> Peer:
    if address.startswith("unix:"):
        return await Peer.connect_unix(address.removeprefix("unix:"))
    return await Peer.connect(int(address.rpartition(":")[2]))


def complete(path: str, body: bytes) -> bool:
    """Whether an answer is all there: one book, or five in order."""
    cover = Cover(domain="d")
    if path == ONE:
        return body == framed(encode(EventBook(cover=cover)))
    return body == b"".join(framed(encode(EventBook(cover=cover, next_sequence=n))) for n in range(5))


async def call_until_refused(address: str, path: str, outcomes: Counter[str], busy: asyncio.Barrier) -> None:
    """Call again and again; what is not an answer must say that nothing was done."""
    async with await connected(address) as peer:
        for turn in itertools.count():
            stream = peer.request(path, encode(EventBook(cover=Cover(domain="d"))))
            if turn == 0:
                await busy.wait()
            answer = await peer.answer(stream)
            if answer.get("grpc-status") == "0" and complete(path, peer.body(stream)):
                outcomes["answered"] += 1
                continue
            outcomes["refused" if answer in ({"reset": "7"}, {}) else f"broken: {answer}"] += 1
            return


async def stopped_under_load(address: str, number: signal.Signals, http2: str) -> Counter[str]:
    service = Books()
    outcomes: Counter[str] = Counter()
    busy = asyncio.Barrier(65)
    async with asyncio.timeout(60), running(service, address, http2=http2) as (handle, task):
        where = handle.server.addresses[0]
        async with asyncio.TaskGroup() as callers:
            for index in range(64):
                callers.create_task(call_until_refused(where, (ONE, MANY)[index % 2], outcomes, busy))
            await busy.wait()
            await until(lambda: service.taken >= 64)
            signal.raise_signal(number)
        await task
    assert service.taken == service.finished == outcomes["answered"]
    return outcomes


@pytest.mark.parametrize("transport", ["tcp", "unix"])
@pytest.mark.parametrize("http2", SPEAKERS)
async def test_64_callers_have_every_call_answered_or_refused(
    transport: str, http2: str, tmp_path: Path
) -> None:
    number = SIGNALS[len(transport + http2) % 2]
    outcomes = await stopped_under_load(place(transport, tmp_path), number, http2)
    assert set(outcomes) == {"answered", "refused"}
    assert outcomes["answered"] >= 64
    assert outcomes["refused"] == 64


@pytest.mark.long
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("transport", ["tcp", "unix"])
@pytest.mark.parametrize("http2", SPEAKERS)
async def test_64_callers_have_every_call_answered_or_refused_time_and_again(
    number: signal.Signals, transport: str, http2: str, tmp_path: Path
) -> None:
    for _ in range(25):
        outcomes = await stopped_under_load(place(transport, tmp_path), number, http2)
        assert set(outcomes) == {"answered", "refused"}
        assert outcomes["refused"] == 64


@pytest.mark.parametrize("http2", SPEAKERS)
async def test_64_calls_on_one_channel_of_ours_are_answered_or_refused(http2: str) -> None:
    service = Books()
    outcomes: Counter[str] = Counter()

    async def caller(stub: ChannelStub) -> None:
        while True:
            try:
                await stub.one(EventBook())
            except ClientError as error:
                outcomes["refused" if error.is_connection_error() else repr(error)] += 1
                return
            outcomes["answered"] += 1

    async with asyncio.timeout(60), running(service, "127.0.0.1:0", http2=http2) as (handle, task):
        channel = Channel(handle.server.addresses[0])
        stub = ChannelStub(channel, Service("test.Books", {"One": Rpc(ONE, "One", EventBook, EventBook)}))
        async with asyncio.TaskGroup() as callers:
            for _ in range(64):
                callers.create_task(caller(stub))
            await until(lambda: service.taken >= 64)
            signal.raise_signal(signal.SIGTERM)
        await channel.aclose()
        await task
    assert set(outcomes) == {"answered", "refused"}
    assert service.finished == outcomes["answered"] >= 64


@pytest.mark.parametrize("http2", SPEAKERS)
async def test_health_says_not_serving_while_the_port_is_still_open(
    http2: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        serving, "NOTICE", 2.0
    )  # on a busy machine 0.1 s are over before anybody has connected

    async def status(peer: Peer) -> int:
        stream = peer.request(CHECK, b"")
        await peer.answer(stream)
        return int(decode(HealthCheckResponse, peer.body(stream)[5:]).status)

    async with asyncio.timeout(60), running(Books(), "127.0.0.1:0", http2=http2) as (handle, task):
        async with await connected(handle.server.addresses[0]) as peer:
            while await status(peer) != 1:
                pass
            signal.raise_signal(signal.SIGTERM)
            while await status(peer) != 2:
                pass
            async with await connected(handle.server.addresses[0]) as newcomer:
                assert await status(newcomer) == 2
        await task


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


async def silent(address: str, stop: asyncio.Event) -> None:
    """Connects, and that is all."""
    async with raw(address) as _:
        await stop.wait()


async def half_a_preface(address: str, stop: asyncio.Event) -> None:
    async with raw(address) as write:
        write(PREFACE[:10])
        await stop.wait()


async def half_a_frame(address: str, stop: asyncio.Event) -> None:
    async with raw(address) as write:
        write(PREFACE + SETTINGS + b"\0\0\x40\1\4\0")
        await stop.wait()


async def half_the_headers(address: str, stop: asyncio.Event) -> None:
    """A header block without its end."""
    async with raw(address) as write:
        write(PREFACE + SETTINGS + b"\0\0\1\1\0\0\0\0\1\x83")
        await stop.wait()


async def trickling_headers(address: str, stop: asyncio.Event) -> None:
    """Sends the rest of its headers byte by byte, and is never done."""
    async with raw(address) as write:
        write(PREFACE + SETTINGS + b"\0\x40\0\1\4\0\0\0\1")
        while not stop.is_set():
            write(b"\x83")
            await asyncio.sleep(0.01)


async def trickling_message(address: str, stop: asyncio.Event) -> None:
    async with await connected(address) as peer:
        stream = peer.request(ONE)
        data = framed(bytes(4000))
        for start in range(0, len(data) - 1, 1):
            if stop.is_set() or not await _told(peer, stream, data[start : start + 1]):
                return
            await asyncio.sleep(0.01)


async def half_a_message(address: str, stop: asyncio.Event) -> None:
    async with await connected(address) as peer:
        await _told(peer, peer.request(ONE), framed(bytes(100))[:50])
        await stop.wait()


async def reading_nothing(address: str, stop: asyncio.Event) -> None:
    """Asks for a large answer and never takes it from its socket."""
    async with await connected(address) as peer:
        peer.h2.update_settings({4: 2**31 - 1})
        peer.h2.increment_flow_control_window(2**30)
        peer.request(LARGE, b"")
        await stop.wait()


async def without_window(address: str, stop: asyncio.Event) -> None:
    """Lets the server send no byte of its answers."""
    async with await connected(address) as peer:
        peer.h2.update_settings({4: 0})
        peer.request(ONE, encode(EventBook(cover=Cover(domain="d"))))
        peer.request(MANY, encode(EventBook(cover=Cover(domain="d"))))
        await stop.wait()


async def pinging(address: str, stop: asyncio.Event) -> None:
    async with await connected(address) as peer:
        while not stop.is_set():
            peer.h2.ping(b"12345678")
            peer.flush()
            await asyncio.sleep(0.01)


async def _told(peer: Peer, stream: int, data: bytes) -> bool:
    peer.h2.send_data(stream, data)
    peer.flush()
    await asyncio.sleep(0)
    return True


@asynccontextmanager
async def raw(address: str) -> AsyncIterator[Callable[[bytes], None]]:
    if address.startswith("unix:"):
        _, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
    try:
        yield writer.write
    finally:
        writer.transport.abort()


SLOW: tuple[Callable[[str, asyncio.Event], Awaitable[None]], ...] = (
    silent,
    half_a_preface,
    half_a_frame,
    half_the_headers,
    trickling_headers,
    trickling_message,
    half_a_message,
    reading_nothing,
    without_window,
    pinging,
)


@pytest.mark.parametrize("transport", ["tcp", "unix"])
@pytest.mark.parametrize("http2", SPEAKERS)
async def test_no_slow_client_holds_the_server_past_its_grace(
    http2: str, transport: str, tmp_path: Path
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with running(Books(), place(transport, tmp_path), http2=http2, grace=0.4) as (handle, task):
        where = handle.server.addresses[0]
        clients = [asyncio.ensure_future(client(where, stop)) for client in SLOW]
        await until(lambda: handle.server.connections == len(SLOW))
        await asyncio.sleep(0.05)
        start = loop.time()
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(task, 60)
        assert loop.time() - start < 30
        assert handle.server.connections == 0
        stop.set()
        await asyncio.gather(*clients, return_exceptions=True)
