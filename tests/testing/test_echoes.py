from dataclasses import dataclass, field

import betterproto
from hypothesis import given
from hypothesis import strategies as st

from angzarr.testing.echoes import echoing, seen_in
from tests.bank.messages import Deposit, Deposited, OpenAccount
from tests.testing.purses import PutIn, Was
from tests.testing.shop import Money


@dataclass
class State:
    balance: int = 7
    names: list[str] = field(default_factory=lambda: ["ann", ""])
    by_root: dict[bytes, bool] = field(default_factory=lambda: {b"r": True})


def test_what_states_and_messages_hold_has_been_seen_once_each() -> None:
    seen = seen_in(State(), [Deposited(amount=3, balance=7)])
    deposited = Deposited(amount=3, balance=7)
    assert seen == {int: (7, 3), str: ("ann",), bytes: (b"r",), Deposited: (deposited,)}


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


EURO = Money(currency="EUR", cents=50)


@given(echoing(st.just(PutIn(money=Money(cents=1))), {Money: (EURO,)}))
def test_a_message_within_is_one_that_was_seen_but_for_one_more_or_less(message: PutIn) -> None:
    assert (message.money.currency, message.money.cents) in [("", 1), ("EUR", 49), ("EUR", 50), ("EUR", 51)]


@given(echoing(st.just(PutIn(money=Money(cents=1))), {str: ("EUR",)}))
def test_a_field_of_a_message_within_is_one_that_was_seen(message: PutIn) -> None:
    assert message.money.currency in ("", "EUR")
    assert message.money.cents == 1


@given(echoing(st.just(Was(inside=Money(cents=1))), {Money: (EURO,)}))
def test_of_a_choice_the_member_stays_the_same(message: Was) -> None:
    assert betterproto.which_one_of(message, "way")[0] == "inside"


@given(st.data())
def test_what_was_seen_stays_as_it_was(data: st.DataObject) -> None:
    data.draw(echoing(st.just(PutIn(money=Money(cents=1))), {Money: (EURO,), str: ("a",), int: (9,)}))
    assert (EURO.currency, EURO.cents) == ("EUR", 50)


def test_a_message_that_no_bytes_can_carry_has_not_been_seen() -> None:
    assert seen_in([Money(cents=1 << 70), Money(cents=5)])[Money] == (Money(cents=5),)
