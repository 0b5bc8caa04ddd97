"""The coordinator on sockets, called by grpcio's C core as the foreign client."""

import contextlib
import json
import os
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any as Anything

import anyio
import anyio.to_thread
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.client import CommandHandlerClient
from angzarr.coordinator import CoordinatorConfig, EmbeddedCoordinator, ServingConfig
from angzarr.errors import ClientError, OutcomeUnknownError
from angzarr.errors import GRPCError as ClientGRPCError
from angzarr.messages import (
    AggregateRoot,
    CascadeErrorMode,
    CommandRequest,
    CommandResponse,
    Empty,
    EventBook,
    MergeStrategy,
    Query,
    SequenceRange,
    SequenceSet,
    SyncMode,
    TemporalQuery,
    decode,
    encode,
)
from angzarr.messages.services import COMMAND_HANDLER_COORDINATOR, EVENT_QUERY, Rpc
from tests.coordinator.conftest import ALICE, BOB, Account, amounts, command, cover, request
from tests.coordinator.worlds import A, B, Domain, Saga
from tests.coordinator.worlds import command as order
from tests.coordinator.worlds import request as ask

HANDLE = COMMAND_HANDLER_COORDINATOR.rpcs["HandleCommand"]


class Foreign:
    """A grpcio client, in threads: its asyncio flavour blocks the loop when it shuts down."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)

    async def call(self, rpc: Rpc, request: Anything, **options: Anything) -> Anything:
        """The answer, or the list of answers."""
        return await anyio.to_thread.run_sync(self._call, rpc, request, options)

    def _call(self, rpc: Rpc, request: Anything, options: dict[str, Anything]) -> Anything:
        opened = self._channel
        kind = (
            opened.stream_stream
            if rpc.client_streaming
            else opened.unary_stream
            if rpc.server_streaming
            else opened.unary_unary
        )
        method = kind(
            rpc.path, request_serializer=encode, response_deserializer=lambda data: decode(rpc.response, data)
        )
        answer = method(request, timeout=10, **options)
        return list(answer) if rpc.server_streaming else answer

    async def close(self) -> None:
        await anyio.to_thread.run_sync(self._channel.close)


@contextlib.asynccontextmanager
async def foreign(address: str) -> AsyncIterator[Foreign]:
    client = await anyio.to_thread.run_sync(Foreign, address)
    yield client
    await client.close()


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[EmbeddedCoordinator]:
    async with EmbeddedCoordinator(
        handlers={"account": Account()}, store=tmp_path / "e.db", uds_base=tmp_path, tcp="127.0.0.1:0"
    ) as coordinator:
        yield coordinator


@pytest.fixture(params=["unix", "tcp"])
async def channel(request: pytest.FixtureRequest, running: EmbeddedCoordinator) -> AsyncIterator[Foreign]:
    address = running.addresses[0 if request.param == "unix" else 1]
    async with foreign(address) as client:
        yield client


def deposit(amount: int, **fields: Anything) -> CommandRequest:
    return request(command("Deposit", amount, merge_strategy=MergeStrategy.MERGE_AGGREGATE_HANDLES), **fields)


async def test_a_command_and_a_query_over_the_wire(channel: Foreign) -> None:
    response: CommandResponse = await channel.call(
        HANDLE, deposit(5), metadata=[("x-correlation-id", "c-1"), ("traceparent", "00-1-2-01")]
    )
    assert amounts(response.events) == [(0, "Deposited 5")]
    book: EventBook = await channel.call(EVENT_QUERY.rpcs["GetEventBook"], Query(cover=cover()))
    assert amounts(book) == [(0, "Deposited 5")]


async def test_a_mismatch_carries_the_raw_book(channel: Foreign) -> None:
    await channel.call(HANDLE, deposit(5))
    with pytest.raises(grpc.RpcError) as caught:
        await channel.call(
            HANDLE, request(command("Deposit", 1, 7, merge_strategy=MergeStrategy.MERGE_STRICT))
        )
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details() == "Sequence mismatch: command expects 7, aggregate at 1"
    trailers = dict(caught.value.trailing_metadata() or ())
    assert amounts(decode(EventBook, trailers["grpc-status-details-bin"])) == [(0, "Deposited 5")]


async def test_a_mismatch_of_a_large_aggregate_leaves_the_book_out(channel: Foreign) -> None:
    many = [command("Deposit", 5, merge_strategy=MergeStrategy.MERGE_AGGREGATE_HANDLES)] * 100
    for _ in range(2):
        await channel.call(HANDLE, request(*many))
    with pytest.raises(grpc.RpcError) as caught:
        await channel.call(
            HANDLE, request(command("Deposit", 1, 7, merge_strategy=MergeStrategy.MERGE_STRICT))
        )
    assert caught.value.details() == "Sequence mismatch: command expects 7, aggregate at 200"
    assert "grpc-status-details-bin" not in dict(caught.value.trailing_metadata() or ())


async def test_our_own_client_is_sent_larger_books(running: EmbeddedCoordinator) -> None:
    many = [command("Deposit", 5, merge_strategy=MergeStrategy.MERGE_AGGREGATE_HANDLES)] * 100
    async with CommandHandlerClient.connect(running.addresses[0]) as client:
        for _ in range(5):
            await client.handle_command(request(*many))
        with pytest.raises(ClientGRPCError) as caught:
            await client.handle_command(
                request(command("Deposit", 1, 7, merge_strategy=MergeStrategy.MERGE_STRICT))
            )
    assert caught.value.current_events is not None
    assert len(caught.value.current_events.pages) == 500


async def test_streaming_queries(channel: Foreign) -> None:
    await channel.call(HANDLE, deposit(5, to=cover(correlation_id="c-1")))
    await channel.call(HANDLE, deposit(6, to=cover(BOB, correlation_id="c-1")))
    roots: list[AggregateRoot] = [*await channel.call(EVENT_QUERY.rpcs["GetAggregateRoots"], Empty())]
    assert [(root.domain, root.root.value) for root in roots] == [("account", ALICE), ("account", BOB)]
    found = Query(cover=cover(correlation_id="c-1"))
    books = await channel.call(EVENT_QUERY.rpcs["GetEvents"], found)
    assert [(book.cover.root.value, book.next_sequence) for book in books] == [(ALICE, 1), (BOB, 1)]
    found = await channel.call(
        EVENT_QUERY.rpcs["Synchronize"], iter([Query(cover=cover()), Query(cover=cover(BOB))])
    )
    assert [amounts(book) for book in found] == [[(0, "Deposited 5")], [(0, "Deposited 6")]]


async def test_a_message_above_the_limit_is_refused_and_the_connection_lives(tmp_path: Path) -> None:
    config = CoordinatorConfig(serving=ServingConfig(max_message_bytes=1000))
    async with (
        EmbeddedCoordinator(handlers={"account": Account()}, tcp="127.0.0.1:0", config=config) as running,
        foreign(running.addresses[0]) as channel,
    ):
        with pytest.raises(grpc.RpcError) as caught:
            await channel.call(HANDLE, request(*[command("Deposit", 5)] * 100))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await channel.call(HANDLE, deposit(5))


async def test_a_stored_command_whose_answer_is_too_large_is_not_said_to_have_failed() -> None:
    config = CoordinatorConfig(serving=ServingConfig(max_message_bytes=90))
    async with (
        EmbeddedCoordinator(handlers={"account": Account()}, tcp="127.0.0.1:0", config=config) as running,
        CommandHandlerClient.connect(running.addresses[0]) as client,
    ):
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.handle_command(deposit(5))
        assert caught.value.code == "ANSWER_TOO_LARGE"
        assert len((await running.events("account", ALICE)).pages) == 1


async def test_the_failures_of_a_continued_cascade_are_in_the_trailers(tmp_path: Path) -> None:
    right = Domain(refuse={"DoIt": GRPCError(Status.FAILED_PRECONDITION, "no")})
    saga = Saga({"DoneOne": lambda _: [order("right", B, "DoIt")]})
    async with EmbeddedCoordinator(
        handlers={"left": Domain(), "right": right}, sagas={"s": ("left", saga)}, tcp="127.0.0.1:0"
    ) as running:
        made = ask(
            "left",
            A,
            "DoOne",
            sync_mode=SyncMode.CASCADE,
            cascade_error_mode=CascadeErrorMode.CASCADE_ERROR_CONTINUE,
        )

        def call() -> str:
            with grpc.insecure_channel(running.addresses[0]) as channel:
                method = channel.unary_unary(HANDLE.path, encode, lambda data: data)
                _, finished = method.with_call(made, timeout=10)
                return str(dict(finished.trailing_metadata())["x-angzarr-cascade-errors"])

        (failure,) = json.loads(await anyio.to_thread.run_sync(call))
        assert (failure["component"], failure["domain"], failure["message"]) == ("s", "right", "no")


async def test_health_and_reflection_are_served(channel: Foreign) -> None:
    def ask_health() -> int:
        stub = health_pb2_grpc.HealthStub(channel._channel)
        return int(stub.Check(health_pb2.HealthCheckRequest(service="")).status)

    def ask_reflection() -> list[str]:
        database = ProtoReflectionDescriptorDatabase(channel._channel)
        return [name for name in database.get_services() if "Coordinator" in name]

    assert await anyio.to_thread.run_sync(ask_health) == health_pb2.HealthCheckResponse.SERVING
    assert "angzarr_client.proto.angzarr.CommandHandlerCoordinatorService" in await anyio.to_thread.run_sync(
        ask_reflection
    )


async def test_socket_files_are_private_and_go_with_the_coordinator(tmp_path: Path) -> None:
    socket = anyio.Path(tmp_path / "sockets" / "ch-account.sock")
    async with EmbeddedCoordinator(handlers={"account": Account()}, uds_base=tmp_path / "sockets") as running:
        assert running.addresses == [f"unix:{socket}"]
        assert stat.S_IMODE((await socket.stat()).st_mode) == 0o600
    assert not await socket.exists()
    assert running.addresses == []


async def test_a_live_socket_is_not_taken_over(running: EmbeddedCoordinator, tmp_path: Path) -> None:
    with pytest.raises(ClientError) as caught:
        async with EmbeddedCoordinator(handlers={"account": Account()}, uds_base=tmp_path):
            pass
    assert caught.value.code == "BIND_FAILED"
    async with foreign(running.addresses[0]) as channel:
        await channel.call(HANDLE, deposit(5))


async def test_nothing_listens_unless_asked_to() -> None:
    async with EmbeddedCoordinator(handlers={"account": Account()}) as running:
        assert running.addresses == []


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"range": SequenceRange(lower=2)}, [2, 3]),
        ({"range": SequenceRange(lower=1, upper=2)}, [1, 2]),
        ({"sequences": SequenceSet(values=[3, 9, 0])}, [0, 3]),
        ({"temporal": TemporalQuery(as_of_sequence=1)}, [0, 1]),
    ],
)
async def test_selections(
    running: EmbeddedCoordinator, selection: dict[str, object], expected: list[int]
) -> None:
    await running.runtime.commands.handle_command(request(*[command("Deposit", 1)] * 4))
    book = await running.runtime.queries.get_event_book(Query(cover=cover(), **selection))  # type: ignore[arg-type]
    assert [page.header.sequence for page in book.pages] == expected
    assert book.next_sequence == 4


async def test_serving_ends_with_a_signal() -> None:
    async with (
        EmbeddedCoordinator(handlers={"account": Account()}, tcp="127.0.0.1:0") as running,
        anyio.create_task_group() as group,
    ):
        group.start_soon(running.serve_forever)
        await anyio.wait_all_tasks_blocked()
        os.kill(os.getpid(), signal.SIGTERM)


async def test_serving_ends_when_it_is_cancelled() -> None:
    async with EmbeddedCoordinator(handlers={"account": Account()}, tcp="127.0.0.1:0") as running:
        with anyio.move_on_after(0.01) as scope:
            await running.serve_forever()
        assert scope.cancelled_caught
