"""Streams of the server's own services, which a client may hold open for ever, while the server is told to stop."""

import asyncio
import contextlib
import queue
import signal
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from angzarr.interceptors import Call, Proceed
from angzarr.server import ServerOptions, create_server
from angzarr.server.grpc_server import GrpcServer
from angzarr.server.health import SERVING, HealthService
from tests.bank.domain import bank
from tests.server.test_runners import open_slowly, process

HANDLE = "/angzarr_client.proto.angzarr.CommandHandlerService/Handle"
LONG = 60.0


class Conversation:
    """A reflection stream of grpcio's client that is open until the server ends it."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._questions: queue.Queue[Any] = queue.Queue()
        self._answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(self._ask())

    def _ask(self) -> Iterator[Any]:
        while (question := self._questions.get()) is not None:
            yield question

    def services(self) -> list[str]:
        self._questions.put(reflection_pb2.ServerReflectionRequest(list_services=""))
        return [service.name for service in next(self._answers).list_services_response.service]

    def end(self) -> grpc.StatusCode:
        """How the server ended it."""
        code: grpc.StatusCode = self._answers.code()
        self._questions.put(None)
        return code


async def drained(work: Callable[[grpc.Channel, Callable[[], object]], Any], **arguments: Any) -> Any:
    """What ``work`` returns, which is given a channel and what makes the server stop within a long grace period."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    handle = create_server(
        bank(), address="127.0.0.1:0", options=ServerOptions(linger=0.05, grace=LONG), **arguments
    )
    await handle.start()

    def client(address: str) -> Any:
        with grpc.insecure_channel(address) as channel:
            return work(channel, lambda: loop.call_soon_threadsafe(stop.set))

    working = asyncio.create_task(asyncio.to_thread(client, handle.server.addresses[0]))
    working.add_done_callback(lambda _: stop.set())
    await stop.wait()
    async with asyncio.timeout(LONG / 4):
        await handle.stop()
        return await working


async def test_an_open_reflection_stream_does_not_hold_a_server_that_drains() -> None:
    def work(channel: grpc.Channel, stop: Callable[[], object]) -> grpc.StatusCode:
        conversation = Conversation(channel)
        assert "grpc.health.v1.Health" in conversation.services()
        stop()
        return conversation.end()

    assert await drained(work) is grpc.StatusCode.UNAVAILABLE


async def test_reflection_passes_through_the_interceptors_all_the_same() -> None:
    seen: list[str] = []

    class Noting:
        async def intercept(self, call: Call, proceed: Proceed) -> Any:
            seen.append(call.rpc.path)
            return await proceed(call)

    def work(channel: grpc.Channel, stop: Callable[[], object]) -> grpc.StatusCode:
        conversation = Conversation(channel)
        conversation.services()
        stop()
        return conversation.end()

    assert await drained(work, interceptors=[Noting()]) is grpc.StatusCode.UNAVAILABLE
    assert seen == ["/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]


async def test_a_watch_is_told_not_serving_before_a_server_without_a_handle_ends_it() -> None:
    health = HealthService()
    await health.set("", SERVING)
    server = GrpcServer(background=[health], options=ServerOptions(linger=0.05))
    address = await server.listen("127.0.0.1:0")
    watching = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch() -> tuple[list[int], grpc.StatusCode]:
        seen = []
        with grpc.insecure_channel(address) as channel:
            answers = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            with contextlib.suppress(grpc.RpcError):
                for answer in answers:
                    seen.append(answer.status)
                    loop.call_soon_threadsafe(watching.set)
            return seen, answers.code()

    watched = asyncio.create_task(asyncio.to_thread(watch))
    watched.add_done_callback(lambda _: watching.set())
    await watching.wait()
    await server.drain(LONG)
    assert await watched == ([1, 2], grpc.StatusCode.UNAVAILABLE)


@pytest.mark.once
async def test_the_process_ends_once_its_call_is_done_whatever_streams_are_open() -> None:
    async with process("patient", ANGZARR_BIND_ADDRESS="127.0.0.1:0") as (server, started):

        def client() -> tuple[list[int], grpc.StatusCode, int]:
            with grpc.insecure_channel(started["address"]) as channel:
                conversation = Conversation(channel)
                conversation.services()
                watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
                seen = [next(watch).status]
                call = channel.unary_unary(HANDLE).future(bytes(open_slowly(4)), timeout=20)
                channel.unary_unary(HANDLE)(bytes(open_slowly(0)), timeout=20)
                server.tell(signal.SIGTERM)
                seen.append(next(watch).status)
                return seen, conversation.end(), len(call.result())

        async with asyncio.timeout(LONG / 4):
            seen, ended, answered = await asyncio.to_thread(client)
            assert await server.exit_code() == 0
    assert (seen, ended) == ([1, 2], grpc.StatusCode.UNAVAILABLE)
    assert answered > 0
