"""What a call does when the network or the server fails under it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Literal

import anyio
import h2.errors
import h2.events
import pytest
from grpclib.const import Status
from h2.settings import SettingCodes

from angzarr.client import ChannelConfig, CommandHandlerClient, DomainClient, QueryClient
from angzarr.errors import ClientError, ConnectionError, GRPCError, OutcomeUnknownError, TransportError
from angzarr.messages import CommandRequest, EventBook, Query
from angzarr.retry import ExponentialBackoffRetry
from tests.client.servers import free_port
from tests.faults.peers import BOOK, Peer, Proxy, Script, answering, scripted, unharmed

ONCE = ExponentialBackoffRetry(max_attempts=1)
QUICK = ExponentialBackoffRetry(min_delay=0.001, max_delay=0.01, max_attempts=5)


_below: list[Literal["lean", "h2"]] = ["lean"]


@pytest.fixture(autouse=True, params=["lean", "h2"])
def http2(request: pytest.FixtureRequest) -> None:
    """Every test runs over our HTTP/2 and over h2's."""
    _below[0] = request.param


@asynccontextmanager
async def client_of(
    *scripts: Script,
    retry: ExponentialBackoffRetry = ONCE,
    config: ChannelConfig | None = None,
    retry_commands: bool = False,
    lazy: bool = False,
) -> AsyncIterator[DomainClient]:
    below = replace(config or ChannelConfig(), http2=_below[0])
    async with (
        unharmed(),
        scripted(*scripts) as endpoint,
        DomainClient.connect(
            endpoint, retry, config=below, retry_commands=retry_commands, lazy=lazy
        ) as client,
    ):
        yield client


async def command(client: DomainClient, timeout: float | None = None) -> object:
    return await client.command_handler.handle_command(CommandRequest(), timeout)


async def killed(peer: Peer) -> None:
    await peer.request()
    peer.writer.transport.abort()


async def closed_at_once(peer: Peer) -> None:
    peer.writer.transport.abort()


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.until_closed()


def resetting(code: h2.errors.ErrorCodes) -> Script:
    async def script(peer: Peer) -> None:
        while True:
            peer.h2.reset_stream(await peer.request(), code)
            await peer.flush()

    return script


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
        await asyncio.sleep(0.05)
        await command(client)


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


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (h2.errors.ErrorCodes.INTERNAL_ERROR, Status.INTERNAL),
        (h2.errors.ErrorCodes.CANCEL, Status.CANCELLED),
        (h2.errors.ErrorCodes.ENHANCE_YOUR_CALM, Status.RESOURCE_EXHAUSTED),
        (h2.errors.ErrorCodes.INADEQUATE_SECURITY, Status.PERMISSION_DENIED),
    ],
)
async def test_a_reset_stream_is_a_status(code: h2.errors.ErrorCodes, status: Status) -> None:
    async with client_of(resetting(code), retry=QUICK) as client:
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query())
        assert raised.value.grpc_code is status
        assert code.name in raised.value.grpc_details
        with pytest.raises(OutcomeUnknownError):
            await command(client)


async def test_a_reset_leaves_the_cancellation_count_alone_inside_asyncio_timeout() -> None:
    async with client_of(resetting(h2.errors.ErrorCodes.INTERNAL_ERROR)) as client:
        async with asyncio.timeout(5):
            with pytest.raises(GRPCError):
                await client.get_event_book(Query())
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep(5)
        assert scope.cancelled_caught


async def test_goaway_above_a_call_lets_it_finish_and_sends_the_next_elsewhere() -> None:
    async def leave(peer: Peer) -> None:
        stream = await peer.request()
        await peer.goaway(stream)
        await peer.answer(stream)
        await peer.until_closed()

    async with client_of(leave, answering) as client:
        await command(client)
        await command(client)


async def test_goaway_below_a_call_means_it_was_never_begun() -> None:
    async def leave(peer: Peer) -> None:
        await peer.request()
        await peer.goaway(0)
        await peer.until_closed()

    async with client_of(leave, answering, retry=QUICK) as client:
        await command(client)


async def test_goaway_below_a_call_without_retries_says_that_nothing_happened() -> None:
    async def leave(peer: Peer) -> None:
        await peer.request()
        await peer.goaway(0)
        await peer.until_closed()

    async with client_of(leave) as client:
        with pytest.raises(TransportError) as raised:
            await command(client)
        assert not isinstance(raised.value, OutcomeUnknownError)
        assert "GOAWAY" in raised.value.details["cause"]


async def test_goaway_between_two_calls_under_way_ends_the_later_one_only() -> None:
    async def leave(peer: Peer) -> None:
        first = await peer.request()
        await peer.request()
        await peer.goaway(first)
        await peer.answer(first)
        await peer.until_closed()

    async with client_of(leave, answering, retry=QUICK) as client, asyncio.TaskGroup() as group:
        group.create_task(command(client))
        group.create_task(command(client))


async def test_goaway_between_calls_is_not_even_noticed() -> None:
    async def leave(peer: Peer) -> None:
        stream = await peer.request()
        await peer.answer(stream)
        await peer.goaway(stream)
        await peer.until_closed()

    async with client_of(leave, answering) as client:
        await command(client)
        await asyncio.sleep(0.05)
        await command(client)


async def test_a_graceful_goaway_comes_in_two_steps() -> None:
    async def leave(peer: Peer) -> None:
        stream = await peer.request()
        await peer.goaway(2**31 - 1)
        await peer.goaway(stream)
        await peer.answer(stream)
        await peer.until_closed()

    async with client_of(leave, answering) as client:
        assert await client.get_event_book(Query()) == BOOK
        assert await client.get_event_book(Query()) == BOOK


def noticing(failures: int) -> tuple[asyncio.Event, ExponentialBackoffRetry]:
    """An event that is set after so many failures, and the policy that sets it."""
    failed = asyncio.Event()

    def on_retry(index: int, error: Exception) -> None:
        assert isinstance(error, ConnectionError)
        if index + 1 == failures:
            failed.set()

    return failed, ExponentialBackoffRetry(min_delay=0.02, max_attempts=50, on_retry=on_retry)


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


async def test_a_slow_server_runs_into_the_deadline() -> None:
    async with client_of(silent) as client:
        started = asyncio.get_running_loop().time()
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query(), timeout=0.1)
        assert raised.value.grpc_code is Status.DEADLINE_EXCEEDED
        assert not isinstance(raised.value, OutcomeUnknownError)
        assert 0.1 <= asyncio.get_running_loop().time() - started < 1.0
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0


async def test_a_deadline_leaves_a_commands_outcome_unknown() -> None:
    async with client_of(silent) as client:
        with pytest.raises(OutcomeUnknownError) as raised:
            await command(client, timeout=0.05)
        assert raised.value.grpc_code is Status.DEADLINE_EXCEEDED


async def test_a_deadline_travels_as_grpc_timeout() -> None:
    seen: list[str] = []

    async def look(peer: Peer) -> None:
        stream = await peer.request()
        seen.append(peer.headers[stream]["grpc-timeout"])
        await peer.answer(stream)
        await peer.until_closed()

    async with client_of(look) as client:
        await client.get_event_book(Query(), timeout=5)
    assert seen[0].endswith("m")
    assert 4000 < int(seen[0][:-1]) <= 5000


async def test_a_deadline_covers_all_attempts() -> None:
    policy = ExponentialBackoffRetry(min_delay=0.05, max_delay=0.05, max_attempts=1000)
    async with client_of(killed, retry=policy) as client:
        started = asyncio.get_running_loop().time()
        with pytest.raises(ClientError):
            await client.get_event_book(Query(), timeout=0.3)
        assert asyncio.get_running_loop().time() - started < 0.4


async def test_the_callers_cancellation_resets_the_stream() -> None:
    ended = asyncio.Event()

    async def watch(peer: Peer) -> None:
        stream = await peer.request()
        while data := await peer.reader.read(65536):
            for event in peer.h2.receive_data(data):
                if isinstance(event, h2.events.StreamReset) and event.stream_id == stream:
                    ended.set()

    async with client_of(watch) as client:
        with anyio.move_on_after(0.05) as scope:
            await client.get_event_book(Query())
        assert scope.cancelled_caught
        async with asyncio.timeout(2):
            await ended.wait()


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
        await asyncio.sleep(0.05)
        await client.close()
        [error] = await call
    assert isinstance(error, TransportError)
    assert error.details["cause"] == "the client was closed"


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
async def test_garbage_instead_of_http2_is_a_transport_error(garbage: bytes) -> None:
    async def spit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(garbage)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(spit, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        config = ChannelConfig(http2=_below[0])
        async with QueryClient.connect(f"127.0.0.1:{port}", ONCE, config=config) as client:
            with pytest.raises(TransportError):
                await client.get_event_book(Query(), timeout=2)


def saying(
    headers: list[tuple[str, str]], body: bytes = b"", trailers: list[tuple[str, str]] | None = None
) -> Script:
    async def script(peer: Peer) -> None:
        while True:
            stream = await peer.request()
            peer.h2.send_headers(stream, headers, end_stream=not body and trailers is None)
            if body:
                peer.h2.send_data(stream, body, end_stream=trailers is None)
            if trailers is not None:
                peer.h2.send_headers(stream, trailers, end_stream=True)
            await peer.flush()

    return script


OK = [(":status", "200"), ("content-type", "application/grpc")]
DONE = [("grpc-status", "0")]


@pytest.mark.parametrize(
    ("script", "status", "text"),
    [
        (saying([(":status", "503"), ("content-type", "text/html")], b"<h1>"), Status.UNAVAILABLE, "503"),
        (saying([(":status", "404")]), Status.UNIMPLEMENTED, "404"),
        (saying([(":status", "500")]), Status.UNKNOWN, "500"),
        (saying([(":status", "200"), ("content-type", "text/html")]), Status.UNKNOWN, "text/html"),
        (saying([(":status", "200")]), Status.UNKNOWN, "content-type"),
        (saying(OK, b"\0\0\0\0\0"), Status.UNKNOWN, "no grpc-status"),
        (saying(OK, b"\0\0\0\0\0", [("grpc-status", "many")]), Status.UNKNOWN, "'many'"),
        (saying(OK, b"\0\0\0\0\0", [("grpc-status", "99")]), Status.UNKNOWN, "'99'"),
        (saying(OK, b"", DONE), Status.INTERNAL, "no message"),
        (saying(OK, b"\0\0\0\0\x09abc", DONE), Status.INTERNAL, "cut off"),
        (saying(OK, b"\0\0", DONE), Status.INTERNAL, "cut off"),
        (saying(OK, b"\x01\0\0\0\x01a", DONE), Status.INTERNAL, "compressed"),
        (saying(OK, b"\0\0\0\0\x02\xff\xff", DONE), Status.INTERNAL, "not a "),
        (saying(OK, b"\0\x7f\xff\xff\xff", DONE), Status.RESOURCE_EXHAUSTED, "max_message_bytes"),
    ],
)
async def test_an_answer_that_is_not_one_is_a_status(script: Script, status: Status, text: str) -> None:
    async with client_of(script) as client:
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query(), timeout=5)
        assert raised.value.grpc_code is status
        assert text in raised.value.grpc_details
        with pytest.raises(OutcomeUnknownError):
            await command(client, timeout=5)


async def test_frames_of_an_unknown_type_are_ignored() -> None:
    async def odd(peer: Peer) -> None:
        stream = await peer.request()
        await peer.write(b"\x00\x00\x03\xbe\x00" + (0).to_bytes(4) + b"abc")
        await peer.answer(stream)
        await peer.until_closed()

    async with client_of(odd) as client:
        assert await client.get_event_book(Query()) == BOOK


async def test_an_informational_answer_before_the_real_one_is_ignored() -> None:
    async def hint(peer: Peer) -> None:
        stream = await peer.request()
        peer.h2.send_headers(stream, [(":status", "103")])
        await peer.answer(stream)
        await peer.until_closed()

    async with client_of(hint) as client:
        assert await client.get_event_book(Query()) == BOOK


async def test_a_half_open_connection_is_found_by_keepalive() -> None:
    config = ChannelConfig(keepalive_time=0.1, keepalive_timeout=0.1, http2=_below[0])
    async with (
        unharmed(),
        scripted(answering) as target,
        Proxy(target).running() as proxy,
        QueryClient.connect(proxy.endpoint, ONCE, config=config) as client,
    ):
        assert await client.get_event_book(Query()) == BOOK
        proxy.dropping = True
        with pytest.raises(TransportError) as raised:
            await client.get_event_book(Query(), timeout=5)
        assert "keepalive" in raised.value.details["cause"]
        proxy.dropping = False
        assert await client.get_event_book(Query()) == BOOK


async def test_an_idle_connection_is_probed_again_and_again() -> None:
    config = ChannelConfig(keepalive_time=0.02, keepalive_timeout=1)
    pings, enough = 0, asyncio.Event()

    async def count(peer: Peer) -> None:
        nonlocal pings
        while data := await peer.reader.read(65536):
            pings += sum(isinstance(event, h2.events.PingReceived) for event in peer.h2.receive_data(data))
            if pings == 6:
                enough.set()
            await peer.flush()

    async with client_of(count, config=config), asyncio.timeout(5):
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
