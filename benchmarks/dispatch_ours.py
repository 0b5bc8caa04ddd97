"""The dispatch job with our router: the same requests and handlers as in benchmarks/dispatch_theirs.py."""

import asyncio
import gc
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from angzarr import codec
from angzarr.messages import (
    UUID,
    BusinessResponse,
    CommandBook,
    CommandPage,
    ContextualCommand,
    Cover,
    EventBook,
    EventPage,
    PageHeader,
    pack,
    unpack,
)
from angzarr.router import CommandHandlerRouter, Router, applies, command_handler, handles
from tests.bank import messages as bank

EVENTS = (
    "AccountOpened",
    "Deposited",
    "Withdrawn",
    "TransferRequested",
    "TransferReceived",
    "TransferReturned",
    "AccountClosed",
    "InterestPosted",
    "AccountOpenedV1",
    "AccountOpenedV2",
    "OnboardingStarted",
    "OnboardingDeposit",
)
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@dataclass
class State:
    owner: str = ""
    balance: int = 0
    others: int = 0


@cache
def router(types: int, state_cache: int | None = None) -> CommandHandlerRouter:
    class Accounts:
        @applies(bank.AccountOpened)
        def opened(self, state: State, event: bank.AccountOpened) -> None:
            state.owner = event.owner

        @applies(bank.Deposited)
        def deposited(self, state: State, event: bank.Deposited) -> None:
            state.balance = event.balance

        @handles(bank.Deposit)
        def deposit(self, command: bank.Deposit, state: State, sequence: int) -> bank.Deposited:
            return bank.Deposited(amount=command.amount, balance=state.balance + command.amount)

    for name in EVENTS[2:types]:
        setattr(Accounts, f"apply_{name}", _other(getattr(bank, name)))
    cls = command_handler(domain="account", state=State)(Accounts)
    built = Router("bench", state_cache=state_cache).with_handler(cls, cls).build()
    assert isinstance(built, CommandHandlerRouter)
    return built


def _other(event_type: Any) -> Any:
    def apply(self: Any, state: State, event: Any) -> None:
        state.others += 1

    return applies(event_type)(apply)


def _event(name: str, index: int) -> Any:
    if name == "AccountOpened":
        return bank.AccountOpened(owner="alice")
    if name == "Deposited":
        return bank.Deposited(amount=1, balance=index)
    return getattr(bank, name)()


def kind_of(index: int, types: int) -> str:
    return EVENTS[index % types] if types > 2 else EVENTS[min(index, 1)]


@cache
def request(events: int, types: int) -> bytes:
    """A Deposit after so many events; of twelve types they come in turn, of two the first is AccountOpened."""
    cover = Cover(
        root=UUID(value=bytes(range(16))),
        domain="account",
        correlation_id="5f0c5e5e-0b1c-4bdb-9c2a-6f2f9b4f0f10",
    )
    pages = [
        EventPage(
            header=PageHeader(sequence=index),
            created_at=AT,
            event=pack(_event(kind_of(index, types), index)),
        )
        for index in range(events)
    ]
    command = CommandPage(header=PageHeader(sequence=events), command=pack(bank.Deposit(amount=5)))
    return codec.encode(
        ContextualCommand(
            events=EventBook(cover=cover, pages=pages, next_sequence=events),
            command=CommandBook(cover=cover, pages=[command]),
        )
    )


def check(events: int, types: int) -> None:
    """Make sure that the job does what it should."""
    answer = asyncio.run(router(types).dispatch_bytes(request(events, types)))
    emitted = unpack(codec.decode(BusinessResponse, answer).events.pages[0].event, bank.Deposited)
    deposits = [index for index in range(events) if kind_of(index, types) == "Deposited"]
    assert emitted.balance == (deposits[-1] if deposits else 0) + 5, emitted


def seconds(events: int, types: int, calls: int) -> float:
    """How long so many calls take, bytes in to bytes out."""
    data = request(events, types)
    return asyncio.run(_repeat(router(types), [data] * calls, before=[data] * (calls // 5 + 1)))


def seconds_growing(events: int, types: int, calls: int) -> float:
    """How long so many calls take with a state cache, when each request has one page more than the one before."""
    histories = [request(events + grown, types) for grown in range(calls + 2)]
    return asyncio.run(_repeat(router(types, 64 << 20), histories[2:], before=histories[:2]))


async def _repeat(built: CommandHandlerRouter, requests: list[bytes], before: list[bytes]) -> float:
    gc.collect()
    for data in before:
        await built.dispatch_bytes(data)
    start = time.process_time()
    for data in requests:
        await built.dispatch_bytes(data)
    return time.process_time() - start
