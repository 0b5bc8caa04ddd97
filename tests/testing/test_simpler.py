import math
from collections.abc import Iterator
from typing import Any as AnyValue

import pytest
from hypothesis import given

from angzarr.testing.simpler import simpler
from angzarr.testing.strategies import messages
from tests.bank.messages import AccountOpened, Deposit, OpenAccount, Tier


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, []),
        (1, [0]),
        (10, [0, 1, 2, 5, 8, 9]),
        (-3, [3, 0, -1, -2]),
        (True, [False]),
        (False, []),
        (2.5, [0.0, 1.0, 2.0]),
        (-math.inf, [0.0, 1.0]),
        (math.nan, []),
        ("", []),
        ("b", ["", "a"]),
        ("abcd", ["", "ab", "abc", "aaaa"]),
        (b"\xff\x01", [b"", b"\xff", b"aa"]),
        ([], []),
        ([5], [[], [0], [1], [2], [3], [4]]),
        ({"k": 1}, [{}]),
        (Tier.BASIC, [Tier.try_value(0)]),
    ],
)
def test_simpler_values_of_a_kind(value: AnyValue, expected: list[AnyValue]) -> None:
    assert list(simpler(value)) == expected


def test_a_message_loses_a_field_or_has_a_simpler_one() -> None:
    assert list(simpler(Deposit(amount=2))) == [Deposit(), Deposit(amount=0), Deposit(amount=1)]
    assert OpenAccount() in list(simpler(OpenAccount(owner="b")))


@given(messages(AccountOpened))
def test_making_a_message_simpler_again_and_again_ends(message: AccountOpened) -> None:
    steps = 0
    current: AnyValue = message
    while (following := next(_others(current), None)) is not None:
        current, steps = following, steps + 1
    assert steps < 50


def _others(value: AnyValue) -> Iterator[AnyValue]:
    return (other for other in simpler(value) if other != value)
