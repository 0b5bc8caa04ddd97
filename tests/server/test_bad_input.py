"""What bad input and bad handlers get over the wire, from routers of all five kinds."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from grpclib.const import Cardinality, Handler, Status
from structlog.testing import capture_logs

from angzarr.client import Channel, ChannelStub
from angzarr.errors import GRPCError
from angzarr.messages import (
    Any as PackedAny,
)
from angzarr.messages import (
    CommandBook,
    CommandPage,
    ContextualCommand,
    EventBook,
    EventPage,
    FactRequest,
    Notification,
    ProcessManagerHandleRequest,
    ReplayRequest,
    SagaHandleRequest,
    Snapshot,
    UpcastRequest,
    full_type_url_for,
    services,
)
from angzarr.messages.services import Service
from angzarr.router import (
    applies,
    command_handler,
    handles,
    handles_fact,
    process_manager,
    projector,
    saga,
    upcaster,
    upcasts,
)
from angzarr.server import GrpcServer, ServerOptions
from tests.bank.domain import bank
from tests.bank.messages import (
    Account,
    AccountOpened,
    AccountOpenedV1,
    Deposit,
    Deposited,
    InterestPosted,
    Onboarding,
    OnboardingStarted,
    OpenAccount,
    TransferRequested,
)
from tests.router.helpers import (
    ROOT,
    book,
    command_router,
    cover,
    page,
    process_router,
    projector_router,
    request,
    saga_router,
    upcaster_router,
)

TORN = b"\x0a\x09abc"
"""Field 1, of nine bytes, three of which are there."""


def torn(cls: type) -> PackedAny:
    return PackedAny(type_url=full_type_url_for(cls), value=TORN)


def torn_book(cls: type) -> EventBook:
    return EventBook(cover=cover(), pages=[EventPage(event=torn(cls))], next_sequence=1)


def torn_command(cls: type) -> CommandBook:
    return CommandBook(cover=cover(), pages=[CommandPage(command=torn(cls))])


def after(history: EventBook) -> ContextualCommand:
    return request(Deposit(amount=1), after=history)


@asynccontextmanager
async def served(*routers: Any) -> AsyncIterator[Channel]:
    async with GrpcServer(routers, options=ServerOptions(linger=0.05)) as server:
        channel = Channel(await server.listen("127.0.0.1:0"))
        yield channel
        await channel.aclose()


async def refusal(channel: Channel, service: Service, method: str, message: Any) -> GRPCError:
    with pytest.raises(GRPCError) as caught:
        await getattr(ChannelStub(channel, service), method)(message, timeout=30)
    return caught.value


@pytest.mark.parametrize(
    ("service", "method", "message", "cls", "path"),
    [
        (
            services.COMMAND_HANDLER,
            "handle",
            ContextualCommand(command=torn_command(OpenAccount)),
            OpenAccount,
            "owner",
        ),
        (services.COMMAND_HANDLER, "handle", after(torn_book(AccountOpened)), AccountOpened, "owner"),
        (
            services.COMMAND_HANDLER,
            "handle",
            after(EventBook(cover=cover(), snapshot=Snapshot(state=torn(Account)))),
            Account,
            "owner",
        ),
        (
            services.COMMAND_HANDLER,
            "handle",
            ContextualCommand(command=torn_command(Notification)),
            Notification,
            "cover",
        ),
        (
            services.COMMAND_HANDLER,
            "handle_fact",
            FactRequest(facts=torn_book(InterestPosted)),
            InterestPosted,
            "",
        ),
        (
            services.COMMAND_HANDLER,
            "replay",
            ReplayRequest(events=torn_book(AccountOpened).pages),
            AccountOpened,
            "owner",
        ),
        (
            services.SAGA,
            "handle",
            SagaHandleRequest(source=torn_book(TransferRequested)),
            TransferRequested,
            "to",
        ),
        (
            services.PROCESS_MANAGER,
            "handle",
            ProcessManagerHandleRequest(trigger=torn_book(AccountOpened)),
            AccountOpened,
            "owner",
        ),
        (
            services.PROCESS_MANAGER,
            "handle",
            ProcessManagerHandleRequest(
                trigger=book(Deposited(amount=1)), process_state=torn_book(OnboardingStarted)
            ),
            OnboardingStarted,
            "owner",
        ),
        (services.PROJECTOR, "handle", torn_book(Deposited), Deposited, ""),
        (services.PROJECTOR, "handle_speculative", torn_book(Deposited), Deposited, ""),
        (
            services.UPCASTER,
            "upcast",
            UpcastRequest(domain="account", events=torn_book(AccountOpenedV1).pages),
            AccountOpenedV1,
            "name",
        ),
    ],
)
async def test_an_undecodable_payload_is_named_with_its_type_and_field(
    service: Service, method: str, message: Any, cls: type, path: str
) -> None:
    async with served(*bank()) as channel:
        error = await refusal(channel, service, method, message)
    assert (error.grpc_code, error.code) == (Status.INVALID_ARGUMENT, "ANY_DECODE_FAILED")
    assert error.grpc_details == "failed to decode Any payload into expected message type"
    assert error.details["type_url"] == full_type_url_for(cls)
    assert error.details["path"].rpartition(".")[2] == path
    assert error.details["cause"]


def broken(failing: Any, **options: Any) -> tuple[Any, ...]:
    """A router of each kind, whose methods end as the function does."""

    @command_handler(domain="account", state=Account)
    class Commands:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> Any:
            return failing()

    @saga(name="s", source="account", target="account")
    class Saga:
        @handles(Deposited)
        async def deposited(self, event: Deposited) -> Any:
            return failing()

    @process_manager(name="p", pm_domain="p", sources=["account"], targets=["x"], state=Onboarding)
    class Process:
        @handles(Deposited)
        def deposited(self, event: Deposited) -> Any:
            return failing()

    @projector(name="v", domains=["account"])
    class View:
        @handles(Deposited)
        async def deposited(self, event: Deposited) -> Any:
            return failing()

    @upcaster(name="u", domain="account")
    class Upcaster:
        @upcasts(AccountOpenedV1, AccountOpened)
        def opened(self, old: AccountOpenedV1) -> Any:
            return failing()

    return (
        command_router(Commands, **options),
        saga_router(Saga, **options),
        process_router(Process, **options),
        projector_router(View, **options),
        upcaster_router(Upcaster, **options),
    )


CALLS: list[tuple[Service, str, Any]] = [
    (services.COMMAND_HANDLER, "handle", request(Deposit(amount=1))),
    (services.SAGA, "handle", SagaHandleRequest(source=book(Deposited(amount=1)))),
    (services.PROCESS_MANAGER, "handle", ProcessManagerHandleRequest(trigger=book(Deposited(amount=1)))),
    (services.PROJECTOR, "handle", book(Deposited(amount=1))),
    (services.UPCASTER, "upcast", UpcastRequest(domain="account", events=[page(AccountOpenedV1(name="a"))])),
]


@pytest.mark.parametrize(
    ("call", "where"),
    [
        (CALLS[0], "Commands.deposit, handling bank.Deposit"),
        (CALLS[1], "Saga.deposited, handling bank.Deposited"),
        (CALLS[2], "Process.deposited, handling bank.Deposited"),
        (CALLS[3], "View.deposited, handling bank.Deposited"),
        (CALLS[4], "Upcaster.opened, handling bank.AccountOpenedV1"),
    ],
)
async def test_a_handler_that_raises_is_named_and_leaves_the_server_serving(
    call: tuple[Service, str, Any], where: str
) -> None:
    def fail() -> None:
        raise LookupError("a secret")

    async with served(*broken(fail)) as channel:
        with capture_logs() as logged:
            errors = [await refusal(channel, *call) for _ in range(3)]
    for error in errors:
        assert error.grpc_code is Status.INTERNAL
        assert f"LookupError in {where} of account" in (error.grpc_details or "")
        assert "secret" not in (error.grpc_details or "")
    failures = [line for line in logged if line["event"] == "handler_failed"]
    assert [line["handler"] for line in failures] == [where.partition(",")[0]] * 3
    assert repr(failures[0]["exc_info"]) == "LookupError('a secret')"


@pytest.mark.parametrize(
    ("index", "code", "who", "method"),
    [
        (0, "HANDLER_WRONG_RESPONSE_KIND", "Commands", "deposit"),
        (1, "SAGA_HANDLER_UNSUPPORTED_RETURN_TYPE", "Saga", "deposited"),
        (2, "PM_HANDLER_WRONG_RETURN_TYPE", "Process", "deposited"),
        (4, "UPCASTER_WRONG_RESPONSE_KIND", "Upcaster", "opened"),
    ],
)
async def test_a_handler_that_returns_the_wrong_thing_is_named_with_what_it_returned(
    index: int, code: str, who: str, method: str
) -> None:
    async with served(*broken(lambda: {"amount": 7})) as channel:
        with capture_logs() as logged:
            error = await refusal(channel, *CALLS[index])
    named = {
        "handler_class": who,
        "method": method,
        "actual_return_type": "dict",
        "actual": "{'amount': 7}",
    }
    assert (error.grpc_code, error.code, error.details) == (Status.INTERNAL, code, named)
    (line,) = [line for line in logged if line["log_level"] == "error"]
    assert line == {"event": "handler_answered_wrongly", "log_level": "error", "code": code, **named}


async def test_what_a_projector_returns_besides_messages_does_not_matter() -> None:
    async with served(*broken(lambda: {"amount": 7})) as channel:
        stub = ChannelStub(channel, services.PROJECTOR)
        assert (await stub.handle(book(Deposited(amount=1)), timeout=30)).projector == "v"


class Odd(BaseException):
    """Neither a cancellation nor an exit, and yet no Exception."""


@dataclass(frozen=True)
class Frozen(Exception):
    """Takes no notes."""


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class Obliging(Exception):
    def __getattr__(self, name: str) -> str:
        return "anything"


@pytest.mark.parametrize(
    ("odd", "name"),
    [
        (Odd, "Odd"),
        (Frozen, "Frozen"),
        (Unprintable, "Unprintable"),
        (Obliging, "Obliging"),
        (lambda: BaseExceptionGroup("both", [Odd(), Odd()]), "BaseExceptionGroup"),
    ],
)
async def test_whatever_a_handler_raises_its_caller_is_told_what_and_where(odd: Any, name: str) -> None:
    def fail() -> None:
        raise odd()

    async with served(*broken(fail, expose_internal_errors=True)) as channel:
        errors = [await refusal(channel, *call) for call in CALLS]
    assert [error.grpc_code for error in errors] == [Status.INTERNAL] * 5
    told = [str(error.grpc_details).partition(", handling")[0] for error in errors]
    assert told == [
        f"{name} in {where}"
        for where in (
            "Commands.deposit",
            "Saga.deposited",
            "Process.deposited",
            "View.deposited",
            "Upcaster.opened",
        )
    ]


@pytest.mark.parametrize(
    ("index", "where"),
    [
        (0, "Commands.deposit, handling bank.Deposit of account"),
        (3, "View.deposited, handling bank.Deposited of account"),
        (4, "Upcaster.opened, handling bank.AccountOpenedV1 of account"),
    ],
)
async def test_a_handler_that_returns_what_cannot_be_encoded_is_named(index: int, where: str) -> None:
    async with served(*broken(lambda: AccountOpened(owner=5))) as channel:  # type: ignore[arg-type]
        error = await refusal(channel, *CALLS[index])
    assert error.grpc_code is Status.INTERNAL
    assert str(error.grpc_details).startswith(f"EncodeError in {where}")
    assert str(error.grpc_details).endswith(": AccountOpened.owner: string expected, got 5 of type int")


ACCOUNT = "account/" + ROOT.hex()
FACT, PRIOR = book(InterestPosted()), book(Deposited())


@pytest.mark.parametrize(
    ("breaks", "method", "message", "where"),
    [
        (True, "handle_fact", FactRequest(facts=FACT), f"bank.InterestPosted of {ACCOUNT}"),
        (
            False,
            "handle_fact",
            FactRequest(facts=FACT, prior_events=PRIOR),
            f"bank.InterestPosted of {ACCOUNT}",
        ),
        (True, "replay", ReplayRequest(), "angzarr_client.proto.angzarr.ReplayRequest of account"),
        (False, "replay", ReplayRequest(events=PRIOR.pages), "bank.Deposited of account"),
    ],
    ids=["factory for facts", "applier for facts", "factory for a replay", "applier for a replay"],
)
async def test_what_fails_before_there_is_a_method_to_call_is_named_by_its_class(
    breaks: bool, method: str, message: Any, where: str
) -> None:
    made = []

    @command_handler(domain="account", state=Account, supports_replay=True)
    class Failing:
        def __init__(self) -> None:
            made.append(self)
            if breaks and len(made) == 2:
                raise LookupError

        @applies(Deposited)
        def deposited(self, state: Account) -> None:
            raise LookupError

        @handles_fact(InterestPosted)
        def posted(self, event: InterestPosted) -> None:
            raise AssertionError("called")

    async with served(command_router(Failing)) as channel:
        error = await refusal(channel, services.COMMAND_HANDLER, method, message)
    assert str(error.grpc_details).startswith(f"LookupError in Failing, handling {where}; correlation id ")


@pytest.mark.parametrize(
    ("event", "named"),
    [(Deposited(), "bank.Deposited"), (AccountOpened(), "angzarr_client.proto.angzarr.EventBook")],
)
async def test_a_projector_that_cannot_be_made_is_named(event: Any, named: str) -> None:
    @projector(name="v", domains=["account"])
    class View:
        def __init__(self) -> None:
            raise LookupError

        @handles(Deposited)
        def deposited(self, event: Deposited) -> None:
            raise AssertionError("called")

    async with served(projector_router(View)) as channel:
        error = await refusal(channel, services.PROJECTOR, "handle", book(event))
    assert f"LookupError in View, handling {named} of {ACCOUNT}" in str(error.grpc_details)


async def test_what_a_service_that_is_no_router_raises_is_named_too() -> None:
    class Service:
        def __mapping__(self) -> dict[str, Handler]:
            async def fail(stream: Any) -> None:
                raise Odd

            return {"/x.Y/Z": Handler(fail, Cardinality.UNARY_UNARY, EventBook, EventBook)}

    async with served(Service()) as channel:
        rpc = services.Rpc("/x.Y/Z", "Z", EventBook, EventBook)
        for _ in range(2):
            error = await refusal(channel, services.Service("x.Y", {"Z": rpc}), "z", EventBook())
            assert error.grpc_code is Status.INTERNAL
            assert str(error.grpc_details).startswith("Odd; correlation id ")


async def test_a_handler_that_exits_leaves_the_server_serving() -> None:
    def leave() -> None:
        sys.exit("enough")

    async with served(*broken(leave)) as channel:
        with capture_logs() as logged:
            errors = [await refusal(channel, *call) for call in CALLS]
    assert {error.grpc_code for error in errors} == {Status.INTERNAL}
    assert "bank.Deposit" in str(errors[0].grpc_details)
    failures = [line for line in logged if line["event"] == "handler_failed"]
    assert "called exit('enough')" in str(failures[0]["exc_info"])
