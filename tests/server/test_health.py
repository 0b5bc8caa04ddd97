from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from grpclib.client import Channel, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError

from angzarr._gen.grpc.health.v1 import HealthCheckRequest, HealthCheckResponse
from angzarr.codec import GrpcCodec
from angzarr.server.grpc_server import GrpcServer
from angzarr.server.health import NOT_SERVING, SERVICE_UNKNOWN, SERVING, HealthService
from tests.server.peers import until

CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"


@asynccontextmanager
async def asking(health: HealthService) -> AsyncIterator[Channel]:
    async with GrpcServer(background=[health]) as server:
        address = await server.listen("127.0.0.1:0")
        async with Channel("127.0.0.1", int(address.rpartition(":")[2]), codec=GrpcCodec()) as channel:
            yield channel


async def check(channel: Channel, service: str) -> int:
    method = UnaryUnaryMethod(channel, CHECK, HealthCheckRequest, HealthCheckResponse)
    reply = await method(HealthCheckRequest(service=service))
    assert reply is not None
    return int(reply.status)


async def test_health_starts_as_not_serving() -> None:
    async with asking(HealthService(["", "player"])) as channel:
        assert [await check(channel, ""), await check(channel, "player")] == [NOT_SERVING, NOT_SERVING]


async def test_each_name_has_a_status_of_its_own() -> None:
    health = HealthService(["", "player"])
    await health.set("player", SERVING)
    async with asking(health) as channel:
        assert [await check(channel, ""), await check(channel, "player")] == [NOT_SERVING, SERVING]


async def test_checking_an_unknown_name_is_not_found() -> None:
    async with asking(HealthService()) as channel:
        with pytest.raises(GRPCError) as caught:
            await check(channel, "nobody")
    assert (caught.value.status, caught.value.message) == (Status.NOT_FOUND, "unknown service 'nobody'")


async def test_a_watch_tells_the_status_and_every_change() -> None:
    health = HealthService()
    async with asking(health) as channel:
        method = UnaryStreamMethod(channel, WATCH, HealthCheckRequest, HealthCheckResponse)
        async with method.open() as stream:
            await stream.send_message(HealthCheckRequest(), end=True)
            seen = [await stream.recv_message()]
            await health.set("", SERVING)
            seen.append(await stream.recv_message())
            await health.set("", SERVING)
            await health.set("", NOT_SERVING)
            seen.append(await stream.recv_message())
            await stream.cancel()
    assert [int(answer.status) for answer in seen if answer] == [NOT_SERVING, SERVING, NOT_SERVING]


async def test_a_watch_of_an_unknown_name_waits_for_it_to_become_known() -> None:
    health = HealthService()
    async with asking(health) as channel:
        method = UnaryStreamMethod(channel, WATCH, HealthCheckRequest, HealthCheckResponse)
        async with method.open() as stream:
            await stream.send_message(HealthCheckRequest(service="later"), end=True)
            first = await stream.recv_message()
            await health.set("later", SERVING)
            second = await stream.recv_message()
            await stream.cancel()
    assert first is not None
    assert second is not None
    assert [int(first.status), int(second.status)] == [SERVICE_UNKNOWN, SERVING]


async def test_after_the_shutdown_has_begun_nothing_serves_any_more() -> None:
    health = HealthService(["", "player"])
    await health.set("player", SERVING)
    await health.enter_graceful_shutdown()
    await health.set("player", SERVING)
    assert [health.status(""), health.status("player")] == [NOT_SERVING, NOT_SERVING]


async def test_a_status_may_be_given_as_a_number() -> None:
    health = HealthService()
    await health.set("", 1)
    assert health.status("") is SERVING


async def test_a_watcher_that_leaves_is_forgotten() -> None:
    health = HealthService()
    async with asking(health) as channel:
        async with channel.request(
            WATCH, Cardinality.UNARY_STREAM, HealthCheckRequest, HealthCheckResponse
        ) as stream:
            await stream.send_message(HealthCheckRequest(), end=True)
            await stream.recv_message()
            await stream.cancel()
        await until(lambda: not health._watchers)
