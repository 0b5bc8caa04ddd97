"""Routers behind a real grpclib server, with grpclib's own codec and with ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from grpclib import GRPCError
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.encoding.base import CodecBase, StatusDetailsCodecBase
from grpclib.server import Server
from structlog.testing import capture_logs

from angzarr._gen.google.rpc import ErrorInfo
from angzarr._gen.google.rpc import Status as RpcStatus
from angzarr.codec import GrpcCodec
from angzarr.messages import (
    ContextualCommand,
    EventBook,
    FactRequest,
    ProcessManagerHandleRequest,
    ReplayRequest,
    SagaHandleRequest,
    UpcastRequest,
    decode,
    services,
    unpack,
)
from angzarr.messages.services import Rpc
from angzarr.router import AnyRouter, command_handler, handles, projector
from angzarr.router.grpc import CommandHandlerGrpc, ProjectorGrpc
from tests.bank.domain import Accounts, bank
from tests.bank.messages import (
    Account,
    AccountOpened,
    AccountOpenedV1,
    AuditAccount,
    Deposit,
    Deposited,
    InterestPosted,
    OpenAccount,
    TransferRequested,
)
from tests.router.helpers import (
    OTHER,
    book,
    command_router,
    cover,
    events_in,
    page,
    projector_router,
    request,
)


class RawDetails(StatusDetailsCodecBase):
    def encode(self, status: Status, message: str | None, details: Any) -> bytes:
        raise NotImplementedError

    def decode(self, status: Status, message: str | None, data: bytes) -> Any:
        return data


@pytest.fixture(params=[None, GrpcCodec()], ids=["grpclib's codec", "our codec"])
def codec(request: pytest.FixtureRequest) -> CodecBase | None:
    found: CodecBase | None = request.param
    return found


@asynccontextmanager
async def served(*routers: Any, codec: CodecBase | None = None) -> AsyncIterator[Channel]:
    """A channel to a grpclib server of the routers, over a Unix socket."""
    async with anyio.TemporaryDirectory() as directory:
        path = f"{directory}/router.sock"
        server = Server(list(routers), codec=codec)
        await server.start(path=path)
        channel = Channel(path=path, codec=GrpcCodec(), status_details_codec=RawDetails())
        try:
            yield channel
        finally:
            channel.close()
            server.close()
            await server.wait_closed()


async def call(channel: Channel, rpc: Rpc, message: Any) -> Any:
    return await UnaryUnaryMethod(channel, rpc.path, rpc.request, rpc.response)(message, timeout=10)


async def test_every_rpc_of_every_kind_is_served(codec: CodecBase | None) -> None:
    async with served(*bank(), codec=codec) as channel:
        opened = await call(channel, services.COMMAND_HANDLER.rpcs["Handle"], request(OpenAccount(owner="a")))
        fact = await call(
            channel,
            services.COMMAND_HANDLER.rpcs["HandleFact"],
            FactRequest(facts=EventBook(cover=cover(), pages=[page(InterestPosted(amount=1))])),
        )
        replayed = await call(
            channel, services.COMMAND_HANDLER.rpcs["Replay"], ReplayRequest(events=opened.events.pages)
        )
        reaction = await call(
            channel,
            services.SAGA.rpcs["Handle"],
            SagaHandleRequest(source=book(TransferRequested(to=OTHER, amount=1))),
        )
        process = await call(
            channel,
            services.PROCESS_MANAGER.rpcs["Handle"],
            ProcessManagerHandleRequest(trigger=opened.events),
        )
        shown = await call(channel, services.PROJECTOR.rpcs["Handle"], book(Deposited(amount=1)))
        upcast = await call(
            channel,
            services.UPCASTER.rpcs["Upcast"],
            UpcastRequest(domain="account", events=[page(AccountOpenedV1(name="x"))]),
        )
    assert events_in(fact) == [Deposited(amount=1, balance=1)]
    assert unpack(replayed.state, Account).owner == "a"
    assert len(reaction.commands) == 1
    assert len(process.process_events) == 1
    assert shown.projector == "statements"
    assert unpack(upcast.events[0].event, AccountOpened).owner == "x"


async def test_a_rejection_travels_with_status_message_code_and_details(codec: CodecBase | None) -> None:
    async with served(command_router(Accounts), codec=codec) as channel:
        with pytest.raises(GRPCError) as caught:
            await call(channel, services.COMMAND_HANDLER.rpcs["Handle"], request(Deposit(amount=0)))
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert caught.value.message == "value must be positive"
    info = decode(ErrorInfo, decode(RpcStatus, caught.value.details).details[0].value)
    assert (info.reason, info.domain) == ("VALUE_NOT_POSITIVE", "angzarr")
    assert info.metadata == {"field": "amount"}


async def test_a_dispatch_error_travels_with_its_extras(codec: CodecBase | None) -> None:
    async with served(command_router(Accounts), codec=codec) as channel:
        with pytest.raises(GRPCError) as caught:
            await call(channel, services.COMMAND_HANDLER.rpcs["Handle"], request(AuditAccount()))
    info = decode(ErrorInfo, decode(RpcStatus, caught.value.details).details[0].value)
    assert info.reason == "NO_HANDLER_REGISTERED"
    assert info.metadata["type_url"] == "type.googleapis.com/bank.AuditAccount"


@command_handler(domain="account", state=Account)
class Broken:
    @handles(Deposit)
    def deposit(self, command: Deposit) -> None:
        raise LookupError("secret")


@pytest.mark.parametrize(("exposed", "shown"), [(False, False), (True, True)])
async def test_a_handler_that_raises_leaves_the_server_serving(
    codec: CodecBase | None, exposed: bool, shown: bool
) -> None:
    router = command_router(Broken, expose_internal_errors=exposed)
    async with served(router, codec=codec) as channel:
        with capture_logs() as logs:
            for _ in range(2):
                with pytest.raises(GRPCError) as caught:
                    await call(channel, services.COMMAND_HANDLER.rpcs["Handle"], request(Deposit()))
    assert caught.value.status is Status.INTERNAL
    assert caught.value.message is not None
    assert "LookupError in Broken.deposit, handling bank.Deposit" in caught.value.message
    assert "corr-1" in caught.value.message
    assert ("secret" in caught.value.message) is shown
    assert [line["event"] for line in logs] == ["handler_failed", "handler_failed"]


class Odd(BaseException):
    pass


async def test_what_is_no_exception_is_told_to_the_caller_too(codec: CodecBase | None) -> None:
    @command_handler(domain="account", state=Account)
    class Strange:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> None:
            raise Odd

    async with served(command_router(Strange), codec=codec) as channel:
        for _ in range(2):
            with pytest.raises(GRPCError) as caught:
                await call(channel, services.COMMAND_HANDLER.rpcs["Handle"], request(Deposit()))
            assert caught.value.status is Status.INTERNAL
            assert "Odd in Strange.deposit, handling bank.Deposit" in (caught.value.message or "")


@pytest.mark.parametrize("end", [asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit])
def test_what_ends_a_call_or_the_process_stays_what_it_is(end: type[BaseException]) -> None:
    @command_handler(domain="account", state=Account)
    class Ending:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> None:
            raise end

    answer = CommandHandlerGrpc(command_router(Ending)).Handle(request(Deposit()))
    with pytest.raises(end):
        answer.send(None)  # outside of a loop, which some of them would end


@pytest.mark.parametrize(
    ("rpc", "message", "named"),
    [("HandleFact", FactRequest(), "@handles_fact"), ("Replay", ReplayRequest(), "supports_replay")],
)
async def test_optional_rpcs_are_unimplemented_until_a_handler_opts_in(
    codec: CodecBase | None, rpc: str, message: Any, named: str
) -> None:
    async with served(command_router(Broken), codec=codec) as channel:
        with pytest.raises(GRPCError) as caught:
            await call(channel, services.COMMAND_HANDLER.rpcs[rpc], message)
    assert caught.value.status is Status.UNIMPLEMENTED
    assert named in (caught.value.message or "")


async def test_a_malformed_request_is_an_invalid_argument() -> None:
    class Garbage(CodecBase):
        __content_subtype__ = "proto"

        def encode(self, message: Any, message_type: Any) -> bytes:
            return b"\x0a\x7f"

        def decode(self, data: bytes, message_type: Any) -> Any:
            raise NotImplementedError

    async with served(command_router(Accounts), codec=GrpcCodec()) as channel:
        channel._codec = Garbage()
        with pytest.raises(GRPCError) as caught:
            await call(channel, services.COMMAND_HANDLER.rpcs["Handle"], ContextualCommand())
    assert caught.value.status is Status.INVALID_ARGUMENT


async def test_speculative_projections_are_told_so() -> None:
    told = []

    @projector(name="p", domains=["*"])
    class Telling:
        @handles(Deposited)
        def deposited(self, event: Deposited, speculative: bool) -> None:
            told.append(speculative)

    adapter = ProjectorGrpc(projector_router(Telling))
    await adapter.Handle(book(Deposited()))
    await adapter.HandleSpeculative(book(Deposited()))
    assert told == [False, True]


async def test_an_adapter_can_be_called_directly() -> None:
    adapter = CommandHandlerGrpc(command_router(Accounts))
    response = await adapter.Handle(request(OpenAccount(owner="a")))
    assert len(response.events.pages) == 1
    with pytest.raises(GRPCError) as caught:
        await adapter.Handle(request(Deposit()))
    assert caught.value.status is Status.INVALID_ARGUMENT


def test_the_mapping_names_every_rpc_of_the_service() -> None:
    routers: tuple[AnyRouter, ...] = tuple(bank())
    paths = [path for router in routers for path in router.__mapping__()]
    package = "/angzarr_client.proto.angzarr."
    assert paths == [
        package + name
        for name in (
            "CommandHandlerService/Handle",
            "CommandHandlerService/HandleFact",
            "CommandHandlerService/Replay",
            "SagaService/Handle",
            "ProcessManagerService/Handle",
            "ProjectorService/Handle",
            "ProjectorService/HandleSpeculative",
            "UpcasterService/Upcast",
        )
    ]
