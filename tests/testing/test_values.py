from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any as AnyValue

import pytest
from hypothesis import given

from angzarr.codec import decode, encode
from angzarr.testing import messages
from angzarr.testing.values import differences, freeze, tell
from tests.testing.kinds import Colour, Kinds, Leaf, Tree


@dataclass
class State:
    name: str = ""
    items: list[int] = field(default_factory=list)


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


class Plain:
    def __init__(self, value: object) -> None:
        self.value = value


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def told(left: object, right: object) -> list[str]:
    return tell(differences(freeze(left), freeze(right)), "expected", "came")


@given(messages(Kinds))
def test_a_message_and_its_decoded_encoding_hold_the_same(message: Kinds) -> None:
    assert freeze(decode(Kinds, encode(message))) == freeze(message)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (State("a", [1]), State("a", [1])),
        (Plain([1]), Plain([1])),
        (Slotted(1), Slotted(1)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1, 2}, {2, 1}),
        (float("nan"), float("nan")),
        (Kinds(leaf=Leaf()), Kinds()),
        (Kinds(at=EPOCH), Kinds()),
        (Kinds(colour=Colour(1)), decode(Kinds, b"\x80\x01\x01")),
        (Kinds(a_float=0.1), Kinds(a_float=0.10000000149011612)),
        (bytearray(b"a"), b"a"),
    ],
)
def test_what_holds_the_same_is_the_same(left: object, right: object) -> None:
    assert freeze(left) == freeze(right)
    assert told(left, right) == []


@pytest.mark.parametrize(
    ("left", "right", "lines"),
    [
        (State("a"), State("b"), ['name: expected "a", came "b"']),
        (State("", [1, 2]), State("", [1, 3]), ["items[1]: expected 2, came 3"]),
        (State("", [1]), State(), ["items[0]: expected 1, came unset"]),
        (Leaf(text="a"), Leaf(), ['text: expected "a", came unset']),
        ({"a": 1}, {"a": 2}, ['["a"]: expected 1, came 2']),
        (1, 2, ["value: expected 1, came 2"]),
        (True, 1, ["value: expected True, came 1"]),
        (Slotted(1), Slotted(2), ["value: expected 1, came 2"]),
        (Kinds(note=""), Kinds(), ['note: expected "", came unset']),
        (Kinds(maybe=0), Kinds(), ["maybe: expected 0, came unset"]),
        (Leaf(text="a"), State("a"), ['value: expected Leaf(text="a"), came State(items=[], name="a")']),
    ],
)
def test_a_difference_is_told_with_its_path(left: object, right: object, lines: list[str]) -> None:
    assert told(left, right) == lines


def test_a_frozen_value_keeps_what_later_changes_undo() -> None:
    state = State("a", [1])
    before = freeze(state)
    state.items.append(2)
    assert before == freeze(State("a", [1]))


def test_an_attribute_that_is_not_a_field_of_the_message_counts() -> None:
    leaf = Leaf(text="a")
    leaf.__dict__["forgotten"] = 1
    assert told(leaf, decode(Leaf, encode(leaf))) == ["forgotten: expected 1, came unset"]


def test_a_value_that_holds_itself_ends() -> None:
    loop: list[AnyValue] = []
    loop.append(loop)
    assert str(freeze(loop)) == "[(itself)]"


@pytest.mark.parametrize("make", [object, deque, Tree, State])
def test_two_fresh_things_are_the_same(make: Callable[[], object]) -> None:
    assert freeze(make()) == freeze(make())
