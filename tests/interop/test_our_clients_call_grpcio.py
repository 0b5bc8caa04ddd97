"""Our clients against a coordinator made of grpcio's server and google.protobuf's classes."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import grpc
import pytest
from grpclib.const import Status

from angzarr.client import ChannelConfig, CommandHandlerClient, DomainClient, EventStreamClient, QueryClient
from angzarr.errors import ClientError, ConnectionError, GRPCError
from angzarr.messages import CommandRequest, Cover, Query, SequenceRange, unpack
from angzarr.retry import ExponentialBackoffRetry
from tests.bank.messages import OpenAccount
from tests.interop.servers import Coordinator, foreign_coordinator

CERTIFICATES = Path(__file__).parents[1] / "client" / "certificates"
ROOT = uuid.UUID(int=7)
MIB = 2**20


@pytest.fixture(params=["tcp", "unix"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "127.0.0.1:0" if request.param == "tcp" else f"unix:{tmp_path}/foreign.sock"


@asynccontextmanager
async def coordinator(
    where: str, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[tuple[Coordinator, str]]:
    """The foreign server; started and stopped in a thread, since both block."""
    context = foreign_coordinator(where, credentials)
    try:
        yield await asyncio.to_thread(context.__enter__)
    finally:
        with anyio.CancelScope(shield=True):
            await asyncio.to_thread(context.__exit__, None, None, None)


async def ended(event: Any) -> None:
    assert await asyncio.to_thread(event.wait, 60)


async def test_a_command_goes_out_and_its_events_come_back(where: str) -> None:
    async with coordinator(where) as (_, address), DomainClient.connect(address) as client:
        builder = client.command_handler.command("account", ROOT)
        response = await builder.with_command(OpenAccount(owner="ülrich")).with_sequence(4).execute()
    assert response.events.cover.domain == "account"
    assert response.events.cover.root.value == ROOT.bytes
    assert response.events.next_sequence == 5
    assert unpack(response.events.pages[0].event, OpenAccount).owner == "ülrich"


async def test_the_correlation_id_travels_as_metadata(where: str) -> None:
    async with coordinator(where) as (server, address), CommandHandlerClient.connect(address) as client:
        builder = client.command("account", ROOT).with_command(OpenAccount()).with_correlation_id("corr-7")
        await builder.execute()
    assert server.metadata["x-correlation-id"] == "corr-7"


async def test_metadata_of_the_channel_travels_text_and_bytes(where: str) -> None:
    config = ChannelConfig(metadata=(("x-tenant", "blue"), ("x-blob-bin", b"\0\xff\x80")))
    async with (
        coordinator(where) as (server, address),
        QueryClient.connect(address, config=config) as client,
    ):
        await client.get_event_book(Query(cover=Cover(domain="account")))
    assert (server.metadata["x-tenant"], server.metadata["x-blob-bin"]) == ("blue", b"\0\xff\x80")


async def test_a_rejection_arrives_with_code_details_and_text(where: str) -> None:
    async with coordinator(where) as (_, address), CommandHandlerClient.connect(address) as client:
        with pytest.raises(GRPCError) as caught:
            await client.command("refuse", ROOT).with_command(OpenAccount()).execute()
    error = caught.value
    assert error.grpc_code is Status.FAILED_PRECONDITION
    assert error.grpc_details == "Tisch völlig besetzt"
    assert (error.code, error.details) == ("TABLE_FULL", {"seats": "9"})
    assert error.is_precondition_failed()


async def test_a_stream_is_read_to_its_end(where: str) -> None:
    async with coordinator(where) as (_, address), QueryClient.connect(address) as client:
        query = Query(cover=Cover(domain="account"), range=SequenceRange(lower=0, upper=499))
        books = await client.get_events(query)
    assert [book.next_sequence for book in books] == list(range(500))


async def test_a_stream_that_breaks_gives_its_messages_and_then_the_error(where: str) -> None:
    seen: list[int] = []

    async def read(client: QueryClient, query: Query) -> None:
        async for book in client.stream_events(query):
            seen.append(book.next_sequence)  # noqa: PERF401

    async with coordinator(where) as (_, address), QueryClient.connect(address) as client:
        with pytest.raises(GRPCError) as caught:
            await read(client, Query(cover=Cover(domain="break"), range=SequenceRange(lower=0, upper=2)))
    assert seen == [0, 1, 2]
    assert (caught.value.grpc_code, caught.value.grpc_details) == (Status.DATA_LOSS, "torn page")


async def test_the_roots_of_aggregates_are_streamed(where: str) -> None:
    async with coordinator(where) as (_, address), QueryClient.connect(address) as client:
        roots = [root.root.value async for root in client.get_aggregate_roots()]
    assert roots == [bytes([number]) * 16 for number in range(3)]


async def test_both_sides_stream(where: str) -> None:
    async with coordinator(where) as (_, address), QueryClient.connect(address) as client:
        queries = [Query(cover=Cover(domain=f"domain-{number}")) for number in range(50)]
        books = [book async for book in client.synchronize(queries)]
    assert [(book.cover.domain, book.next_sequence) for book in books] == [
        (f"domain-{number}", number) for number in range(50)
    ]


async def test_a_subscription_that_is_left_is_cancelled_at_the_server(where: str) -> None:
    async with coordinator(where) as (server, address), EventStreamClient.connect(address) as client:
        stream = client.subscribe("corr-1")
        async for book in stream:
            assert book.cover.correlation_id == "corr-1"
            break
        await stream.aclose()
        await ended(server.ended)


async def test_a_deadline_ends_the_call_on_both_sides_and_leaves_the_task_alone(where: str) -> None:
    async with coordinator(where) as (server, address), CommandHandlerClient.connect(address) as client:
        limit = 0.5
        while not server.started.is_set():  # a busy machine may not get there in so short a time
            with pytest.raises(GRPCError) as caught:
                await client.command("wait", ROOT).with_command(OpenAccount()).execute(timeout=limit)
            assert caught.value.grpc_code is Status.DEADLINE_EXCEEDED
            limit *= 2
        await ended(server.ended)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0


async def test_cancelling_the_task_cancels_the_call_at_the_server(where: str) -> None:
    async with coordinator(where) as (server, address), CommandHandlerClient.connect(address) as client:
        builder = client.command("wait", ROOT).with_command(OpenAccount())
        task = asyncio.create_task(builder.execute())
        await ended(server.started)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ended(server.ended)


@pytest.mark.parametrize("size", [4 * MIB + 1, 9 * MIB])
async def test_large_answers_are_taken(size: int, where: str) -> None:
    async with coordinator(where) as (_, address), QueryClient.connect(address) as client:
        query = Query(cover=Cover(domain="large"), range=SequenceRange(upper=size))
        book = await client.get_event_book(query)
    assert book.pages[0].event.value == bytes(size)


async def test_an_answer_above_the_limit_is_resource_exhausted(where: str) -> None:
    async with coordinator(where) as (_, address), QueryClient.connect(address) as client:
        query = Query(cover=Cover(domain="large"), range=SequenceRange(upper=11 * MIB))
        with pytest.raises(GRPCError) as caught:
            await client.get_event_book(query)
        assert caught.value.grpc_code is Status.RESOURCE_EXHAUSTED
        assert await client.get_event_book(Query(cover=Cover(domain="account")))


async def test_a_method_the_server_lacks_is_unimplemented(where: str) -> None:
    async with coordinator(where) as (_, address), CommandHandlerClient.connect(address) as client:
        request = CommandRequest(command=client.command("account", ROOT).with_command(OpenAccount()).build())
        with pytest.raises(GRPCError) as caught:
            await client.handle_compensation(request)
    assert caught.value.grpc_code is Status.UNIMPLEMENTED


async def test_a_thousand_calls_at_once_on_one_channel(where: str) -> None:
    async with coordinator(where) as (_, address), QueryClient.connect(address) as client:
        queries = [Query(cover=Cover(domain=f"domain-{number}")) for number in range(1000)]
        books = await asyncio.gather(*map(client.get_event_book, queries))
    assert [book.cover.domain for book in books] == [f"domain-{number}" for number in range(1000)]


async def test_a_server_that_has_gone_is_a_connection_error(where: str) -> None:
    async with coordinator(where) as (_, address):
        client = await QueryClient.connect(address)
    with pytest.raises(ClientError) as caught:
        await client.get_event_book(Query(cover=Cover(domain="account")), timeout=0.5)
    assert caught.value.is_connection_error() or isinstance(caught.value, GRPCError)
    await client.close()


def mutual_tls() -> grpc.ServerCredentials:
    key, chain, roots = (
        (CERTIFICATES / name).read_bytes() for name in ("server.key", "server.pem", "ca.pem")
    )
    return grpc.ssl_server_credentials([(key, chain)], roots, require_client_auth=True)


async def test_mutual_tls_with_real_certificates() -> None:
    config = ChannelConfig(
        root_certificates=CERTIFICATES / "ca.pem",
        certificate_chain=CERTIFICATES / "client.pem",
        private_key=CERTIFICATES / "client.key",
        authority="localhost",
    )
    async with (
        coordinator("127.0.0.1:0", mutual_tls()) as (_, address),
        DomainClient.connect(address, config=config) as client,
    ):
        book = await client.get_event_book(Query(cover=Cover(domain="account")))
    assert book.cover.domain == "account"


async def test_a_client_without_a_certificate_is_told_when_it_connects() -> None:
    config = ChannelConfig(root_certificates=CERTIFICATES / "ca.pem", authority="localhost")
    once = ExponentialBackoffRetry(max_attempts=1)
    async with coordinator("127.0.0.1:0", mutual_tls()) as (_, address):
        with pytest.raises(ConnectionError) as raised:
            await DomainClient.connect(address, once, config=config)
    assert raised.value.details["endpoint"] == address
