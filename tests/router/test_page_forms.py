"""Pages of forms seen before are recognised, and only those."""

from typing import Any

import pytest

from angzarr.errors import DecodeError, EncodeError
from angzarr.messages import BusinessResponse, EventBook, Notification, decode, encode
from angzarr.router import CommandHandlerRouter, applies, command_handler, handles, rejected
from angzarr.router.raw import shapes
from angzarr.router.raw.shapes import Shapes
from tests.bank.domain import Accounts
from tests.bank.messages import (
    Account,
    AccountClosed,
    AccountOpened,
    Deposit,
    Deposited,
    TransferReceived,
    TransferReturned,
)
from tests.router.conftest import Dispatch
from tests.router.helpers import book, command, command_router, cover, notification, page, request


@command_handler(domain="account", state=Account)
class Counting:
    @applies(Deposited)
    def deposited(self, state: Account, event: Deposited) -> None:
        state.balance += event.amount

    @applies(TransferReceived)
    def received(self, state: Account) -> None:
        state.balance += 1_000

    @applies(TransferReturned)
    def returned(self, state: Account) -> None:
        state.balance += 1_000_000

    @handles(Deposit)
    def deposit(self, command: Deposit, state: Account) -> AccountClosed:
        return AccountClosed(reason=str(state.balance))


async def told(router: CommandHandlerRouter, history: EventBook) -> str:
    data = encode(request(Deposit(), after=history))
    answer = decode(BusinessResponse, await router.dispatch_bytes(data))
    return decode(AccountClosed, answer.events.pages[0].event.value).reason


async def test_digits_of_sequence_time_and_value_may_differ() -> None:
    router = command_router(Counting)
    history = EventBook(pages=[page(Deposited(amount=amount), 200 + amount) for amount in range(1, 100)])
    assert await told(router, history) == str(sum(range(1, 100)))


async def test_types_whose_pages_are_as_long_are_told_apart() -> None:
    router = command_router(Counting)
    history = book(TransferReceived(), TransferReturned(), TransferReceived(), TransferReturned())
    assert await told(router, history) == "2002000"


async def test_a_known_form_with_a_digit_that_goes_on_is_read_anew() -> None:
    router = command_router(Counting)
    usual = EventBook(pages=[page(Deposited(amount=7), 1)])
    assert await told(router, usual) == "7"
    data = encode(request(Deposit(), after=usual))
    broken = data.replace(b"\x0a\x02\x08\x01\x12", b"\x0a\x02\x08\x81\x12", 1)
    assert broken != data
    with pytest.raises(DecodeError, match=r"events.pages\[0\].header"):
        await router.dispatch_bytes(broken)


async def test_a_known_form_whose_value_is_longer_than_its_page_is_an_error() -> None:
    router = command_router(Counting)
    history = EventBook(pages=[page(Deposited(amount=7), 1), page(Deposited(amount=8), 2)])
    assert await told(router, history) == "15"
    data = encode(request(Deposit(), after=history))
    with pytest.raises(DecodeError):
        await router.dispatch_bytes(
            data.replace(b"Deposited\x12\x02\x08\x08", b"Deposited\x12\x03\x08\x08", 1)
        )


def learnt(known: Shapes, event: Any, sequence: int = 0) -> None:
    data = encode(page(event, sequence))
    assert known.learn(data, 0, len(data)) is not None


def test_of_one_size_the_latest_eight_are_kept() -> None:
    known = Shapes({})
    for number in range(20):
        learnt(known, Deposited(), number)
    (kept,) = known.by_size.values()
    assert len(kept) == 8


def test_no_more_are_kept_than_a_few_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_MOST", 5)
    known = Shapes({})
    for size in range(50):
        learnt(known, AccountOpened(owner="x" * size))
        assert len(known.by_size) <= 5


async def test_a_plain_function_may_answer_with_an_awaitable() -> None:
    async def later(command: Deposit) -> Deposited:
        return Deposited(amount=command.amount)

    @command_handler(domain="account", state=Account)
    class Later:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> Any:
            return later(command)

        @handles(AccountOpened)
        def refuse(self, command: AccountOpened) -> Any:
            async def failing() -> None:
                raise ZeroDivisionError

            return failing()

    router = command_router(Later)
    for _ in range(2):
        answer = decode(BusinessResponse, await router.dispatch_bytes(encode(request(Deposit(amount=3)))))
        assert decode(Deposited, answer.events.pages[0].event.value).amount == 3
    with pytest.raises(ZeroDivisionError) as caught:
        await router.dispatch_bytes(encode(request(AccountOpened())))
    assert "Later.refuse" in caught.value.__notes__[0]


@pytest.mark.parametrize(("next_sequence", "fits"), [(2**32 - 2, True), (2**32 - 1, False)])
async def test_an_event_of_a_class_emitted_before_takes_the_last_sequence_only_once(
    next_sequence: int, fits: bool
) -> None:
    router = command_router(Accounts)
    for _ in range(2):
        await router.dispatch_bytes(encode(request(Deposit(amount=1), after=book(AccountOpened(owner="a")))))
    history = book(AccountOpened(owner="a"))
    history.next_sequence = next_sequence
    data = encode(request(Deposit(amount=1), after=history))
    if fits:
        answer = decode(BusinessResponse, await router.dispatch_bytes(data))
        assert answer.events.next_sequence == 2**32 - 1
    else:
        with pytest.raises(EncodeError, match="last sequence"):
            await router.dispatch_bytes(data)


@pytest.mark.parametrize(
    "asked",
    [[Deposit()], [Deposit(), Deposit()], [notification(command(Deposit(), of=cover("x")))]],
    ids=["one", "two", "refusal"],
)
async def test_an_aggregate_without_sequences_left_names_the_handler_that_wants_one(
    dispatch: Dispatch, asked: list[Any]
) -> None:
    @command_handler(domain="account", state=Account)
    class Wanting:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> list[Deposited]:
            return [Deposited()]

        @rejected("x", "Deposit")
        def refused(self, notification: Notification) -> Deposited:
            return Deposited()

    full = EventBook(next_sequence=2**32 - 1)
    with pytest.raises(EncodeError, match="last sequence") as caught:
        await dispatch(command_router(Wanting), request(*asked, after=full))
    named = "Wanting.refused" if isinstance(asked[0], Notification) else "Wanting.deposit"
    assert caught.value.__notes__[0].startswith(f"raised by {named}, handling ")
