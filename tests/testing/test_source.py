from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings

from angzarr.messages import UUID, Any, Cover, NoOp, pack
from angzarr.testing import messages
from angzarr.testing.source import Source, source_of
from tests.testing import kinds
from tests.testing.kinds import Colour, Kinds, Leaf


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Leaf(), "Leaf()"),
        (Leaf(text="a"), 'Leaf(text="a")'),
        (Leaf(text="it's"), 'Leaf(text="it\'s")'),
        (Leaf(text='"'), "Leaf(text='\"')"),
        (Kinds(an_int32=0, a_bool=True), "Kinds(a_bool=True)"),
        (Kinds(leaf=Leaf(text="a")), 'Kinds(leaf=Leaf(text="a"))'),
        (Kinds(colour=Colour(1)), "Kinds(colour=Colour.RED)"),
        (Kinds(colour=Colour.try_value(9)), "Kinds(colour=Colour.try_value(9))"),
        (Kinds(choice_number=0), "Kinds(choice_number=0)"),
        (Kinds(note=""), 'Kinds(note="")'),
        (Kinds(counts={"a": 1}), 'Kinds(counts={"a": 1})'),
        (Kinds(numbers=[1, 2]), "Kinds(numbers=[1, 2])"),
        (Kinds(a_double=float("inf")), 'Kinds(a_double=float("inf"))'),
        (Kinds(took=timedelta(seconds=-1)), "Kinds(took=timedelta(days=-1, seconds=86399))"),
        (datetime(2026, 1, 1, tzinfo=UTC), "datetime(2026, 1, 1, 0, 0, tzinfo=UTC)"),
        (pack(NoOp(reason="a")), 'pack(NoOp(reason="a"))'),
        (Any(type_url="x/unknown", value=b"\x01"), "Any(type_url=\"x/unknown\", value=b'\\x01')"),
        (Cover(root=UUID(value=b"r")), "Cover(root=UUID(value=b'r'))"),
    ],
)
def test_a_value_is_written_as_the_python_that_makes_it(value: object, text: str) -> None:
    assert source_of(value) == text


def test_what_does_not_fit_a_line_is_broken_up() -> None:
    leaf = Leaf(text="x" * 60)
    assert source_of(Kinds(leaves=[leaf, leaf])) == (
        f'Kinds(\n    leaves=[\n        Leaf(text="{"x" * 60}"),\n        Leaf(text="{"x" * 60}"),\n    ],\n)'
    )


def test_the_imports_are_remembered() -> None:
    source = Source()
    source.value([Kinds(at=datetime(2026, 1, 1, tzinfo=UTC), leaf=Leaf(text="a")), Cover(), pack(NoOp())])
    assert source.imports() == [
        "from angzarr import Cover, NoOp",
        "from angzarr.messages import pack",
        "from datetime import UTC, datetime",
        "from tests.testing.kinds import Kinds, Leaf",
    ]


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(messages(Kinds, extra=None))
def test_what_is_written_makes_the_same_value(message: Kinds) -> None:
    names = {**vars(kinds), "datetime": datetime, "timedelta": timedelta, "UTC": UTC}
    assert eval(source_of(message), names) == message
