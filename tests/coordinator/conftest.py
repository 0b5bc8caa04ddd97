"""A small domain without a router: handlers that speak the seam directly."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any as Anything

import anyio
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator.commands import CommandPipeline
from angzarr.coordinator.config import CoordinatorConfig
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.facts import FactPipeline
from angzarr.coordinator.handlers import Components
from angzarr.coordinator.queries import Queries
from angzarr.coordinator.services import CommandHandlerCoordinatorService, EventQueryService
from angzarr.coordinator.speculation import CompensationPipeline, Speculation
from angzarr.coordinator.store import MEMORY, SqliteStore
from angzarr.messages import (
    UUID,
    Any,
    BusinessResponse,
    CommandBook,
    CommandPage,
    CommandRequest,
    ContextualCommand,
    Cover,
    Edition,
    EventBook,
    EventPage,
    FactRequest,
    PageHeader,
    ReplayRequest,
    ReplayResponse,
    Snapshot,
    has_field,
)

ALICE = b"a" * 16
BOB = b"b" * 16


def event(name: str, amount: int) -> Any:
    return Any(type_url=f"type.googleapis.com/bank.{name}", value=str(amount).encode())


def cover(root: bytes = ALICE, domain: str = "account", correlation_id: str = "", edition: str = "") -> Cover:
    made = Cover(domain=domain, root=UUID(value=root), correlation_id=correlation_id)
    if edition:
        made.edition = Edition(name=edition)
    return made


def command(name: str, amount: int, sequence: int = 0, **fields: Anything) -> CommandPage:
    return CommandPage(header=PageHeader(sequence=sequence), command=event(name, amount), **fields)


def request(*pages: CommandPage, to: Cover | None = None, **fields: Anything) -> CommandRequest:
    return CommandRequest(
        command=CommandBook(cover=cover() if to is None else to, pages=list(pages)), **fields
    )


def amounts(book: EventBook) -> list[tuple[int, str]]:
    """Sequence, and event name with amount."""
    return [
        (page.header.sequence, f"{page.event.type_url.rpartition('.')[2]} {page.event.value.decode()}")
        for page in book.pages
    ]


@dataclass
class Account:
    """Balance and limit of an account; state is two fields, so that commands can commute.

    ``Deposit`` and ``Withdraw`` change field 1, ``Limit`` field 2.
    """

    calls: list[ContextualCommand] = field(default_factory=list)
    facts: list[FactRequest] = field(default_factory=list)
    replays: bool = True
    takes_facts: bool = True
    answer: BusinessResponse | None = None
    hang: bool = False

    async def handle(self, request: ContextualCommand) -> BusinessResponse:
        self.calls.append(request)
        if self.hang:
            await anyio.sleep_forever()
        if self.answer is not None:
            return self.answer
        sequence = request.events.next_sequence
        balance, _ = self.state(request.events)
        pages = []
        for number, page in enumerate(request.command.pages):
            name, amount = page.command.type_url.rpartition(".")[2], int(page.command.value)
            if name == "Withdraw" and amount > balance:
                raise GRPCError(Status.FAILED_PRECONDITION, "balance too low", b"details")
            if name == "Nothing":
                return BusinessResponse(events=EventBook())
            pages.append(
                EventPage(header=PageHeader(sequence=sequence + number), event=event(f"{name}ed", amount))
            )
        return BusinessResponse(events=EventBook(cover=request.command.cover, pages=pages))

    async def handle_fact(self, request: FactRequest) -> EventBook:
        self.facts.append(request)
        if not self.takes_facts:
            raise GRPCError(Status.UNIMPLEMENTED, "no @handles_fact")
        return EventBook(pages=[EventPage(event=event("Noticed", len(request.facts.pages)))])

    async def replay(self, request: ReplayRequest) -> ReplayResponse:
        if not self.replays:
            raise GRPCError(Status.UNIMPLEMENTED, "no supports_replay")
        book = EventBook(pages=request.events)
        if has_field(request, "base_snapshot"):
            book.snapshot = request.base_snapshot
        balance, limit = self.state(book)
        return ReplayResponse(
            state=Any(type_url="type.googleapis.com/bank.State", value=bytes([8, balance, 16, limit]))
        )

    @staticmethod
    def state(book: EventBook) -> tuple[int, int]:
        balance = limit = 0
        if has_field(book, "snapshot"):
            balance, limit = book.snapshot.state.value[1], book.snapshot.state.value[3]
        for page in book.pages:
            name, amount = page.event.type_url.rpartition(".")[2], page.event.value
            if name in {"Deposited", "Withdrawed"}:
                balance += int(amount) if name == "Deposited" else -int(amount)
            if name == "Limited":
                limit = int(amount)
        return balance, limit


def snapshot(balance: int, limit: int = 0, **fields: Anything) -> Snapshot:
    state = Any(type_url="type.googleapis.com/bank.State", value=bytes([8, balance, 16, limit]))
    return Snapshot(state=state, **fields)


@dataclass
class Bench:
    """An engine on a store, with its services."""

    engine: Engine
    account: Account

    def __post_init__(self) -> None:
        self.pipeline = CommandPipeline(self.engine)
        self.service = CommandHandlerCoordinatorService(
            self.pipeline,
            FactPipeline(self.engine),
            Speculation(self.engine),
            CompensationPipeline(self.engine),
        )
        self.query = EventQueryService(Queries(self.engine.store))


@contextlib.asynccontextmanager
async def bench_on(
    path: str = MEMORY, config: CoordinatorConfig | None = None, **components: Anything
) -> AsyncIterator[Bench]:
    store = SqliteStore(path)
    await store.open()
    account = Account()
    handlers = Components(command_handlers={"account": account}, **components)
    try:
        yield Bench(Engine(store, handlers, config or CoordinatorConfig()), account)
    finally:
        await store.close()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with bench_on() as made:
        yield made
