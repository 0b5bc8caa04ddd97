"""What the type checker accepts and refuses of the decorators: never run, only checked.

Every ``type: ignore`` below is an error that must be reported: mypy's ``warn_unused_ignores`` turns a missing one
into an error. ``test_typing.py`` runs mypy over this file, and so does the types session.
"""

from dataclasses import dataclass
from typing import Any

import betterproto

from angzarr.app import App
from angzarr.destinations import Destinations
from angzarr.messages import (
    BusinessResponse,
    CommandBook,
    ContextualCommand,
    Cover,
    Notification,
    Projection,
    SagaHandleRequest,
    SagaResponse,
)
from angzarr.router import (
    AnyRouter,
    CommandHandlerRouter,
    ProcessManagerResponse,
    Router,
    SagaRouter,
    applies,
    command_handler,
    handles,
    handles_fact,
    process_manager,
    projector,
    rejected,
    saga,
    state_factory,
    upcaster,
    upcasts,
)
from angzarr.server import CommandHandlerGrpc
from tests.bank.messages import (
    Account,
    AccountClosed,
    AccountOpened,
    AccountOpenedV1,
    CloseAccount,
    Deposit,
    Deposited,
    InterestPosted,
    OpenAccount,
    ReceiveTransfer,
    RequestTransfer,
    Withdraw,
)


@dataclass
class State:
    balance: int = 0


@command_handler(domain="account", state=State)
class Accepted:
    @state_factory
    def initial(self) -> State:
        return State()

    @applies(Deposited)
    def deposited(self, state: State, event: Deposited) -> None: ...

    @applies(AccountOpened)
    def opened(self, state: State) -> State:
        return state

    @handles(Deposit)
    async def deposit(self, command: Deposit, state: State, sequence: int) -> Deposited:
        return Deposited()

    @handles(Withdraw)
    def withdraw(self, command: betterproto.Message) -> None: ...

    @handles_fact(InterestPosted)
    def interest(self, fact: InterestPosted, state: State) -> list[Deposited]:
        return []

    @handles(CloseAccount)
    @staticmethod
    def close(command: CloseAccount, state: State) -> None: ...

    @staticmethod
    @handles(OpenAccount)
    def open(command: OpenAccount, state: State) -> None: ...

    @handles(ReceiveTransfer)
    @classmethod
    def receive(cls, command: ReceiveTransfer, state: State) -> None: ...

    @handles(RequestTransfer)
    def request(self, command: RequestTransfer, state: State, **options: Any) -> None: ...

    @handles_fact(InterestPosted)
    def posted(self, *everything: Any, **options: Any) -> None: ...

    @applies(AccountClosed)
    @staticmethod
    def closed(state: State, event: AccountClosed) -> None: ...

    @rejected("inventory", "Reserve")
    def refused(self, notification: Notification, state: State) -> None: ...


@saga(name="s", source="a", target="b")
class AcceptedSaga:
    @handles(Deposited)
    def deposited(
        self, event: Deposited, destinations: Destinations, *, source_cover: Cover
    ) -> CommandBook | None:
        return None


@process_manager(name="p", pm_domain="p", sources=["a"], targets=["b"], state=State)
class AcceptedProcess:
    @handles(Deposited)
    def deposited(self, event: Deposited, state: State, source_seq: int) -> ProcessManagerResponse:
        return ProcessManagerResponse()


@projector(name="v", domains=["*"])
class AcceptedProjector:
    @handles(Deposited)
    async def deposited(self, event: Deposited, cover: Cover) -> None: ...


@upcaster(name="u", domain="account")
class AcceptedUpcaster:
    @upcasts(AccountOpenedV1, AccountOpened)
    def opened(self, old: AccountOpenedV1) -> AccountOpened:
        return AccountOpened(owner=old.name)


@command_handler(domain="account", state=State)
class Refused:
    @handles(Deposit)  # type: ignore[arg-type]
    def deposit(self, command: Withdraw, state: State) -> None: ...

    @handles(Deposit)  # type: ignore[arg-type]
    def nothing(self) -> None: ...

    @handles(Deposit)  # type: ignore[arg-type]
    @staticmethod
    def static(command: Withdraw) -> None: ...

    @handles(int)  # type: ignore[type-var]
    def number(self, command: Any) -> None: ...

    @handles_fact(InterestPosted)  # type: ignore[arg-type]
    def interest(self, fact: Deposited) -> None: ...

    @applies(Deposited)  # type: ignore[arg-type]
    def deposited(self, state: State, event: AccountOpened) -> None: ...

    @upcasts(AccountOpenedV1, AccountOpened)  # type: ignore[arg-type]
    def upcast(self, old: AccountOpened) -> AccountOpened:
        return old


command_handler(domain="account")  # type: ignore[call-arg]
command_handler(domain=7, state=State)  # type: ignore[arg-type]
command_handler(domain="account", state=State())  # type: ignore[arg-type]
saga(name="s", source="a")  # type: ignore[call-arg]
projector(name="v", domains="a")  # type: ignore[arg-type]
rejected("inventory")  # type: ignore[call-arg]
Router("r").with_handler(Accepted)  # type: ignore[call-arg]
Router("r", state_cache="64 MiB")  # type: ignore[arg-type]


async def the_decorated_are_what_they_were() -> None:
    handler = Accepted()
    event: Deposited = await handler.deposit(Deposit(), State(), sequence=3)
    state: State = handler.opened(State())
    handler.deposited(state, event)
    handler.deposited(Account(), event)  # type: ignore[arg-type]
    handler.initial().balance += 1
    handler.initial().name  # type: ignore[attr-defined]  # noqa: B018
    await handler.deposit(Withdraw(), State(), 3)  # type: ignore[arg-type]


def built() -> CommandHandlerRouter:
    return Router("r").with_handler(Accepted, Accepted).build()


def built_of_some_kind() -> AnyRouter:
    return Router("r").with_handler(AcceptedSaga, AcceptedSaga).build()


async def what_is_built_fits_the_place_it_is_put() -> None:
    router = Router("r").with_handler(Accepted, Accepted).build()
    response: BusinessResponse = await router.dispatch(ContextualCommand())
    reaction: SagaResponse = await router.dispatch(SagaHandleRequest())
    projection: Projection = await router.dispatch(response.events, speculative=True)
    CommandHandlerGrpc(router)
    App("a", routers=[router, built()])
    router.dispatch(Deposit())  # type: ignore[call-overload]
    router.dispach(ContextualCommand())  # type: ignore[attr-defined]
    wrong: BusinessResponse = await router.dispatch(SagaHandleRequest())  # type: ignore[assignment]
    sagas: SagaRouter = Router("s").with_handler(AcceptedSaga, AcceptedSaga).build()
    await sagas.dispatch(ContextualCommand())  # type: ignore[arg-type]
    print(reaction, projection, wrong)  # noqa: T201
