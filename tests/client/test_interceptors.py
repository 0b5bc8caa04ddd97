"""Interceptors around a client's calls."""

from collections.abc import AsyncIterator
from typing import Any

import grpclib
import pytest
import structlog
from grpclib.const import Status
from structlog.testing import LogCapture

from angzarr.client import ChannelConfig, QueryClient
from angzarr.errors import GRPCError, InvalidArgumentError
from angzarr.interceptors import (
    Call,
    CorrelationInterceptor,
    Interceptor,
    LoggingInterceptor,
    Proceed,
    chain,
    status_name,
)
from angzarr.messages import Cover, EventBook, Query
from angzarr.messages.services import EVENT_QUERY
from angzarr.retry import ExponentialBackoffRetry
from tests.client.stubs import Recording

BOOK = EventBook(next_sequence=3)
QUERY = Query(cover=Cover(correlation_id="corr"))
GET = EVENT_QUERY.rpcs["GetEventBook"]


def client_of(stub: Recording, *interceptors: Interceptor) -> QueryClient:
    policy = ExponentialBackoffRetry(min_delay=0, max_delay=0)
    return QueryClient.from_stub(stub, retry=policy, config=ChannelConfig(interceptors=interceptors))


class Noting:
    """Notes the beginning and the end of calls."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self._name = name
        self._notes = notes

    async def intercept(self, call: Call, proceed: Proceed) -> Any:
        self._notes.append(f"{self._name} {call.rpc.name}")
        answer = await proceed(call)
        self._notes.append(f"{self._name} done")
        return answer


async def test_the_first_interceptor_is_the_outermost() -> None:
    notes: list[str] = []
    client = client_of(Recording(BOOK), Noting("a", notes), Noting("b", notes))
    assert await client.get_event_book(QUERY) is BOOK
    assert notes == ["a GetEventBook", "b GetEventBook", "b done", "a done"]


async def test_an_interceptor_sees_the_call_and_changes_what_is_sent() -> None:
    seen: list[Call] = []

    class Stamp:
        async def intercept(self, call: Call, proceed: Proceed) -> Any:
            seen.append(call)
            call.metadata.append(("x-stamp", "1"))
            call.timeout = 7.0
            return await proceed(call)

    stub = Recording(BOOK)
    await client_of(stub, Stamp()).get_event_book(QUERY, timeout=1)
    [call] = seen
    assert (call.rpc, call.request, call.side, call.endpoint) == (GET, QUERY, "client", "")
    assert call.header("x-correlation-id") == "corr"
    assert stub.calls[0][3] == [("x-correlation-id", "corr"), ("x-stamp", "1")]
    assert (stub.calls[0][2] or 0) > 6


async def test_an_interceptor_may_answer_itself() -> None:
    class Cached:
        async def intercept(self, call: Call, proceed: Proceed) -> Any:
            return BOOK

    stub = Recording()
    assert await client_of(stub, Cached()).get_event_book(QUERY) is BOOK
    assert stub.calls == []


async def test_an_interceptor_may_refuse() -> None:
    class Refuse:
        async def intercept(self, call: Call, proceed: Proceed) -> Any:
            raise PermissionError("not you")

    with pytest.raises(PermissionError, match="not you"):
        await client_of(Recording(), Refuse()).get_event_book(QUERY)


async def test_an_interceptor_wraps_a_call_with_all_its_retries() -> None:
    notes: list[str] = []
    stub = Recording(grpclib.GRPCError(Status.UNAVAILABLE), grpclib.GRPCError(Status.UNAVAILABLE), BOOK)
    assert await client_of(stub, Noting("a", notes)).get_event_book(QUERY) is BOOK
    assert notes == ["a GetEventBook", "a done"]
    assert len(stub.calls) == 3


async def test_streams_are_wrapped_as_iterators() -> None:
    class Double:
        async def intercept(self, call: Call, proceed: Proceed) -> Any:
            answers: AsyncIterator[EventBook] = await proceed(call)

            async def doubled() -> AsyncIterator[EventBook]:
                async for answer in answers:
                    yield answer
                    yield answer

            return doubled()

    assert await client_of(Recording([BOOK, BOOK]), Double()).get_events(QUERY) == [BOOK] * 4


async def test_what_cannot_intercept_is_refused_at_construction() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        ChannelConfig(interceptors=[object()])  # type: ignore[list-item]
    assert raised.value.details["field"] == "interceptors"


async def test_a_chain_without_interceptors_is_the_call_itself() -> None:
    async def proceed(call: Call) -> str:
        return "done"

    assert chain((), proceed) is proceed


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (None, "OK"),
        (GRPCError(grpclib.GRPCError(Status.ABORTED)), "ABORTED"),
        (grpclib.GRPCError(Status.NOT_FOUND), "NOT_FOUND"),
        (ValueError(), "UNKNOWN"),
        (KeyboardInterrupt(), "CANCELLED"),
    ],
)
def test_every_error_has_a_status(error: BaseException | None, name: str) -> None:
    assert status_name(error) == name


@pytest.fixture
def log() -> LogCapture:
    return LogCapture()


def logging_with(log: LogCapture) -> LoggingInterceptor:
    return LoggingInterceptor(structlog.wrap_logger(None, processors=[log]))


async def test_every_call_is_logged_when_it_ends(log: LogCapture) -> None:
    await client_of(Recording(BOOK), logging_with(log)).get_event_book(QUERY)
    [entry] = log.entries
    assert 0 <= entry.pop("seconds") < 5
    assert entry == {
        "event": "call",
        "log_level": "info",
        "side": "client",
        "method": "/angzarr_client.proto.angzarr.EventQueryService/GetEventBook",
        "status": "OK",
        "correlation_id": "corr",
    }


async def test_a_failed_call_is_a_warning_with_its_status(log: LogCapture) -> None:
    stub = Recording(grpclib.GRPCError(Status.NOT_FOUND))
    with pytest.raises(GRPCError):
        await client_of(stub, logging_with(log)).get_event_book(QUERY)
    assert (log.entries[0]["log_level"], log.entries[0]["status"]) == ("warning", "NOT_FOUND")


async def test_a_stream_is_logged_when_its_answers_end(log: LogCapture) -> None:
    books = client_of(Recording([BOOK, BOOK]), logging_with(log)).stream_events(QUERY)
    await anext(books)
    assert log.entries == []
    assert [book async for book in books] == [BOOK]
    assert [entry["status"] for entry in log.entries] == ["OK"]


async def test_a_stream_that_breaks_is_logged_with_its_status(log: LogCapture) -> None:
    stub = Recording([BOOK, grpclib.GRPCError(Status.DATA_LOSS)])
    with pytest.raises(GRPCError):
        await client_of(stub, logging_with(log)).get_events(QUERY)
    assert [entry["status"] for entry in log.entries] == ["DATA_LOSS"]


async def test_the_bound_correlation_id_goes_with_calls_that_have_none() -> None:
    stub = Recording(BOOK, BOOK, BOOK)
    client = client_of(stub, CorrelationInterceptor())
    await client.get_event_book(Query())
    with structlog.contextvars.bound_contextvars(correlation_id="bound"):
        await client.get_event_book(Query())
        await client.get_event_book(QUERY)
    assert [metadata for _, _, _, metadata in stub.calls] == [
        [],
        [("x-correlation-id", "bound")],
        [("x-correlation-id", "corr")],
    ]


async def test_on_servers_the_callers_correlation_id_is_bound_around_the_handler() -> None:
    bound: list[object] = []

    async def handler(call: Call) -> None:
        bound.append(structlog.contextvars.get_contextvars().get("correlation_id"))

    call = Call(GET, QUERY, [("x-correlation-id", "corr")], side="server")
    await CorrelationInterceptor().intercept(call, handler)
    await CorrelationInterceptor().intercept(Call(GET, QUERY, side="server"), handler)
    assert bound == ["corr", None]
    assert "correlation_id" not in structlog.contextvars.get_contextvars()
