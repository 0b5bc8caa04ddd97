"""What is tried again after a failure, and what is not."""

import asyncio

import h2.errors
import h2.events
import pytest
from grpclib.const import Status

from angzarr.client import CommandHandlerClient, QueryClient
from angzarr.errors import GRPCError, OutcomeUnknownError, TransportError
from angzarr.messages import CommandRequest, EventBook, Query
from angzarr.retry import ExponentialBackoffRetry
from tests.client.servers import free_port
from tests.faults.clients import (
    OK,
    QUICK,
    client_of,
    closed_at_once,
    command,
    killed,
    noticing,
    resetting,
    saying,
)
from tests.faults.peers import BOOK, Peer, Script, answering, scripted, unharmed


async def test_a_query_is_retried_on_a_new_connection_after_a_kill() -> None:
    async with client_of(killed, killed, answering, retry=QUICK) as client:
        assert await client.get_event_book(Query()) == BOOK


async def test_a_command_is_not_retried_after_a_kill() -> None:
    async with client_of(killed, answering, retry=QUICK) as client:
        with pytest.raises(OutcomeUnknownError):
            await command(client)


async def test_retry_commands_opts_in_to_retrying_after_a_kill() -> None:
    async with client_of(killed, killed, answering, retry=QUICK, retry_commands=True) as client:
        await command(client)


@pytest.mark.parametrize("then", [resetting(h2.errors.ErrorCodes.REFUSED_STREAM), closed_at_once])
async def test_a_command_stays_unknown_when_retries_after_a_kill_never_arrive(then: Script) -> None:
    async with client_of(killed, then, retry=QUICK, retry_commands=True) as client:
        with pytest.raises(OutcomeUnknownError) as raised:
            await command(client)
    assert raised.value.grpc_code is Status.UNAVAILABLE
    assert raised.value.is_connection_error()


async def test_a_refusal_after_a_kill_says_nothing_about_the_attempt_before() -> None:
    stale = saying([*OK, ("grpc-status", "9"), ("grpc-message", "stale")])
    async with client_of(killed, stale, retry=QUICK, retry_commands=True) as client:
        with pytest.raises(OutcomeUnknownError) as raised:
            await command(client)
    assert raised.value.is_precondition_failed()
    assert raised.value.grpc_details == "stale"


async def test_a_deadline_between_retries_leaves_the_outcome_of_the_first_unknown() -> None:
    policy = ExponentialBackoffRetry(min_delay=0.05, max_delay=0.05, max_attempts=50)
    refused = resetting(h2.errors.ErrorCodes.REFUSED_STREAM)
    async with client_of(killed, refused, retry=policy, retry_commands=True) as client:
        with pytest.raises(OutcomeUnknownError):
            await command(client, timeout=0.2)


async def test_retried_commands_that_never_arrive_were_not_executed() -> None:
    refused = resetting(h2.errors.ErrorCodes.REFUSED_STREAM)
    async with client_of(refused, retry=QUICK, retry_commands=True) as client:
        with pytest.raises(TransportError) as raised:
            await command(client)
    assert not isinstance(raised.value, OutcomeUnknownError)


async def test_a_refused_stream_never_reached_the_server_so_a_command_is_retried() -> None:
    async def refuse_once(peer: Peer) -> None:
        peer.h2.reset_stream(await peer.request(), h2.errors.ErrorCodes.REFUSED_STREAM)
        await peer.flush()
        await answering(peer)

    async with client_of(refuse_once, retry=QUICK) as client:
        await command(client)


async def test_a_command_that_is_always_refused_was_certainly_not_executed() -> None:
    async with client_of(resetting(h2.errors.ErrorCodes.REFUSED_STREAM), retry=QUICK) as client:
        with pytest.raises(TransportError) as raised:
            await command(client)
        assert not isinstance(raised.value, OutcomeUnknownError)
        assert "REFUSED_STREAM" in raised.value.details["cause"]


async def test_refused_then_up_is_survived_by_connect() -> None:
    port = free_port()
    failed, policy = noticing(2)
    async with unharmed(), asyncio.TaskGroup() as group:

        async def use() -> None:
            async with QueryClient.connect(f"127.0.0.1:{port}", policy) as client:
                assert await client.get_event_book(Query()) == BOOK

        using = group.create_task(use())
        await failed.wait()
        async with scripted(answering, port=port):
            await using


async def test_refused_then_up_is_survived_by_a_lazy_clients_command() -> None:
    port = free_port()
    failed, policy = noticing(2)
    async with (
        unharmed(),
        CommandHandlerClient.connect(f"127.0.0.1:{port}", policy, lazy=True) as client,
        asyncio.TaskGroup() as group,
    ):
        call = group.create_task(client.handle_command(CommandRequest()))
        await failed.wait()
        async with scripted(answering, port=port):
            await call


async def test_a_stream_that_breaks_after_its_first_answer_is_not_begun_again() -> None:
    connections = 0

    async def break_off(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        stream = await peer.request()
        peer.h2.send_headers(stream, OK)
        peer.h2.send_data(stream, b"\0\0\0\0\0")
        await peer.flush()
        await asyncio.sleep(0.05)
        peer.writer.transport.abort()

    async with client_of(break_off, retry=QUICK) as client:
        books = client.query.stream_events(Query())
        assert await anext(books) == EventBook()
        with pytest.raises(TransportError):
            await anext(books)
    assert connections == 1


async def test_a_stream_that_breaks_before_its_first_answer_is_begun_again() -> None:
    async with client_of(killed, answering, retry=QUICK) as client:
        assert await client.get_events(Query()) == [BOOK]


@pytest.mark.parametrize("pushback", ["-1", "soon"])
async def test_a_server_that_wants_no_retry_gets_none(pushback: str) -> None:
    refusal = saying([*OK, ("grpc-status", "14"), ("grpc-retry-pushback-ms", pushback)])
    retried: list[int] = []
    policy = ExponentialBackoffRetry(min_delay=0.001, on_retry=lambda index, error: retried.append(index))
    async with client_of(refusal, retry=policy) as client:
        with pytest.raises(GRPCError):
            await client.get_event_book(Query())
    assert retried == []


async def test_a_server_that_wants_a_later_retry_gets_it() -> None:
    async def busy_once(peer: Peer) -> None:
        stream = await peer.request()
        refusal = [*OK, ("grpc-status", "14"), ("grpc-retry-pushback-ms", "150")]
        peer.h2.send_headers(stream, refusal, end_stream=True)
        await peer.flush()
        await answering(peer)

    async with client_of(busy_once, retry=QUICK) as client:
        started = asyncio.get_running_loop().time()
        assert await client.get_event_book(Query()) == BOOK
        assert asyncio.get_running_loop().time() - started >= 0.15


async def test_retries_cannot_outspend_the_budget() -> None:
    refusal = saying([*OK, ("grpc-status", "14")])
    retried: list[int] = []
    policy = ExponentialBackoffRetry(
        min_delay=0.0, max_delay=0.0, max_attempts=10, on_retry=lambda index, error: retried.append(index)
    )
    async with client_of(refusal, retry=policy) as client:
        for _ in range(20):
            with pytest.raises(GRPCError):
                await client.get_event_book(Query())
    assert len(retried) == 90
