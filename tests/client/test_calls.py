"""Retries, limits and metadata of calls over a connection."""

import asyncio
import contextlib
from typing import Any

import grpclib
import grpclib.client
import grpclib.events
import pytest
from grpclib.const import Status

from angzarr.client import (
    ChannelConfig,
    DomainClient,
    QueryClient,
)
from angzarr.client.calls import Method
from angzarr.client.writing import ClientConnection
from angzarr.errors import (
    ClientError,
    GRPCError,
    InvalidArgumentError,
    OutcomeUnknownError,
)
from angzarr.messages import (
    CommandRequest,
    CommandResponse,
    Cover,
    EventBook,
    Query,
    SequenceRange,
)
from angzarr.messages.services import COMMAND_HANDLER_COORDINATOR, EVENT_QUERY
from angzarr.retry import ExponentialBackoffRetry, RetryPolicy
from tests.client.servers import Servicer, answering, serving

TWICE = ExponentialBackoffRetry(min_delay=0.001, max_attempts=2)


async def _echo(request: Any) -> EventBook:
    return EventBook(cover=request.cover, next_sequence=3)


QUERIES = Servicer(EVENT_QUERY, get_event_book=answering(_echo))


def failing(error: grpclib.GRPCError) -> Servicer:
    async def refuse(request: Any) -> Any:
        raise error

    return Servicer(
        EVENT_QUERY,
        get_event_book=answering(refuse),
    )


def refusing_commands(error: grpclib.GRPCError) -> Servicer:
    async def refuse(request: Any) -> Any:
        raise error

    return Servicer(COMMAND_HANDLER_COORDINATOR, handle_command=answering(refuse))


@pytest.mark.parametrize(
    "status",
    [
        Status.INVALID_ARGUMENT,
        Status.FAILED_PRECONDITION,
        Status.NOT_FOUND,
        Status.DEADLINE_EXCEEDED,
        Status.INTERNAL,
    ],
)
async def test_other_statuses_than_unavailable_are_not_retried(status: Status) -> None:
    calls = 0

    async def refuse(request: Any) -> Any:
        nonlocal calls
        calls += 1
        raise grpclib.GRPCError(status, "no")

    servicer = Servicer(EVENT_QUERY, get_event_book=answering(refuse))
    async with serving(servicer) as endpoint, QueryClient.connect(endpoint, TWICE) as client:
        with pytest.raises(GRPCError):
            await client.get_event_book(Query())
    assert calls == 1


async def test_an_unavailable_read_is_retried() -> None:
    calls = 0

    async def recover(request: Any) -> EventBook:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise grpclib.GRPCError(Status.UNAVAILABLE, "starting")
        return EventBook(next_sequence=calls)

    servicer = Servicer(EVENT_QUERY, get_event_book=answering(recover))
    async with serving(servicer) as endpoint, QueryClient.connect(endpoint, TWICE) as client:
        assert (await client.get_event_book(Query())).next_sequence == 2


async def test_an_unavailable_command_is_of_unknown_outcome_and_not_retried() -> None:
    servicer = refusing_commands(grpclib.GRPCError(Status.UNAVAILABLE, "starting"))
    async with serving(servicer) as endpoint, DomainClient.connect(endpoint, TWICE) as client:
        with pytest.raises(OutcomeUnknownError) as raised:
            await client.command_handler.handle_command(CommandRequest())
    assert raised.value.grpc_code is Status.UNAVAILABLE
    assert raised.value.grpc_details == "starting"


async def test_retry_commands_retries_an_unavailable_command() -> None:
    calls = 0

    async def recover(request: Any) -> CommandResponse:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise grpclib.GRPCError(Status.UNAVAILABLE, "starting")
        return CommandResponse()

    servicer = Servicer(COMMAND_HANDLER_COORDINATOR, handle_command=answering(recover))
    async with (
        serving(servicer) as endpoint,
        DomainClient.connect(endpoint, TWICE, retry_commands=True) as client,
    ):
        await client.command_handler.handle_command(CommandRequest())
    assert calls == 2


async def test_a_request_above_the_limit_is_not_sent() -> None:
    config = ChannelConfig(max_message_bytes=100)
    async with (
        serving(QUERIES) as endpoint,
        DomainClient.connect(endpoint, config=config, domain="player") as client,
    ):
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query(cover=Cover(domain="x" * 100)))
        assert raised.value.grpc_code is Status.RESOURCE_EXHAUSTED
        assert "104 bytes" in raised.value.grpc_details
        with pytest.raises(GRPCError) as raised:
            await client.send(Cover(domain="x" * 100), root="alice")
        assert not isinstance(raised.value, OutcomeUnknownError)


async def test_an_answer_above_the_limit_is_resource_exhausted() -> None:
    async def large(request: Any) -> EventBook:
        return EventBook(cover=Cover(domain="x" * 5_000_000))

    servicer = Servicer(EVENT_QUERY, get_event_book=answering(large))
    async with serving(servicer) as endpoint:
        async with QueryClient.connect(endpoint, config=ChannelConfig(max_message_bytes=1000)) as client:
            with pytest.raises(GRPCError) as raised:
                await client.get_event_book(Query())
        assert raised.value.grpc_code is Status.RESOURCE_EXHAUSTED
        assert "1000" in raised.value.grpc_details
        async with QueryClient.connect(endpoint) as client:
            assert len((await client.get_event_book(Query())).cover.domain) == 5_000_000


async def test_the_limit_is_ten_mebibytes() -> None:
    async def echo(request: Any) -> EventBook:
        return EventBook(cover=request.cover)

    servicer = Servicer(EVENT_QUERY, get_event_book=answering(echo))
    async with serving(servicer) as endpoint, QueryClient.connect(endpoint) as client:
        largest = Query(cover=Cover(domain="x" * (10 * 2**20 - 10)))
        assert (await client.get_event_book(largest)).cover == largest.cover
        with pytest.raises(GRPCError):
            await client.get_event_book(Query(cover=Cover(domain="x" * (10 * 2**20))))


async def test_what_is_no_request_is_refused() -> None:
    async with serving(QUERIES) as endpoint, QueryClient.connect(endpoint) as client:
        with pytest.raises(InvalidArgumentError, match="invalid argument"):
            await client._calls.read(
                Method.of(EVENT_QUERY, "GetEventBook", EventBook), client.stub, Cover(), "", None
            )


async def test_a_field_that_cannot_be_encoded_is_named() -> None:
    async with serving(QUERIES) as endpoint, QueryClient.connect(endpoint) as client:
        with pytest.raises(ClientError) as raised:
            await client.get_event_book(Query(range=SequenceRange(lower=-1)))
    assert raised.value.is_invalid_argument()


async def metadata_seen(config: ChannelConfig, calls: int = 1) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []

    async def look(stream: Any) -> None:
        seen.append(dict(stream.metadata))
        await stream.recv_message()
        await stream.send_message(EventBook())

    async with (
        serving(Servicer(EVENT_QUERY, get_event_book=look)) as endpoint,
        QueryClient.connect(endpoint, config=config) as client,
    ):
        for _ in range(calls):
            await client.get_event_book(Query(cover=Cover(correlation_id="corr")))
    return seen


async def test_metadata_of_the_channel_goes_with_every_call() -> None:
    config = ChannelConfig(metadata={"authorization": "Bearer x", "trace-bin": b"\x00\xff"})
    assert await metadata_seen(config) == [
        {"authorization": "Bearer x", "trace-bin": b"\x00\xff", "x-correlation-id": "corr"}
    ]


async def test_metadata_may_be_made_anew_for_each_call() -> None:
    tokens = iter(["one", "two"])

    async def token() -> list[tuple[str, str | bytes]]:
        return [("authorization", next(tokens))]

    seen = await metadata_seen(ChannelConfig(metadata=token), calls=2)
    assert [call["authorization"] for call in seen] == ["one", "two"]


async def test_metadata_that_cannot_be_sent_is_refused_before_the_call() -> None:
    async def bad() -> list[tuple[str, str | bytes]]:
        return [("Authorization", "x")]

    with pytest.raises(InvalidArgumentError) as raised:
        await metadata_seen(ChannelConfig(metadata=bad))
    assert raised.value.details["field"] == "metadata"


async def test_the_channels_timeout_is_the_default_of_its_calls() -> None:
    async def sleep(request: Any) -> Any:
        await asyncio.sleep(5)

    servicer = Servicer(EVENT_QUERY, get_event_book=answering(sleep))
    async with (
        serving(servicer) as endpoint,
        QueryClient.connect(endpoint, config=ChannelConfig(timeout=0.05)) as client,
    ):
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query())
    assert raised.value.grpc_code is Status.DEADLINE_EXCEEDED


async def test_a_policy_of_ones_own_retries_reads() -> None:
    class Stubborn(RetryPolicy):
        async def execute(self, operation: Any, *, deadline: float | None = None) -> Any:
            for _ in range(3):
                with contextlib.suppress(GRPCError):
                    return await operation()
            return await operation()

    calls = 0

    async def recover(request: Any) -> EventBook:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise grpclib.GRPCError(Status.UNAVAILABLE, "starting")
        return EventBook(next_sequence=calls)

    servicer = Servicer(EVENT_QUERY, get_event_book=answering(recover))
    async with serving(servicer) as endpoint, QueryClient.connect(endpoint, Stubborn(), lazy=True) as client:
        assert (await client.get_event_book(Query())).next_sequence == 3


async def test_a_policy_written_for_the_reference_client_needs_no_deadline() -> None:
    class Once(RetryPolicy):
        async def execute(self, operation: Any) -> Any:  # type: ignore[override]
            return await operation()

    servicer = failing(grpclib.GRPCError(Status.UNAVAILABLE, "down"))
    async with serving(servicer) as endpoint, QueryClient.connect(endpoint, Once()) as client:
        with pytest.raises(GRPCError):
            await client.get_event_book(Query())


async def test_calls_begun_in_one_turn_of_the_loop_leave_in_two_writes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[int] = []

    def count(connection: ClientConnection) -> None:
        http2: Any = connection._connection
        if http2._out:
            written.append(len(http2.streams))
        flush(connection)

    flush = ClientConnection.flush
    async with serving(QUERIES) as endpoint, QueryClient.connect(endpoint) as client:
        await client.get_event_book(Query())
        monkeypatch.setattr(ClientConnection, "flush", count)
        await asyncio.gather(*(client.get_event_book(Query()) for _ in range(10)))
    assert written[:2] == [1, 10]
