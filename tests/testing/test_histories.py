from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from angzarr.errors import EncodeError, InvalidArgumentError
from angzarr.messages import EventBook, sequence_of
from angzarr.router import rebuild
from angzarr.testing import commands_for, event_books, messages, scenario
from angzarr.testing.histories import Steps
from angzarr.testing.performing import When, is_coded, unpacked
from angzarr.testing.subject import subjects_of
from tests.bank.domain import Accounts, AccountV2, Onboardings, Transfers
from tests.bank.messages import (
    AccountClosed,
    AccountOpened,
    AccountOpenedV1,
    AccountOpenedV2,
    CloseAccount,
    Deposit,
    Deposited,
    OnboardingWelcomed,
    OpenAccount,
    RequestTransfer,
    Withdrawn,
)

SEARCH = settings(
    max_examples=2000, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
QUICK = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@QUICK
@given(event_books(Accounts))
def test_a_history_is_what_the_handler_can_have_made(book: EventBook) -> None:
    events = unpacked(book.pages)
    assert len(events) <= 5
    assert [sequence_of(page) for page in book.pages] == list(range(len(events)))
    assert book.next_sequence == len(events)
    opened = [event for event in events if isinstance(event, AccountOpened) and event.owner]
    assert len(opened) <= 1
    assert rebuild(Accounts, book).owner == (opened[0].owner if opened else "")


@pytest.mark.parametrize(
    "holds",
    [
        lambda events: len(events) == 5,
        lambda events: any(isinstance(event, Withdrawn) for event in events),
        lambda events: any(isinstance(event, AccountClosed) for event in events),
        lambda events: events == [],
    ],
)
def test_histories_reach(holds: Callable[[Sequence[object]], bool]) -> None:
    find(event_books(Accounts), lambda book: holds(unpacked(book.pages)), settings=SEARCH)


def test_histories_of_process_managers_come_from_triggers() -> None:
    def is_welcomed(book: EventBook) -> bool:
        return any(isinstance(event, OnboardingWelcomed) for event in unpacked(book.pages))

    find(event_books(Onboardings), is_welcomed, settings=SEARCH)


def test_wild_histories_need_not_make_sense() -> None:
    def starts_with_a_withdrawal(book: EventBook) -> bool:
        return isinstance(next(iter(unpacked(book.pages)), None), Withdrawn)

    find(event_books(Accounts, wild=True), starts_with_a_withdrawal, settings=SEARCH)


def test_own_commands_shape_the_history() -> None:
    own = {Deposit: st.just(Deposit(amount=77))}
    find(
        event_books(Accounts, commands=own),
        lambda book: Deposited(amount=77, balance=77) in unpacked(book.pages),
        settings=SEARCH,
    )


@QUICK
@given(command=messages(Deposit), history=event_books(Accounts))
async def test_deposits_never_crash(command: Deposit, history: EventBook) -> None:
    outcome = await scenario(Accounts).given(history).when(command)
    assert outcome.error is None or is_coded(outcome.error) or isinstance(outcome.error, EncodeError)


@QUICK
@given(commands_for(Accounts, owner="ann"))
def test_commands_are_of_the_classes_that_the_router_handles(command: object) -> None:
    assert f"bank.{type(command).__name__}" in {
        "bank.OpenAccount",
        "bank.Deposit",
        "bank.Withdraw",
        "bank.RequestTransfer",
        "bank.ReceiveTransfer",
        "bank.CloseAccount",
    }
    if isinstance(command, OpenAccount):
        assert command.owner == "ann"


def test_a_router_that_handles_no_commands_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="handles no commands"):
        commands_for(Transfers)


def test_a_handler_without_state_has_no_history() -> None:
    with pytest.raises(InvalidArgumentError, match="Transfers has no history"):
        event_books(Transfers)


def excessive(handler: type) -> SearchStrategy[When]:
    return Steps(subjects_of(handler)[0], {}).excessive(None, frozenset())


def test_what_is_far_beyond_what_people_send_differs_in_one_number() -> None:
    def far_beyond(when: When) -> bool:
        (message,) = when.messages
        return isinstance(message, RequestTransfer) and message.amount > 1 << 53 and message.to == b""

    assert find(excessive(Accounts), far_beyond, settings=SEARCH).kind == "command"


@QUICK
@given(excessive(Accounts))
def test_what_carries_no_such_number_is_left_out(when: When) -> None:
    assert not any(isinstance(message, OpenAccount | CloseAccount) for message in when.messages)


@QUICK
@given(excessive(AccountV2))
def test_where_nothing_carries_one_it_is_what_people_send(when: When) -> None:
    assert all(isinstance(message, AccountOpenedV1 | AccountOpenedV2) for message in when.messages)
