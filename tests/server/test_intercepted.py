from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from grpclib.client import Channel, StreamStreamMethod, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from angzarr.codec import GrpcCodec
from angzarr.interceptors import Call, CorrelationInterceptor, LoggingInterceptor, Proceed
from angzarr.messages import services, unpack
from angzarr.server import GrpcServer, ServerOptions
from tests.bank.domain import bank
from tests.bank.messages import AccountOpened, Deposit, OpenAccount
from tests.router.helpers import request
from tests.server.peers import CHAT, COUNT, ECHO, Bytes, RawCodec

HANDLE = services.COMMAND_HANDLER.rpcs["Handle"]


class Recorder:
    """Writes down what it sees on the way in and out."""

    def __init__(self, name: str, log: list[str]) -> None:
        self._name = name
        self._log = log

    async def intercept(self, call: Call, proceed: Proceed) -> Any:
        self._log.append(f"{self._name} in {call.rpc.name} {call.side}")
        try:
            return await proceed(call)
        finally:
            self._log.append(f"{self._name} out")


@asynccontextmanager
async def channel_to(service: Any, *interceptors: Any, codec: Any = None) -> AsyncIterator[Channel]:
    codec = codec or RawCodec()
    async with GrpcServer(
        [service], interceptors=interceptors, codec=codec, options=ServerOptions(linger=0.05)
    ) as server:
        port = int((await server.listen("127.0.0.1:0")).rpartition(":")[2])
        async with Channel("127.0.0.1", port, codec=codec) as channel:
            yield channel


async def test_interceptors_go_around_a_call_the_first_one_outermost() -> None:
    log: list[str] = []
    async with channel_to(Bytes(), Recorder("a", log), Recorder("b", log)) as channel:
        assert await UnaryUnaryMethod(channel, ECHO, bytes, bytes)(b"x") == b"x"
    assert log == ["a in Echo server", "b in Echo server", "b out", "a out"]


async def test_an_interceptor_may_change_request_and_answer() -> None:
    class Shouting:
        async def intercept(self, call: Call, proceed: Proceed) -> Any:
            call.request = call.request.upper()
            return await proceed(call) + b"!"

    async with channel_to(Bytes(), Shouting()) as channel:
        assert await UnaryUnaryMethod(channel, ECHO, bytes, bytes)(b"hello") == b"HELLO!"


async def test_an_interceptor_may_refuse_or_answer_by_itself() -> None:
    class Guard:
        async def intercept(self, call: Call, proceed: Proceed) -> Any:
            if call.header("x-token") is None:
                raise GRPCError(Status.UNAUTHENTICATED, "no token")
            return b"from the guard"

    async with channel_to(Bytes(), Guard()) as channel:
        method = UnaryUnaryMethod(channel, ECHO, bytes, bytes)
        with pytest.raises(GRPCError, match="no token"):
            await method(b"x")
        assert await method(b"x", metadata={"x-token": "t"}) == b"from the guard"


async def test_streams_pass_through_interceptors() -> None:
    class Doubling:
        async def intercept(self, call: Call, proceed: Proceed) -> Any:
            return self._doubled(await proceed(call))

        async def _doubled(self, answers: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
            async for answer in answers:
                yield answer * 2

    async with channel_to(Bytes(), Doubling()) as channel:
        assert await UnaryStreamMethod(channel, COUNT, bytes, bytes)(b"3") == [b"33", b"22", b"11"]
        assert await StreamStreamMethod(channel, CHAT, bytes, bytes)([b"a", b"b"]) == [b"aa", b"bb"]


async def test_a_failure_of_a_streaming_handler_reaches_interceptors_and_caller() -> None:
    async with channel_to(Bytes(), Recorder("a", [])) as channel:
        with pytest.raises(GRPCError) as caught:
            await UnaryStreamMethod(channel, COUNT, bytes, bytes)(b"many")
    assert caught.value.status is Status.INTERNAL


async def test_a_router_behind_interceptors_answers_and_rejects_as_without() -> None:
    seen: list[Any] = []

    class Looking:
        async def intercept(self, call: Call, proceed: Proceed) -> Any:
            seen.append(type(call.request).__name__)
            return await proceed(call)

    async with channel_to(bank()[0], Looking(), LoggingInterceptor(), codec=GrpcCodec()) as channel:
        method = UnaryUnaryMethod(channel, HANDLE.path, HANDLE.request, HANDLE.response)
        response: Any = await method(request(OpenAccount(owner="alice")))
        assert unpack(response.events.pages[0].event, AccountOpened).owner == "alice"
        with pytest.raises(GRPCError) as caught:
            await method(request(Deposit(amount=-1)))
    assert (caught.value.status, caught.value.message) == (Status.INVALID_ARGUMENT, "value must be positive")
    assert seen == ["ContextualCommand", "ContextualCommand"]


async def test_the_callers_correlation_id_is_bound_around_the_handler() -> None:
    bound: list[Any] = []

    class Looking:
        async def intercept(self, call: Call, proceed: Proceed) -> Any:
            bound.append(structlog.contextvars.get_contextvars().get("correlation_id"))
            return await proceed(call)

    async with channel_to(Bytes(), CorrelationInterceptor(), Looking()) as channel:
        await UnaryUnaryMethod(channel, ECHO, bytes, bytes)(b"", metadata={"x-correlation-id": "c-9"})
    assert bound == ["c-9"]


@pytest.mark.parametrize(("path", "streams"), [(COUNT, False), (CHAT, True)])
async def test_what_interceptors_bind_reaches_streaming_handlers(path: str, streams: bool) -> None:
    bound: list[Any] = []

    class Noting(Bytes):
        async def _count(self, stream: Any) -> None:
            bound.append(structlog.contextvars.get_contextvars())
            await super()._count(stream)
            bound.append(structlog.contextvars.get_contextvars())

        async def _chat(self, stream: Any) -> None:
            async for message in stream:
                bound.append(structlog.contextvars.get_contextvars())
                await stream.send_message(message)

    class Binding:
        async def intercept(self, call: Call, proceed: Proceed) -> Any:
            with structlog.contextvars.bound_contextvars(tenant="t-1"):
                return await proceed(call)

    async with channel_to(Noting(), CorrelationInterceptor(), Binding(), LoggingInterceptor()) as channel:
        method: Any = StreamStreamMethod if streams else UnaryStreamMethod
        sent: Any = [b"2", b"1"] if streams else b"2"
        answers = await method(channel, path, bytes, bytes)(sent, metadata={"x-correlation-id": "c-9"})
    assert answers == [b"2", b"1"]
    assert bound == [{"correlation_id": "c-9", "tenant": "t-1"}] * 2
