"""Calls with many answers, and with many requests, over real connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from grpclib.const import Status

from angzarr.client import ChannelConfig, QueryClient
from angzarr.errors import ClientError, GRPCError, InvalidArgumentError
from angzarr.messages import AggregateRoot, Cover, EventBook, Query
from angzarr.messages.services import EVENT_QUERY
from tests.client.servers import Servicer, serving
from tests.faults.peers import unharmed


def named(name: object) -> Query:
    return Query(cover=Cover(domain=str(name)))


async def thousand(stream: Any) -> None:
    await stream.recv_message()
    for number in range(1000):
        await stream.send_message(EventBook(next_sequence=number))


async def endless(stream: Any) -> None:
    await stream.recv_message()
    number = 0
    while True:
        await stream.send_message(EventBook(next_sequence=number, cover=Cover(domain="x" * 10_000)))
        number += 1


async def echo(stream: Any) -> None:
    async for query in stream:
        await stream.send_message(EventBook(cover=query.cover))


async def roots(stream: Any) -> None:
    await stream.recv_message()
    for domain in ("player", "table"):
        await stream.send_message(AggregateRoot(domain=domain))


SERVICE = Servicer(EVENT_QUERY, get_events=thousand, synchronize=echo, get_aggregate_roots=roots)


@asynccontextmanager
async def streaming(
    get_events: Callable[[Any], Awaitable[None]], config: ChannelConfig | None = None
) -> AsyncIterator[QueryClient]:
    async with (
        serving(Servicer(EVENT_QUERY, get_events=get_events)) as endpoint,
        QueryClient.connect(endpoint, config=config) as client,
    ):
        yield client


@pytest.fixture
async def client() -> AsyncIterator[QueryClient]:
    async with serving(SERVICE) as endpoint, QueryClient.connect(endpoint) as connected:
        yield connected


async def test_a_thousand_answers_keep_their_order(client: QueryClient) -> None:
    books = await client.get_events(Query())
    assert [book.next_sequence for book in books] == list(range(1000))


async def test_a_stream_without_answers_is_empty() -> None:
    async def nothing(stream: Any) -> None:
        await stream.recv_message()

    async with streaming(nothing) as client:
        assert await client.get_events(Query()) == []


async def test_aggregate_roots_are_streamed(client: QueryClient) -> None:
    assert [root.domain async for root in client.get_aggregate_roots()] == ["player", "table"]


async def test_leaving_a_stream_stops_the_server() -> None:
    stopped = asyncio.Event()

    async def watched(stream: Any) -> None:
        try:
            await endless(stream)
        finally:
            stopped.set()

    async with unharmed(), streaming(watched) as client:
        books = client.stream_events(Query())
        assert (await anext(books)).next_sequence == 0
        await books.aclose()
        async with asyncio.timeout(30):
            await stopped.wait()


async def test_a_slow_reader_holds_the_server_back() -> None:
    sent = 0

    async def counted(stream: Any) -> None:
        nonlocal sent
        await stream.recv_message()
        while True:
            await stream.send_message(EventBook(next_sequence=sent, cover=Cover(domain="x" * 100_000)))
            sent += 1

    async with streaming(counted) as client:
        books = client.stream_events(Query())
        for _ in range(3):
            await anext(books)
        await asyncio.sleep(0.2)
        assert sent < 100
        for number in range(3, 200):
            assert (await anext(books)).next_sequence == number
        await books.aclose()


async def test_messages_larger_than_the_window_arrive() -> None:
    async def large(stream: Any) -> None:
        await stream.recv_message()
        for letter in "abc":
            await stream.send_message(EventBook(cover=Cover(domain=letter * 6_000_000)))

    async with streaming(large) as client:
        books = await client.get_events(Query())
    assert [book.cover.domain[0] for book in books] == ["a", "b", "c"]
    assert {len(book.cover.domain) for book in books} == {6_000_000}


async def test_a_message_of_a_stream_above_the_limit_ends_it() -> None:
    config = ChannelConfig(max_message_bytes=1000)
    async with streaming(endless, config=config) as client:
        with pytest.raises(GRPCError) as raised:
            await client.get_events(Query())
    assert raised.value.grpc_code is Status.RESOURCE_EXHAUSTED


async def test_a_deadline_ends_a_stream_that_does_not() -> None:
    async with unharmed(), streaming(endless) as client:
        with pytest.raises(GRPCError) as raised:
            await client.get_events(Query(), timeout=0.2)
        assert raised.value.grpc_code is Status.DEADLINE_EXCEEDED
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0


async def test_queries_are_answered_one_by_one(client: QueryClient) -> None:
    books = [book.cover.domain async for book in client.synchronize(named(number) for number in range(100))]
    assert books == [str(number) for number in range(100)]


async def test_a_query_may_depend_on_the_answer_before_it(client: QueryClient) -> None:
    answers: asyncio.Queue[str] = asyncio.Queue()

    async def queries() -> AsyncIterator[Query]:
        yield named("a")
        while len(last := await answers.get()) < 5:
            yield named(last + "a")

    seen = []
    async for book in client.synchronize(queries()):
        seen.append(book.cover.domain)
        answers.put_nowait(book.cover.domain)
    assert seen == ["a", "aa", "aaa", "aaaa", "aaaaa"]


async def test_no_queries_give_no_books(client: QueryClient) -> None:
    assert [book async for book in client.synchronize([])] == []


async def test_an_error_in_the_queries_reaches_the_caller(client: QueryClient) -> None:
    async def queries() -> AsyncIterator[Query]:
        yield named("a")
        raise ValueError("no more")

    books = client.synchronize(queries())
    with pytest.raises(InvalidArgumentError) as raised:
        _ = [book async for book in books]
    assert raised.value.details == {"field": "requests", "cause": "no more"}


async def test_what_is_no_query_is_refused(client: QueryClient) -> None:
    with pytest.raises(ClientError) as raised:
        _ = [book async for book in client.synchronize([Cover()])]  # type: ignore[list-item]
    assert raised.value.details["field"] == "request"


async def test_leaving_an_exchange_leaves_no_task_behind() -> None:
    async def forever() -> AsyncIterator[Query]:
        yield named("a")
        await asyncio.Event().wait()

    async with unharmed(), serving(SERVICE) as endpoint, QueryClient.connect(endpoint) as client:
        books = client.synchronize(forever())
        assert (await anext(books)).cover.domain == "a"
        await books.aclose()
