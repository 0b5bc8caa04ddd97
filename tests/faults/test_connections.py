"""Connections that break, are shared, fill up, go silent or are closed."""

import asyncio

import h2.errors
import h2.events
import pytest
from grpclib.const import Status
from h2.settings import SettingCodes

from angzarr.client import ChannelConfig, DomainClient, QueryClient
from angzarr.errors import ClientError, ConnectionError, OutcomeUnknownError, TransportError
from angzarr.messages import Query
from tests.client.servers import free_port
from tests.faults.clients import (
    ONCE,
    a_few_turns,
    below,
    client_of,
    closed_at_once,
    command,
    killed,
    silent,
)
from tests.faults.peers import BOOK, Peer, Proxy, answering, scripted, unharmed


async def test_a_server_killed_in_mid_call_is_a_transport_error_for_a_query() -> None:
    async with client_of(killed) as client:
        with pytest.raises(TransportError) as raised:
            await client.get_event_book(Query())
        assert raised.value.is_connection_error()
        assert "connection lost" in raised.value.details["cause"]


async def test_a_server_killed_in_mid_call_leaves_a_commands_outcome_unknown() -> None:
    async with client_of(killed) as client:
        with pytest.raises(OutcomeUnknownError) as raised:
            await command(client)
        assert raised.value.is_connection_error()
        assert raised.value.grpc_code is Status.UNAVAILABLE
        assert isinstance(raised.value.__cause__, TransportError)


async def test_the_next_call_after_a_kill_gets_a_new_connection() -> None:
    async with client_of(killed, answering) as client:
        with pytest.raises(OutcomeUnknownError):
            await command(client)
        await command(client)


async def test_a_connection_closed_between_calls_is_replaced_without_a_failure() -> None:
    async def one_answer(peer: Peer) -> None:
        await peer.answer(await peer.request())
        peer.writer.close()
        await peer.until_closed()

    async with client_of(one_answer, answering) as client:
        await command(client)
        await a_few_turns()
        await command(client)


async def test_a_thousand_concurrent_calls_share_one_connection() -> None:
    connections = 0

    async def count(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        await answering(peer)

    async with client_of(count) as client:
        books = await asyncio.gather(*(client.get_event_book(Query()) for _ in range(1000)))
    assert books == [BOOK] * 1000
    assert connections == 1


async def test_a_thousand_calls_of_a_lazy_client_connect_once() -> None:
    connections = 0

    async def count(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        await answering(peer)

    async with client_of(count, lazy=True) as client:
        await asyncio.gather(*(client.get_event_book(Query()) for _ in range(1000)))
    assert connections == 1


async def test_a_thousand_calls_of_a_lazy_client_fail_together_when_nobody_listens() -> None:
    async with unharmed(), DomainClient.connect(f"127.0.0.1:{free_port()}", ONCE, lazy=True) as client:
        calls = (client.get_event_book(Query()) for _ in range(1000))
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} == {ConnectionError}


async def test_more_calls_than_the_server_takes_at_once_wait_their_turn() -> None:
    async def narrow(peer: Peer) -> None:
        peer.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 2})
        await peer.flush()
        await answering(peer)

    async with client_of(narrow) as client:
        await client.get_event_book(Query())
        books = await asyncio.gather(*(client.get_event_book(Query()) for _ in range(50)))
    assert books == [BOOK] * 50


async def test_calls_that_wait_for_their_turn_hear_of_the_end_of_the_connection() -> None:
    async def narrow_then_dead(peer: Peer) -> None:
        peer.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 1})
        await peer.flush()
        await peer.answer(await peer.request())
        await peer.request()
        peer.writer.transport.abort()

    async with client_of(narrow_then_dead, closed_at_once) as client:
        await client.get_event_book(Query())
        calls = (client.get_event_book(Query()) for _ in range(5))
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, ClientError) and result.is_connection_error() for result in results)


async def test_closing_the_client_ends_its_calls() -> None:
    async with client_of(silent) as client:
        call = asyncio.gather(client.get_event_book(Query()), return_exceptions=True)
        await a_few_turns()
        await client.close()
        [error] = await call
    assert isinstance(error, TransportError)
    assert error.details["cause"] == "the client was closed"


async def test_a_half_open_connection_is_found_by_keepalive() -> None:
    config = ChannelConfig(keepalive_time=0.1, keepalive_timeout=0.5, http2=below[0])
    async with (
        unharmed(),
        scripted(answering) as target,
        Proxy(target).running() as proxy,
        QueryClient.connect(proxy.endpoint, ONCE, config=config) as client,
    ):
        assert await client.get_event_book(Query()) == BOOK
        proxy.dropping = True
        with pytest.raises(TransportError) as raised:
            await client.get_event_book(Query(), timeout=30)
        assert "keepalive" in raised.value.details["cause"]
        proxy.dropping = False
        assert await client.get_event_book(Query()) == BOOK


async def test_calls_without_timeout_end_on_a_half_open_connection_without_keepalive() -> None:
    config = ChannelConfig(probe_after=0.1, keepalive_timeout=0.5, http2=below[0])
    async with (
        unharmed(),
        scripted(answering) as target,
        Proxy(target).running() as proxy,
        DomainClient.connect(proxy.endpoint, ONCE, config=config) as client,
        asyncio.timeout(30),
    ):
        await command(client)
        proxy.dropping = True
        calls = asyncio.gather(command(client), client.get_event_book(Query()), return_exceptions=True)
        outcomes = [type(outcome) for outcome in await calls]
        proxy.dropping = False
        await command(client)
    assert outcomes == [OutcomeUnknownError, TransportError]


async def test_an_idle_connection_is_probed_again_and_again() -> None:
    config = ChannelConfig(keepalive_time=0.02, keepalive_timeout=30)
    pings, enough = 0, asyncio.Event()

    async def count(peer: Peer) -> None:
        nonlocal pings
        while data := await peer.reader.read(65536):
            pings += sum(isinstance(event, h2.events.PingReceived) for event in peer.h2.receive_data(data))
            if pings == 6:
                enough.set()
            await peer.flush()

    async with client_of(count, config=config), asyncio.timeout(30):
        await enough.wait()


async def test_no_pings_without_keepalive_time() -> None:
    pings = 0

    async def count(peer: Peer) -> None:
        nonlocal pings
        while data := await peer.reader.read(65536):
            pings += sum(isinstance(event, h2.events.PingReceived) for event in peer.h2.receive_data(data))
            await peer.flush()

    async with client_of(count):
        await asyncio.sleep(0.1)
    assert pings == 0
