"""Names with several addresses: 127.0.0.2, .3 and .4 stand for the pods of a headless service."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from angzarr.client import Channel, ChannelConfig, QueryClient
from angzarr.errors import ClientError, ConnectionError, TransportError
from angzarr.messages import Query
from angzarr.retry import ExponentialBackoffRetry
from tests.client.servers import free_port
from tests.faults.peers import Peer, unharmed

ROUND_ROBIN = ChannelConfig(balancing="round_robin")
QUICK = ExponentialBackoffRetry(min_delay=0.001, max_delay=0.01, max_attempts=20)


class Named(Channel):
    """A channel whose name server is a list."""

    names: list[str]
    lookups = 0

    async def addresses(self) -> list[str]:
        self.lookups += 1
        if not self.names:
            raise ConnectionError(details={"cause": "no such name"})
        return list(self.names)


class Pods:
    """Servers on several addresses of one port, which count their calls and connections."""

    def __init__(self) -> None:
        self.port = free_port()
        self.calls: Counter[str] = Counter()
        self.connections: Counter[str] = Counter()
        self._servers: dict[str, asyncio.Server] = {}
        self._writers: dict[str, list[asyncio.StreamWriter]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, address: str) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            self._writers.setdefault(address, []).append(writer)
            self.connections[address] += 1
            peer = Peer(reader, writer)
            try:
                await peer.start()
                while True:
                    stream = await peer.request()
                    self.calls[address] += 1
                    await peer.answer(stream)
            except (EOFError, OSError):
                pass
            finally:
                writer.transport.abort()
                self._tasks.discard(task)

        self._servers[address] = await asyncio.start_server(serve, address, self.port)

    async def stop(self, address: str) -> None:
        self._servers.pop(address).close()
        for writer in self._writers.pop(address, []):
            writer.transport.abort()

    async def close(self) -> None:
        for address in list(self._servers):
            await self.stop(address)
        if self._tasks:
            await asyncio.wait(self._tasks)


@asynccontextmanager
async def named(
    *addresses: str, config: ChannelConfig = ROUND_ROBIN
) -> AsyncIterator[tuple[QueryClient, Named, Pods]]:
    async with unharmed(), AsyncExitStack() as stack:
        pods = Pods()
        stack.push_async_callback(pods.close)
        for address in addresses:
            await pods.start(address)
        channel = Named(f"pods.test:{pods.port}", config)
        channel.names = list(addresses)
        stack.push_async_callback(channel.aclose)
        client = QueryClient.from_channel(channel, retry=QUICK)
        yield client, channel, pods


async def call(client: QueryClient, times: int) -> None:
    for _ in range(times):
        await client.get_event_book(Query())


async def test_calls_go_round_all_addresses() -> None:
    async with named("127.0.0.2", "127.0.0.3", "127.0.0.4") as (client, channel, pods):
        await call(client, 30)
        assert pods.calls == {"127.0.0.2": 10, "127.0.0.3": 10, "127.0.0.4": 10}
        assert set(pods.connections.values()) == {1}
        assert channel.lookups == 1


async def test_one_connection_is_the_default() -> None:
    async with unharmed():
        pods = Pods()
        await pods.start("127.0.0.1")
        async with QueryClient.connect(f"127.0.0.1:{pods.port}", QUICK) as client:
            await asyncio.gather(*(call(client, 5) for _ in range(5)))
        assert pods.connections == {"127.0.0.1": 1}
        await pods.close()


async def test_the_others_take_over_when_one_goes() -> None:
    async with named("127.0.0.2", "127.0.0.3") as (client, _, pods):
        await call(client, 2)
        await pods.stop("127.0.0.2")
        await call(client, 10)
        assert pods.calls["127.0.0.3"] == 11


async def test_an_address_that_does_not_answer_is_left_out() -> None:
    async with named("127.0.0.2") as (client, channel, pods):
        channel.names = ["127.0.0.2", "127.0.0.3"]
        await call(client, 4)
        assert pods.calls == {"127.0.0.2": 4}


async def test_the_name_is_looked_up_again_when_all_are_gone() -> None:
    async with named("127.0.0.2") as (client, channel, pods):
        await call(client, 1)
        await pods.stop("127.0.0.2")
        await pods.start("127.0.0.3")
        channel.names = ["127.0.0.3"]
        await call(client, 3)
        assert pods.calls == {"127.0.0.2": 1, "127.0.0.3": 3}


async def test_a_lost_address_is_tried_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("angzarr.client.balancing._SOONEST", 0.0)
    async with named("127.0.0.2", "127.0.0.3") as (client, _, pods):
        await call(client, 2)
        await pods.stop("127.0.0.2")
        await call(client, 2)
        await pods.start("127.0.0.2")
        async with asyncio.timeout(30):
            while pods.connections["127.0.0.2"] < 2:
                await call(client, 1)
        await call(client, 4)
        assert pods.calls["127.0.0.2"] >= 3


async def test_new_addresses_are_found_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("angzarr.client.balancing._LATEST", 0.0)
    async with named("127.0.0.2") as (client, channel, pods):
        await call(client, 1)
        await pods.start("127.0.0.3")
        channel.names.append("127.0.0.3")
        async with asyncio.timeout(30):
            while not pods.calls["127.0.0.3"]:
                await call(client, 1)


async def test_an_address_that_left_the_name_gets_no_new_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("angzarr.client.balancing._LATEST", 0.0)
    async with named("127.0.0.2", "127.0.0.3") as (client, channel, pods):
        await call(client, 2)
        channel.names.remove("127.0.0.2")
        async with asyncio.timeout(30):
            while len(channel._connections) > 1:
                await call(client, 1)
        before = pods.calls["127.0.0.2"]
        await call(client, 6)
        assert pods.calls["127.0.0.2"] == before


async def test_a_name_nobody_knows_is_a_connection_error() -> None:
    async with named("127.0.0.2") as (client, channel, _):
        channel.names = []
        client._calls.retry = ExponentialBackoffRetry(max_attempts=1)
        with pytest.raises(ConnectionError) as raised:
            await call(client, 1)
        assert raised.value.details == {"cause": "no such name"}


async def test_many_calls_at_once_look_up_once() -> None:
    async with named("127.0.0.2", "127.0.0.3") as (client, channel, pods):
        await asyncio.gather(*(call(client, 1) for _ in range(100)))
        assert channel.lookups == 1
        assert pods.connections == {"127.0.0.2": 1, "127.0.0.3": 1}
        assert pods.calls == {"127.0.0.2": 50, "127.0.0.3": 50}


async def test_a_real_name_is_resolved() -> None:
    channel = Channel("localhost:1310", ROUND_ROBIN)
    assert "127.0.0.1" in await channel.addresses()


async def test_an_unknown_real_name_is_a_connection_error() -> None:
    channel = Channel("host.invalid:1310", ROUND_ROBIN)
    with pytest.raises(ClientError) as raised:
        await channel.addresses()
    assert raised.value.details["endpoint"] == "host.invalid:1310"


async def test_closing_during_a_look_up_ends_the_calls_that_wait_for_it() -> None:
    asked = asyncio.Event()

    class Slow(Named):
        async def addresses(self) -> list[str]:
            asked.set()
            await asyncio.Event().wait()
            return []

    async with unharmed():
        channel = Slow("pods.test:1310", ROUND_ROBIN)
        call = asyncio.gather(
            QueryClient.from_channel(channel, retry=QUICK).get_event_book(Query()), return_exceptions=True
        )
        await asked.wait()
        await channel.aclose()
        [error] = await call
    assert isinstance(error, TransportError)
    assert error.details["cause"] == "the client is closed"


async def test_a_name_without_addresses_is_a_connection_error() -> None:
    class Empty(Named):
        async def addresses(self) -> list[str]:
            return []

    channel = Empty("pods.test:1310", ROUND_ROBIN)
    with pytest.raises(ConnectionError):
        await channel.connect(ExponentialBackoffRetry(max_attempts=1))
    await channel.aclose()


async def test_a_failed_connect_to_a_name_names_the_endpoint() -> None:
    channel = Named(f"pods.test:{free_port()}", ROUND_ROBIN)
    channel.names = ["127.0.0.2"]
    with pytest.raises(ConnectionError) as raised:
        await channel.connect(ExponentialBackoffRetry(min_delay=0.001, max_attempts=2))
    assert raised.value.code == "CONNECTION_FAILED_MAX_RETRIES"
    assert raised.value.details["endpoint"] == channel.endpoint.text
    await channel.aclose()
