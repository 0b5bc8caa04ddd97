"""``snapshot_every``: the router adds a snapshot when the number of events passes a multiple."""

import pytest

from angzarr.messages import EventBook, Snapshot, has_field, pack, unpack
from angzarr.router import applies, command_handler, handles
from tests.bank.domain import Accounts
from tests.bank.messages import Account, AccountClosed, AccountOpened, CloseAccount, Deposit, Deposited
from tests.router.conftest import Dispatch
from tests.router.helpers import book, command_router, request


@command_handler(domain="account", state=Account, snapshot_every=5)
class Counting:
    @applies(Deposited)
    def deposited(self, state: Account) -> None:
        state.events_seen += 1

    @handles(Deposit)
    def deposit(self, command: Deposit) -> list[Deposited]:
        return [Deposited() for _ in range(command.amount)]

    @handles(CloseAccount)
    def close(self, command: CloseAccount) -> EventBook:
        own = Snapshot(sequence=99, state=pack(Account(owner="own")))
        return EventBook(pages=[], snapshot=own)


def history(events: int, snapshot_at: int | None = None) -> EventBook:
    made = book(*[Deposited() for _ in range(events)])
    if snapshot_at is not None:
        made.snapshot = Snapshot(
            sequence=snapshot_at, state=pack(Account(events_seen=snapshot_at + 1, owner="S"))
        )
    return made


@pytest.mark.parametrize(
    ("before", "snapshot_at", "emitted", "expected"),
    [
        (0, None, 4, None),
        (0, None, 5, 4),
        (3, None, 1, None),
        (4, None, 1, 4),
        (3, None, 4, 6),
        (7, 4, 1, None),
        (8, 4, 2, 9),
        (9, 4, 13, 21),
        (12, None, 1, 12),
        (12, 9, 1, None),
        (5, 4, 0, None),
    ],
)
async def test_a_snapshot_is_due_when_a_multiple_is_passed_since_the_last_one(
    dispatch: Dispatch, before: int, snapshot_at: int | None, emitted: int, expected: int | None
) -> None:
    asked = request(Deposit(amount=emitted), after=history(before, snapshot_at))
    response = await dispatch(command_router(Counting), asked)
    if expected is None:
        assert not has_field(response.events, "snapshot")
    else:
        assert response.events.snapshot.sequence == expected
        state = unpack(response.events.snapshot.state, Account)
        assert state.events_seen == before + emitted


async def test_it_holds_the_state_after_the_new_events_on_top_of_the_old_snapshot(
    dispatch: Dispatch,
) -> None:
    asked = request(Deposit(amount=1), after=history(9, snapshot_at=4))
    response = await dispatch(command_router(Counting), asked)
    assert unpack(response.events.snapshot.state, Account) == Account(owner="S", events_seen=10)


async def test_the_new_pages_of_a_whole_book_count(dispatch: Dispatch) -> None:
    asked = request(Deposit(amount=2), Deposit(amount=3))
    response = await dispatch(command_router(Counting), asked)
    assert response.events.snapshot.sequence == 4


async def test_off_by_default(dispatch: Dispatch) -> None:
    asked = request(Deposit(amount=1), after=book(AccountOpened(owner="a"), *[Deposited()] * 998))
    response = await dispatch(command_router(Accounts), asked)
    assert not has_field(response.events, "snapshot")


async def test_what_a_handler_did_to_the_state_it_was_given_is_not_kept(dispatch: Dispatch) -> None:
    @command_handler(domain="account", state=Account, snapshot_every=1)
    class Scribbling:
        @handles(Deposit)
        def deposit(self, command: Deposit, state: Account) -> AccountClosed:
            state.owner = "scribble"
            return AccountClosed()

    response = await dispatch(command_router(Scribbling), request(Deposit()))
    assert unpack(response.events.snapshot.state, Account) == Account()


async def test_a_snapshot_that_the_handler_made_itself_stays(dispatch: Dispatch) -> None:
    response = await dispatch(command_router(Counting), request(CloseAccount(), after=history(12)))
    assert response.events.snapshot.sequence == 99
    assert unpack(response.events.snapshot.state, Account).owner == "own"
