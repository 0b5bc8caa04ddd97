"""Which crashes are held against a handler, and which against the numbers it is given."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from angzarr.codec import encode
from angzarr.messages import EventBook
from angzarr.testing.laws.base import Case, is_overflow
from angzarr.testing.performing import When
from angzarr.testing.subject import subjects_of
from tests.bank.domain import Accounts
from tests.bank.messages import Deposit, Deposited

MOST = (1 << 63) - 1
SUBJECT = subjects_of(Accounts)[0]


def error_of(work: Callable[[], object]) -> Exception:
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


def after(amount: int) -> Case:
    return Case(SUBJECT, EventBook(), When("command", (Deposit(amount=amount),)))


HONEST: dict[str, Callable[[], object]] = {
    "a sum that no field can hold": lambda: encode(Deposited(balance=MOST + MOST)),
    "a date that no calendar has": lambda: datetime.fromtimestamp(MOST, UTC),
    "a year with five digits": lambda: datetime.fromtimestamp(1 << 40, UTC),
    "a time longer than any": lambda: timedelta(days=MOST),
    "a number packed into four bytes": lambda: struct.pack("<i", MOST),
    "as many of something": lambda: [None] * MOST,
    "a float": lambda: float(MOST) ** 100,
}


@pytest.mark.parametrize("name", HONEST)
def test_with_a_huge_number_it_is_the_numbers_fault(name: str) -> None:
    assert is_overflow(error_of(HONEST[name]), after(MOST))


@pytest.mark.parametrize("name", HONEST)
def test_with_a_small_one_it_is_the_handlers(name: str) -> None:
    assert not is_overflow(error_of(HONEST[name]), after(5))


@pytest.mark.parametrize("error", [IndexError("x"), KeyError("x"), TypeError("x"), FileNotFoundError(2, "x")])
def test_what_does_not_come_of_numbers_is_the_handlers_fault_always(error: Exception) -> None:
    assert not is_overflow(error, after(MOST))
