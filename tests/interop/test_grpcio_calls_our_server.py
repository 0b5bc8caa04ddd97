"""grpcio's C core, blocking and asyncio, against our server, which it cannot tell from grpcio's own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError

from angzarr.messages import services
from angzarr.server import GrpcServer, HealthService, ServerOptions
from tests.bank.domain import bank
from tests.interop.callers import CALLERS, Caller
from tests.interop.protos import google
from tests.server.peers import CHAT, COUNT, ECHO, WAIT, Bytes, RawCodec

HANDLE = services.COMMAND_HANDLER.rpcs["Handle"].path


class Metadata:
    """Answers with the metadata it is sent."""

    def __mapping__(self) -> dict[str, Handler]:
        return {"/test.Metadata/Return": Handler(self._return, Cardinality.UNARY_UNARY, bytes, bytes)}

    async def _return(self, stream: Any) -> None:
        await stream.recv_message()
        sent = [(key, value) for key, value in stream.metadata.items() if key.startswith("x-")]
        await stream.send_initial_metadata(metadata=sent)
        await stream.send_message(stream.metadata["x-key"].encode())
        await stream.send_trailing_metadata(metadata=[("x-last", "word"), ("x-last-bin", b"\0\xff")])


class Statuses:
    """Ends with the status that it is asked for."""

    def __mapping__(self) -> dict[str, Handler]:
        return {"/test.Statuses/End": Handler(self._end, Cardinality.UNARY_STREAM, bytes, bytes)}

    async def _end(self, stream: Any) -> None:
        number = int(await stream.recv_message())
        await stream.send_message(b"first")
        if number:
            raise GRPCError(Status(number), f"it is {number}")


@pytest.fixture(params=["tcp", "unix"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "127.0.0.1:0" if request.param == "tcp" else f"unix:{tmp_path}/server.sock"


@pytest.fixture(params=CALLERS, ids=lambda caller: caller.__name__.lower())
def make_caller(request: pytest.FixtureRequest) -> Callable[[str], Caller]:
    made: Callable[[str], Caller] = request.param
    return made


@asynccontextmanager
async def called(where: str, make_caller: Callable[[str], Caller], *services: Any) -> AsyncIterator[Caller]:
    options = ServerOptions(linger=0.1)
    async with GrpcServer(
        services, background=[HealthService()], codec=RawCodec(), options=options
    ) as server:
        yield make_caller(await server.listen(where))


async def test_unary(where: str, make_caller: Callable[[str], Caller]) -> None:
    async with called(where, make_caller, Bytes()) as caller:
        reply = await caller.call(ECHO, b"hello")
    assert (reply.code, reply.messages) == (grpc.StatusCode.OK, [b"hello"])


async def test_a_router_handles_a_command_made_by_google_protobuf(
    where: str, make_caller: Callable[[str], Caller]
) -> None:
    command = google("ContextualCommand")()
    command.command.cover.domain = "account"
    command.command.cover.root.value = bytes(range(16))
    command.command.pages.add().command.Pack(google("OpenAccount", "bank")(owner="älice"))
    async with called(where, make_caller, bank()[0]) as caller:
        reply = await caller.call(HANDLE, command.SerializeToString())
    response = google("BusinessResponse").FromString(reply.messages[0])
    opened = google("AccountOpened", "bank")()
    assert response.events.pages[0].event.Unpack(opened)
    assert opened.owner == "älice"
    assert response.events.cover.domain == "account"
    assert response.events.pages[0].header.sequence == 0
    assert response.events.next_sequence == 1


async def test_a_rejection_carries_code_and_details(where: str, make_caller: Callable[[str], Caller]) -> None:
    command = google("ContextualCommand")()
    command.command.cover.domain = "account"
    command.command.cover.root.value = bytes(range(16))
    command.command.pages.add().command.Pack(google("Deposit", "bank")(amount=-5))
    async with called(where, make_caller, bank()[0]) as caller:
        reply = await caller.call(HANDLE, command.SerializeToString())
    assert (reply.code, reply.details) == (grpc.StatusCode.INVALID_ARGUMENT, "value must be positive")
    carried = reply.trailing["grpc-status-details-bin"]
    assert isinstance(carried, bytes)
    status = status_pb2.Status.FromString(carried)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "VALUE_NOT_POSITIVE",
        "angzarr",
        {"field": "amount"},
    )


async def test_bytes_that_are_no_request_are_an_invalid_argument(
    where: str, make_caller: Callable[[str], Caller]
) -> None:
    async with called(where, make_caller, bank()[0]) as caller:
        reply = await caller.call(HANDLE, b"\xff\xff\xff")
    assert reply.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_server_streaming(where: str, make_caller: Callable[[str], Caller]) -> None:
    async with called(where, make_caller, Bytes()) as caller:
        reply = await caller.call(COUNT, b"1000", server_streaming=True)
    assert reply.messages == [b"%d" % number for number in range(1000, 0, -1)]


async def test_bidirectional_streaming(where: str, make_caller: Callable[[str], Caller]) -> None:
    sent = [b"%d" % number for number in range(300)]
    async with called(where, make_caller, Bytes()) as caller:
        reply = await caller.call(CHAT, *sent, client_streaming=True, server_streaming=True)
    assert reply.messages == sent


async def test_metadata_goes_both_ways(where: str, make_caller: Callable[[str], Caller]) -> None:
    metadata: list[tuple[str, str | bytes]] = [("x-key", "value"), ("x-key-bin", b"\0\1\2\xff")]
    async with called(where, make_caller, Metadata()) as caller:
        reply = await caller.call("/test.Metadata/Return", b"", metadata=metadata)
    assert reply.messages == [b"value"]
    assert reply.initial["x-key"] == "value"
    assert reply.initial["x-key-bin"] == b"\0\1\2\xff"
    assert (reply.trailing["x-last"], reply.trailing["x-last-bin"]) == ("word", b"\0\xff")


@pytest.mark.parametrize("status", list(Status))
async def test_every_status_arrives_after_the_messages_before_it(status: Status) -> None:
    async with called("127.0.0.1:0", CALLERS[0], Statuses()) as caller:
        reply = await caller.call("/test.Statuses/End", b"%d" % status.value, server_streaming=True)
    assert (reply.code.value[0], reply.messages) == (status.value, [b"first"])
    assert reply.details == ("" if status is Status.OK else f"it is {status.value}")


async def test_a_deadline_ends_the_call_on_both_sides(
    where: str, make_caller: Callable[[str], Caller]
) -> None:
    service = Bytes()
    async with called(where, make_caller, service) as caller:
        limit = 0.5
        while not service.started.is_set():  # a busy machine may not get there in so short a time
            reply = await caller.call(WAIT, b"", timeout=limit)
            assert reply.code is grpc.StatusCode.DEADLINE_EXCEEDED
            limit *= 2
        async with asyncio.timeout(30):
            await service.cancelled.wait()


async def test_cancelling_the_call_cancels_the_handler(
    where: str, make_caller: Callable[[str], Caller]
) -> None:
    service = Bytes()
    started = threading.Event()
    async with called(where, make_caller, service) as caller:
        call = asyncio.create_task(caller.cancel(WAIT, b"", started))
        await service.started.wait()
        started.set()
        assert await call is grpc.StatusCode.CANCELLED
        async with asyncio.timeout(30):
            await service.cancelled.wait()


@pytest.mark.parametrize("size", [0, 16_384, 16_379, 65_535, 4 * 2**20 + 1, 10 * 2**20])
async def test_messages_of_every_size_pass_both_ways(
    size: int, where: str, make_caller: Callable[[str], Caller]
) -> None:
    message = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    async with called(where, make_caller, Bytes()) as caller:
        reply = await caller.call(ECHO, message)
    assert reply.messages == [message]


async def test_a_message_above_the_limit_is_resource_exhausted(
    where: str, make_caller: Callable[[str], Caller]
) -> None:
    async with called(where, make_caller, Bytes()) as caller:
        reply = await caller.call(ECHO, bytes(10 * 2**20 + 1))
    assert reply.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reply.details == "received message of 10485761 bytes exceeds the limit of 10485760 bytes"


async def test_an_unknown_method_is_unimplemented(where: str, make_caller: Callable[[str], Caller]) -> None:
    async with called(where, make_caller, Bytes()) as caller:
        reply = await caller.call("/test.Bytes/Nothing", b"")
    assert (reply.code, reply.details) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "no such method: /test.Bytes/Nothing",
    )


async def test_an_optional_method_that_the_router_lacks_is_unimplemented() -> None:
    async with called("127.0.0.1:0", CALLERS[0], bank()[2]) as caller:
        reply = await caller.call(services.COMMAND_HANDLER.rpcs["Replay"].path, b"")
    assert reply.code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_compressed_requests_are_understood(
    compression: grpc.Compression, make_caller: Callable[[str], Caller]
) -> None:
    async with called("127.0.0.1:0", make_caller, Bytes()) as caller:
        reply = await caller.call(ECHO, b"x" * 100_000, compression=compression)  # type: ignore[call-arg]
        assert reply.messages == [b"x" * 100_000]
        large = bytes(10 * 2**20 + 1)
        reply = await caller.call(ECHO, large, compression=compression)  # type: ignore[call-arg]
    assert reply.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reply.details == "received message exceeds the limit of 10485760 bytes once it is decompressed"


async def test_a_thousand_calls_at_once_on_one_channel_are_all_answered() -> None:
    def calls(address: str) -> list[bytes]:
        with grpc.insecure_channel(address) as channel:
            method = channel.unary_unary(ECHO)
            futures = [method.future(b"%d" % number, timeout=60) for number in range(1000)]
            return [future.result() for future in futures]

    async with GrpcServer([Bytes()], codec=RawCodec(), options=ServerOptions(linger=0.1)) as server:
        answers = await asyncio.to_thread(calls, await server.listen("127.0.0.1:0"))
    assert answers == [b"%d" % number for number in range(1000)]


async def test_a_call_while_the_server_drains_is_unavailable_and_one_in_flight_is_answered() -> None:
    service = Bytes()
    running = asyncio.get_running_loop()

    def calls(address: str) -> tuple[bytes, grpc.StatusCode]:
        with grpc.insecure_channel(address, [("grpc.enable_retries", 0)]) as channel:
            waiting = channel.unary_unary(WAIT).future(b"late", timeout=20)
            asyncio.run_coroutine_threadsafe(service.started.wait(), running).result(20)
            drain = asyncio.run_coroutine_threadsafe(server.drain(10), running)
            while server.addresses:
                pass
            refused = channel.unary_unary(ECHO).future(b"new", timeout=20)
            code = refused.code()
            running.call_soon_threadsafe(service.release.set)
            answer = waiting.result()
        drain.result(20)
        return answer, code

    async with GrpcServer([service], codec=RawCodec()) as server:
        answer, code = await asyncio.to_thread(calls, await server.listen("127.0.0.1:0"))
    assert (answer, code) == (b"late", grpc.StatusCode.UNAVAILABLE)
