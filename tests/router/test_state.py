from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angzarr.errors import BuildError, DispatchError
from angzarr.messages import Any as PackedAny
from angzarr.messages import (
    ContextualCommand,
    EventBook,
    EventPage,
    NoOp,
    PageHeader,
    PayloadReference,
    Snapshot,
    decode,
    encode,
    pack,
)
from angzarr.router import (
    CommandHandlerRouter,
    applies,
    command_handler,
    handles,
    rebuild,
    saga,
    state_factory,
)
from tests.bank.domain import Accounts, Onboardings
from tests.bank.messages import (
    Account,
    AccountClosed,
    AccountOpened,
    AccountViewed,
    Deposit,
    Deposited,
    Onboarding,
    OnboardingDeposit,
    OnboardingStarted,
    Withdrawn,
)
from tests.router.conftest import Dispatch
from tests.router.helpers import book, command_router, page, request


@dataclass
class Seen:
    """A state that remembers what was applied."""

    amounts: tuple[int, ...] = ()


@command_handler(domain="account", state=Seen)
class Watching:
    """Answers every deposit with an event that tells the state."""

    @applies(Deposited)
    def deposited(self, seen: Seen, event: Deposited) -> Seen:
        return replace(seen, amounts=(*seen.amounts, event.amount))

    @handles(Deposit)
    def deposit(self, command: Deposit, seen: Seen) -> AccountClosed:
        return AccountClosed(reason=" ".join(map(str, seen.amounts)))


async def state_told(dispatch: Dispatch, router: CommandHandlerRouter, history: EventBook) -> str:
    response = await dispatch(router, request(Deposit(), after=history))
    return decode(AccountClosed, response.events.pages[0].event.value).reason


def snapshot(sequence: int, **fields: Any) -> Snapshot:
    return Snapshot(sequence=sequence, state=pack(Account(**fields)))


async def test_an_applier_may_return_a_new_state(dispatch: Dispatch) -> None:
    history = book(Deposited(amount=1), Deposited(amount=2))
    assert await state_told(dispatch, command_router(Watching), history) == "1 2"


async def test_pages_that_hold_no_inline_event_are_skipped(dispatch: Dispatch) -> None:
    history = book(Deposited(amount=1))
    history.pages += [EventPage(external=PayloadReference(uri="s3://x")), EventPage()]
    history.pages.append(page(Deposited(amount=2), 3))
    assert await state_told(dispatch, command_router(Watching), history) == "1 2"


@pytest.mark.parametrize(
    "url",
    [
        "type.googleapis.com/angzarr_client.proto.angzarr.NoOp",
        "type.angzarr.io/angzarr.NoOp",
        "angzarr.NoOp",
        "type.googleapis.com/io.angzarr.v1.NoOp",
    ],
)
async def test_a_noop_is_never_applied_whatever_prefix_it_carries(dispatch: Dispatch, url: str) -> None:
    applied = []

    @command_handler(domain="account", state=Seen)
    class Eager:
        @applies(NoOp)
        def noop(self, seen: Seen, event: NoOp) -> None:
            applied.append(event)

        @handles(Deposit)
        def deposit(self, command: Deposit) -> None: ...

    history = EventBook(pages=[EventPage(event=PackedAny(type_url=url, value=encode(NoOp(reason="x"))))])
    await dispatch(command_router(Eager), request(Deposit(), after=history))
    assert applied == []


async def test_events_match_by_full_name_behind_any_prefix(dispatch: Dispatch) -> None:
    history = EventBook(
        pages=[page(Deposited(amount=1), 0, prefix=""), page(Deposited(amount=2), 1, prefix="a.example/b/")]
    )
    assert await state_told(dispatch, command_router(Watching), history) == "1 2"


async def test_events_without_applier_are_ignored(dispatch: Dispatch) -> None:
    history = book(AccountViewed(viewer="x"), Deposited(amount=1), AccountViewed())
    assert await state_told(dispatch, command_router(Watching), history) == "1"


@command_handler(domain="account", state=Account)
class Owning:
    @applies(AccountOpened)
    def opened(self, account: Account, event: AccountOpened) -> None:
        account.owner += event.owner

    @handles(Deposit)
    def deposit(self, command: Deposit, account: Account) -> AccountClosed:
        return AccountClosed(reason=account.owner)


async def test_the_state_starts_from_the_snapshot_and_skips_what_it_covers(dispatch: Dispatch) -> None:
    history = book(AccountOpened(owner="a"), AccountOpened(owner="b"), AccountOpened(owner="c"), start=4)
    history.snapshot = snapshot(5, owner="S")
    assert await state_told(dispatch, command_router(Owning), history) == "Sc"


async def test_a_snapshot_at_sequence_zero_covers_the_first_event(dispatch: Dispatch) -> None:
    history = book(AccountOpened(owner="a"), AccountOpened(owner="b"))
    history.snapshot = snapshot(0, owner="S")
    assert await state_told(dispatch, command_router(Owning), history) == "Sb"


async def test_pages_without_sequence_are_applied_on_top_of_a_snapshot(dispatch: Dispatch) -> None:
    history = EventBook(snapshot=snapshot(5, owner="S"), pages=[page(AccountOpened(owner="x"))])
    assert await state_told(dispatch, command_router(Owning), history) == "Sx"


async def test_a_snapshot_of_default_state_counts(dispatch: Dispatch) -> None:
    history = book(AccountOpened(owner="a"), AccountOpened(owner="b"))
    history.snapshot = Snapshot(sequence=0, state=pack(Account()))
    assert await state_told(dispatch, command_router(Owning), history) == "b"


async def test_a_snapshot_without_state_counts_for_nothing(dispatch: Dispatch) -> None:
    history = book(AccountOpened(owner="a"))
    history.snapshot = Snapshot(sequence=3)
    assert await state_told(dispatch, command_router(Owning), history) == "a"


async def test_a_snapshot_may_come_behind_any_prefix(dispatch: Dispatch) -> None:
    history = book(AccountOpened(owner="a"), start=1)
    history.snapshot = snapshot(0, owner="S")
    history.snapshot.state.type_url = "example.org/bank.Account"
    assert await state_told(dispatch, command_router(Owning), history) == "Sa"


async def test_a_snapshot_of_another_type_is_an_error(dispatch: Dispatch) -> None:
    history = EventBook(snapshot=Snapshot(state=pack(Onboarding(owner="x"))))
    for router, expected in ((command_router(Owning), "bank.Account"), (command_router(Watching), "Seen")):
        with pytest.raises(DispatchError) as caught:
            await dispatch(router, request(Deposit(), after=history))
        assert caught.value.error_code == "ANY_TYPE_MISMATCH"
        assert caught.value.extras == {
            "type_url": "type.googleapis.com/bank.Onboarding",
            "expected": expected,
        }


async def test_a_snapshot_that_cannot_be_decoded_is_an_error(dispatch: Dispatch) -> None:
    history = EventBook(snapshot=snapshot(0, owner="abc"))
    history.snapshot.state.value = b"\x0a\x09abc"
    with pytest.raises(DispatchError) as caught:
        await dispatch(command_router(Owning), request(Deposit(), after=history))
    assert caught.value.error_code == "ANY_DECODE_FAILED"


async def test_an_applier_that_returns_something_else_than_a_state_is_named(dispatch: Dispatch) -> None:
    @command_handler(domain="account", state=Seen)
    class Confused:
        @applies(Deposited)
        def deposited(self, seen: Seen, event: Deposited) -> str:
            return "done"

        @handles(Deposit)
        def deposit(self, command: Deposit, seen: Seen) -> None: ...

    with pytest.raises(DispatchError) as caught:
        await dispatch(command_router(Confused), request(Deposit(), after=book(Deposited())))
    assert caught.value.error_code == "HANDLER_WRONG_RESPONSE_KIND"
    assert caught.value.extras == {
        "handler_class": "Confused",
        "method": "deposited",
        "actual_return_type": "str",
        "actual": "'done'",
    }


async def test_an_applier_that_raises_is_named(dispatch: Dispatch) -> None:
    @command_handler(domain="account", state=Seen)
    class Failing:
        @applies(Deposited)
        def deposited(self, seen: Seen, event: Deposited) -> None:
            raise LookupError("gone")

        @handles(Deposit)
        def deposit(self, command: Deposit, seen: Seen) -> None: ...

    with pytest.raises(LookupError) as caught:
        await dispatch(command_router(Failing), request(Deposit(), after=book(Deposited())))
    assert caught.value.__notes__[0] == "raised by Failing.deposited, applying bank.Deposited"


class FactoryBase:
    @state_factory
    def initial(self) -> Seen:
        return Seen(amounts=(100,))

    @applies(Deposited)
    def base_deposited(self, seen: Seen, event: Deposited) -> Seen:
        return Seen((*seen.amounts, -event.amount))

    @applies(Withdrawn)
    def base_withdrawn(self, seen: Seen, event: Withdrawn) -> Seen:
        return Seen((*seen.amounts, 7))


async def test_state_factories_and_appliers_are_inherited_and_own_ones_win(dispatch: Dispatch) -> None:
    @command_handler(domain="account", state=Seen)
    class Heir(FactoryBase):
        @applies(Deposited)
        def own_deposited(self, seen: Seen, event: Deposited) -> Seen:
            return Seen((*seen.amounts, event.amount))

        @handles(Deposit)
        def deposit(self, command: Deposit, seen: Seen) -> AccountClosed:
            return AccountClosed(reason=" ".join(map(str, seen.amounts)))

    history = book(Deposited(amount=1), Withdrawn())
    assert await state_told(dispatch, command_router(Heir), history) == "100 1 7"


async def test_an_override_without_decorator_hides_what_it_overrides() -> None:
    @command_handler(domain="account", state=Seen)
    class Silent(FactoryBase):
        def base_deposited(self, seen: Seen, event: Deposited) -> Seen:
            raise AssertionError("not an applier any more")

    assert rebuild(Silent, book(Deposited(amount=1))) == Seen((100,))


def test_of_two_appliers_in_one_class_the_later_wins() -> None:
    @command_handler(domain="account", state=Seen)
    class Twice:
        @applies(Deposited)
        def zebra(self, seen: Seen, event: Deposited) -> Seen:
            return Seen((1,))

        @applies(Deposited)
        def aardvark(self, seen: Seen, event: Deposited) -> Seen:
            return Seen((2,))

    assert rebuild(Twice, book(Deposited())) == Seen((2,))


def test_rebuild_gives_the_state_of_a_command_handler() -> None:
    account = rebuild(Accounts, book(AccountOpened(owner="a"), Deposited(amount=5, balance=5)))
    assert account == Account(owner="a", balance=5)


def test_rebuild_gives_the_state_of_a_process_manager() -> None:
    process = rebuild(Onboardings, book(OnboardingStarted(owner="a"), OnboardingDeposit()))
    assert process == Onboarding(owner="a", deposits=1)


def test_rebuild_starts_from_the_snapshot() -> None:
    history = book(Deposited(amount=5, balance=15), start=1, snapshot=snapshot(0, owner="S"))
    assert rebuild(Accounts, history) == Account(owner="S", balance=15)


def test_rebuild_takes_a_factory() -> None:
    made = []

    def factory() -> Accounts:
        made.append(Accounts())
        return made[-1]

    assert rebuild(Accounts, book(), factory=factory) == Account()
    assert len(made) == 1


def test_rebuild_refuses_an_async_factory() -> None:
    async def factory() -> Accounts:
        return Accounts()

    with pytest.raises(TypeError, match="synchronous"):
        rebuild(Accounts, book(), factory=factory)


def test_rebuild_refuses_classes_without_state() -> None:
    @saga(name="s", source="a", target="b")
    class Saga: ...

    for cls, kind in ((Saga, "saga"), (object, "<undecorated>")):
        with pytest.raises(BuildError) as caught:
            rebuild(cls, book())
        assert caught.value.code == "HANDLER_UNKNOWN_KIND"
        assert caught.value.details["handler_kind"] == kind


@settings(deadline=None)
@given(
    amounts=st.lists(st.integers(-1000, 1000), max_size=12),
    cut=st.integers(0, 12),
)
def test_a_snapshot_and_its_tail_give_what_the_whole_history_gives(amounts: list[int], cut: int) -> None:
    total, events = 0, []
    for amount in amounts:
        total += amount
        events.append(Deposited(amount=amount, balance=total))
    whole = book(AccountOpened(owner="a"), *events)
    cut = min(cut, len(whole.pages) - 1)
    head = EventBook(pages=whole.pages[: cut + 1])
    shortcut = EventBook(
        snapshot=Snapshot(sequence=cut, state=pack(rebuild(Accounts, head))), pages=whole.pages
    )
    assert rebuild(Accounts, shortcut) == rebuild(Accounts, whole)


async def test_an_explicit_sequence_of_zero_is_a_sequence(dispatch: Dispatch) -> None:
    history = EventBook(
        snapshot=snapshot(0, owner="S"),
        pages=[EventPage(header=PageHeader(sequence=0), event=pack(AccountOpened(owner="x")))],
    )
    told = await state_told(dispatch, command_router(Owning), history)
    assert told == "S"


def test_a_request_without_events_folds_nothing() -> None:
    assert ContextualCommand().events.pages == []
    assert rebuild(Accounts, EventBook()) == Account()
