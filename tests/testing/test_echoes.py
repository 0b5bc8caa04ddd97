from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from angzarr.testing.echoes import echoing, seen_in
from tests.bank.messages import Deposit, Deposited, OpenAccount


@dataclass
class State:
    balance: int = 7
    names: list[str] = field(default_factory=lambda: ["ann", ""])
    by_root: dict[bytes, bool] = field(default_factory=lambda: {b"r": True})


def test_what_states_and_messages_hold_has_been_seen_once_each() -> None:
    seen = seen_in(State(), [Deposited(amount=3, balance=7)])
    assert seen == {int: (7, 3), str: ("ann",), bytes: (b"r",)}


def test_what_refers_to_itself_ends() -> None:
    endless: list[object] = [5]
    endless.append(endless)
    assert seen_in(endless)[int] == (5,)


@given(echoing(st.just(Deposit(amount=1)), {int: (50,)}))
def test_a_number_is_what_was_seen_or_one_more_or_less(message: Deposit) -> None:
    assert message.amount in (1, 49, 50, 51)


@given(echoing(st.just(OpenAccount(owner="me")), {str: ("ann",), int: ()}))
def test_a_name_is_one_that_was_seen(message: OpenAccount) -> None:
    assert message.owner in ("me", "ann")


@given(st.data())
def test_the_message_that_is_echoed_into_stays_as_it_was(data: st.DataObject) -> None:
    message = Deposit(amount=6)
    data.draw(echoing(st.just(message), {int: (50,)}))
    assert message.amount == 6


@given(echoing(st.just(Deposit(amount=1)), {int: (), str: ("ann",)}))
def test_nothing_is_echoed_that_the_message_has_no_place_for(message: Deposit) -> None:
    assert message == Deposit(amount=1)
