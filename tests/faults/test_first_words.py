"""What a server must say before a connection counts as open, and what happens when it says something else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from angzarr.client import ChannelConfig, QueryClient
from angzarr.errors import ConnectionError, GRPCError
from angzarr.messages import Query
from angzarr.retry import ExponentialBackoffRetry
from tests.faults.clients import ONCE, below
from tests.faults.peers import BOOK, Peer, answering, unharmed

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[str]:
    """A TCP server that does as told with every connection; the value is its endpoint."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
            await reader.read()
        except (OSError, EOFError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with unharmed(), server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def spitting(garbage: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(garbage)

    return talk


def config(connect_timeout: float = 5.0) -> ChannelConfig:
    return ChannelConfig(http2=below[0], connect_timeout=connect_timeout)


async def test_a_peer_that_accepts_and_never_speaks_is_a_connection_error() -> None:
    async with listening(mute) as endpoint:
        with pytest.raises(ConnectionError) as raised:
            await QueryClient.connect(endpoint, ONCE, config=config(0.1))
    assert raised.value.code == "CONNECTION_FAILED"
    assert raised.value.details == {
        "endpoint": endpoint,
        "cause": "connected, but no HTTP/2 SETTINGS from the server within 0.1 s",
    }


async def test_a_mute_peer_is_tried_again_as_the_policy_says() -> None:
    policy = ExponentialBackoffRetry(min_delay=0.001, max_delay=0.001, max_attempts=3)
    async with listening(mute) as endpoint:
        with pytest.raises(ConnectionError) as raised:
            await QueryClient.connect(endpoint, policy, config=config(0.05))
    assert raised.value.code == "CONNECTION_FAILED_MAX_RETRIES"


async def test_a_lazy_clients_call_ends_at_its_deadline_before_a_mute_peer() -> None:
    async with (
        listening(mute) as endpoint,
        QueryClient.connect(endpoint, ONCE, lazy=True, config=config()) as client,
    ):
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query(), timeout=0.1)
    assert raised.value.grpc_details == "no connection within 0.1 s"


async def test_giving_up_a_connect_leaves_nothing_behind() -> None:
    async with listening(mute) as endpoint:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await QueryClient.connect(endpoint, ONCE, config=config())


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0" * 100,
        b"\xff" * 100,
        b"SSH-2.0-OpenSSH_9.6\r\n",
        bytes(range(256)) * 40,
    ],
)
async def test_what_speaks_another_protocol_is_told_at_once_and_not_tried_again(garbage: bytes) -> None:
    async with listening(spitting(garbage)) as endpoint:
        with pytest.raises(ConnectionError) as raised:
            await QueryClient.connect(endpoint, config=config())
    assert raised.value.code == "CONNECTION_FAILED"
    assert raised.value.details["endpoint"] == endpoint
    assert "does not speak HTTP/2" in raised.value.details["cause"]


async def test_a_server_that_hangs_up_before_its_settings_is_a_connection_error() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with listening(hang_up) as endpoint:
        with pytest.raises(ConnectionError) as raised:
            await QueryClient.connect(endpoint, ONCE, config=config())
    assert "connection lost" in raised.value.details["cause"]


async def test_settings_that_come_in_pieces_open_the_connection() -> None:
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in bytes(3) + b"\x04" + bytes(5):
            writer.write(bytes((byte,)))
            await asyncio.sleep(0.001)

    async with listening(dribble) as endpoint, QueryClient.connect(endpoint, ONCE, config=config()):
        pass


async def test_a_slow_greeting_is_waited_for() -> None:
    async def yawn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        peer = Peer(reader, writer)
        await peer.start()
        await answering(peer)

    async with listening(yawn) as endpoint, QueryClient.connect(endpoint, ONCE, config=config()) as client:
        assert await client.get_event_book(Query()) == BOOK
