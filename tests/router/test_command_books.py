"""A command book of several pages is one atomic unit."""

from typing import Any

import pytest

from angzarr.compensation import delegate_to_framework
from angzarr.errors import CommandRejectedError, DispatchError
from angzarr.messages import BusinessResponse, CommandPage, EventBook, EventPage, has_field, pack
from angzarr.router import applies, command_handler, handles
from tests.bank.domain import Accounts
from tests.bank.messages import (
    Account,
    AccountClosed,
    AccountOpened,
    CloseAccount,
    Deposit,
    Deposited,
    OpenAccount,
    Withdraw,
    Withdrawn,
)
from tests.router.conftest import Dispatch
from tests.router.helpers import book, command_router, events_in, request, sequences_in


async def test_each_command_sees_the_events_of_those_before_it(dispatch: Dispatch) -> None:
    asked = request(OpenAccount(owner="a"), Deposit(amount=5), Withdraw(amount=3), Deposit(amount=1))
    response = await dispatch(command_router(Accounts), asked)
    assert events_in(response.events)[1:] == [
        Deposited(amount=5, balance=5),
        Withdrawn(amount=3, balance=2),
        Deposited(amount=1, balance=3),
    ]
    assert sequences_in(response.events) == [0, 1, 2, 3]
    assert response.events.next_sequence == 4


async def test_each_command_is_told_the_sequence_of_its_first_event(dispatch: Dispatch) -> None:
    told = []

    @command_handler(domain="account", state=Account)
    class Told:
        @handles(Deposit)
        def deposit(self, command: Deposit, state: Account, sequence: int) -> list[Deposited]:
            told.append(sequence)
            return [Deposited(), Deposited()]

    await dispatch(command_router(Told), request(Deposit(), Deposit(), after=book(start=10)))
    assert told == [10, 12]


async def test_one_rejection_rejects_the_whole_book(dispatch: Dispatch) -> None:
    asked = request(OpenAccount(owner="a"), Deposit(amount=5), Withdraw(amount=6))
    with pytest.raises(CommandRejectedError) as caught:
        await dispatch(command_router(Accounts), asked)
    assert caught.value.code == "INSUFFICIENT_FUNDS"


async def test_a_page_without_command_fails_the_book_before_any_handler_runs(dispatch: Dispatch) -> None:
    called = []

    @command_handler(domain="account", state=Account)
    class Noting:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> None:
            called.append(command)

    asked = request(Deposit())
    asked.command.pages.append(CommandPage())
    with pytest.raises(DispatchError) as caught:
        await dispatch(command_router(Noting), asked)
    assert caught.value.error_code == "MISSING_COMMAND_PAYLOAD"
    assert called == []


async def test_a_command_nobody_handles_fails_the_book(dispatch: Dispatch) -> None:
    @command_handler(domain="account", state=Account)
    class OnlyDeposits:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> Deposited:
            return Deposited()

    with pytest.raises(DispatchError) as caught:
        await dispatch(command_router(OnlyDeposits), request(Deposit(), CloseAccount()))
    assert caught.value.extras["type_url"] == "type.googleapis.com/bank.CloseAccount"


async def test_a_revocation_takes_back_the_events_of_the_pages_before(dispatch: Dispatch) -> None:
    @command_handler(domain="account", state=Account)
    class Revoking:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> Deposited:
            return Deposited()

        @handles(CloseAccount)
        def close(self, command: CloseAccount) -> BusinessResponse:
            return delegate_to_framework("not today")

    response = await dispatch(command_router(Revoking), request(Deposit(), CloseAccount()))
    assert has_field(response, "revocation")
    assert response.revocation.reason == "not today"


async def test_classes_of_one_domain_share_the_events_but_fold_their_own_states(dispatch: Dispatch) -> None:
    class Count:
        def __init__(self) -> None:
            self.deposits = 0

    @command_handler(domain="account", state=Count)
    class Closing:
        @applies(Deposited)
        def deposited(self, count: Count) -> None:
            count.deposits += 1

        @handles(CloseAccount)
        def close(self, command: CloseAccount, count: Count) -> AccountClosed:
            return AccountClosed(reason=f"after {count.deposits} deposits")

    @command_handler(domain="account", state=Account)
    class Depositing:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> Deposited:
            return Deposited()

    asked = request(CloseAccount(), Deposit(), Deposit(), CloseAccount(), after=book(Deposited()))
    response = await dispatch(command_router(Closing, Depositing), asked)
    closings = [event for event in events_in(response.events) if isinstance(event, AccountClosed)]
    assert [closing.reason for closing in closings] == ["after 1 deposits", "after 3 deposits"]


async def test_the_pages_of_a_returned_book_are_seen_by_the_next_command(dispatch: Dispatch) -> None:
    @command_handler(domain="account", state=Account)
    class Booking(AccountsFold):
        @handles(OpenAccount)
        def open(self, command: OpenAccount) -> EventBook:
            return EventBook(pages=[EventPage(event=pack(AccountOpened(owner=command.owner)))])

        @handles(CloseAccount)
        def close(self, command: CloseAccount, state: Account) -> AccountClosed:
            return AccountClosed(reason=state.owner)

    response = await dispatch(command_router(Booking), request(OpenAccount(owner="z"), CloseAccount()))
    assert events_in(response.events)[1] == AccountClosed(reason="z")


class AccountsFold:
    @applies(AccountOpened)
    def opened(self, state: Any, event: AccountOpened) -> None:
        state.owner = event.owner
