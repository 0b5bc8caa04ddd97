"""grpcio-health-checking's client asks our server how it is."""

import asyncio
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from angzarr.server import GrpcServer, HealthService, ServerOptions


def _stub(channel: grpc.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


async def test_checks_and_watches_are_understood() -> None:
    health = HealthService(["", "player"])
    await health.set("player", health_pb2.HealthCheckResponse.SERVING)
    running = asyncio.get_running_loop()

    def ask(address: str) -> list[int]:
        with grpc.insecure_channel(address) as channel:
            stub = _stub(channel)
            seen = [stub.Check(health_pb2.HealthCheckRequest(service=name)).status for name in ("", "player")]
            watch = stub.Watch(health_pb2.HealthCheckRequest(service="later"), timeout=20)
            seen.append(next(watch).status)
            asyncio.run_coroutine_threadsafe(health.set("later", 1), running).result(20)
            seen.append(next(watch).status)
            watch.cancel()
        return seen

    async with GrpcServer(background=[health], options=ServerOptions(linger=0.1)) as server:
        assert await asyncio.to_thread(ask, await server.listen("127.0.0.1:0")) == [2, 1, 3, 1]


async def test_an_unknown_name_is_not_found() -> None:
    def ask(address: str) -> grpc.StatusCode:
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
            _stub(channel).Check(health_pb2.HealthCheckRequest(service="nobody"))
        code: grpc.StatusCode = caught.value.code()
        return code

    async with GrpcServer(background=[HealthService()], options=ServerOptions(linger=0.1)) as server:
        assert await asyncio.to_thread(ask, await server.listen("127.0.0.1:0")) is grpc.StatusCode.NOT_FOUND
