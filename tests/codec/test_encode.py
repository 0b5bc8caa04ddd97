"""Encoding: numbers in order, what is refused and how it is named."""

import math
from collections import OrderedDict, deque
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from angzarr import codec
from angzarr.errors import EncodeError
from tests.codec.oracle import google_class


def encoded(kitchen: ModuleType, name: str, **fields: Any) -> bytes:
    return codec.encode(getattr(kitchen, name)(**fields))


def test_fields_are_written_in_the_order_of_their_numbers(kitchen: ModuleType) -> None:
    message = kitchen.Shuffled(
        last="l", middle=1, point=kitchen.Point(x=1), first="f", numbers=[1], names=["n"]
    )
    data = codec.encode(message)
    google = google_class("kitchen.Shuffled").FromString(data)
    assert google.SerializeToString(deterministic=True) == data
    assert data.startswith(b"\x0a\x01f")
    assert data.endswith(b"\xfa\xff\xff\xff\x0f\x01l")


def test_unknown_fields_are_written_last(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.Point, b"\x98\x06\x05\x08\x02")
    message.y = 1
    assert codec.encode(message) == b"\x08\x02\x10\x02\x98\x06\x05"


def test_defaults_are_left_out(kitchen: ModuleType) -> None:
    assert (
        encoded(kitchen, "Scalars", an_int32=0, a_string="", a_double=0.0, a_bool=False, a_bytes=b"") == b""
    )


def test_defaults_of_optional_fields_are_written(kitchen: ModuleType) -> None:
    assert encoded(kitchen, "Optionals", an_int32=0, a_string="") == b"\x18\x00\x72\x00"


def test_the_default_of_a_chosen_member_is_written(kitchen: ModuleType) -> None:
    assert encoded(kitchen, "Choice", number=0) == b"\x10\x00"


@pytest.mark.parametrize(("field", "size"), [("a_double", 9), ("a_float", 5)])
def test_minus_zero_is_not_the_default(field: str, size: int, kitchen: ModuleType) -> None:
    assert len(encoded(kitchen, "Scalars", **{field: -0.0})) == size


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_special_floats_survive(value: float, kitchen: ModuleType) -> None:
    data = encoded(kitchen, "Scalars", a_double=value, a_float=value)
    message = codec.decode(kitchen.Scalars, data)
    assert [message.a_double, message.a_float] == pytest.approx([value, value], nan_ok=True)


def test_a_double_too_large_for_a_float_becomes_infinite_as_with_google(kitchen: ModuleType) -> None:
    assert encoded(kitchen, "Scalars", a_float=-1e300) == b"\x15\x00\x00\x80\xff"


def test_packed_lists_are_written_packed(kitchen: ModuleType) -> None:
    assert encoded(kitchen, "Lists", int32_s=[1, 300], bools=[True]) == b"\x1a\x03\x01\xac\x02\x6a\x01\x01"


def test_empty_items_of_a_list_are_written(kitchen: ModuleType) -> None:
    assert encoded(kitchen, "Lists", strings=[""], points=[kitchen.Point()]) == b"\x72\x00\x8a\x01\x00"


@pytest.mark.parametrize("items", [(1, 2), deque([1, 2]), range(1, 3)])
def test_any_sequence_will_do_for_a_list(items: Any, kitchen: ModuleType) -> None:
    assert encoded(kitchen, "Lists", int32_s=items) == b"\x1a\x02\x01\x02"


def test_any_mapping_will_do_for_a_map(kitchen: ModuleType) -> None:
    assert encoded(kitchen, "Maps", int32_s=OrderedDict({1: 2})) == b"\x12\x04\x08\x01\x10\x02"


@pytest.mark.parametrize("value", [bytearray(b"ab"), memoryview(b"ab")])
def test_any_kind_of_bytes_will_do_for_bytes(value: Any, kitchen: ModuleType) -> None:
    assert encoded(kitchen, "Scalars", a_bytes=value) == b"\x7a\x02ab"


def test_a_bool_is_a_number_and_a_number_is_a_bool(kitchen: ModuleType) -> None:
    assert encoded(kitchen, "Scalars", an_int32=True, a_bool=2) == b"\x18\x01\x68\x01"


def test_wrapped_values_are_written_even_when_they_are_defaults(kitchen: ModuleType) -> None:
    assert encoded(kitchen, "Wrapped", an_int32=0, a_string="a", a_bool=None) == b"\x2a\x00\x42\x03\x0a\x01a"


def test_an_enum_number_without_a_name_survives(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.Scalars, b"\x80\x01\x63")
    assert (message.a_colour, message.a_colour.name) == (99, None)
    assert codec.encode(message) == b"\x80\x01\x63"


def test_a_negative_enum_number_takes_ten_bytes(kitchen: ModuleType) -> None:
    data = encoded(kitchen, "Scalars", a_colour=kitchen.Colour.NEGATIVE)
    assert data == b"\x80\x01\xfd\xff\xff\xff\xff\xff\xff\xff\xff\x01"
    assert codec.decode(kitchen.Scalars, data).a_colour is kitchen.Colour.NEGATIVE


RANGES = {
    "an_int32": (-(1 << 31), (1 << 31) - 1),
    "an_int64": (-(1 << 63), (1 << 63) - 1),
    "a_uint32": (0, (1 << 32) - 1),
    "a_uint64": (0, (1 << 64) - 1),
    "a_sint32": (-(1 << 31), (1 << 31) - 1),
    "a_sint64": (-(1 << 63), (1 << 63) - 1),
    "a_fixed32": (0, (1 << 32) - 1),
    "a_fixed64": (0, (1 << 64) - 1),
    "a_sfixed32": (-(1 << 31), (1 << 31) - 1),
    "a_sfixed64": (-(1 << 63), (1 << 63) - 1),
    "a_colour": (-(1 << 31), (1 << 31) - 1),
}


@pytest.mark.parametrize("field", RANGES)
def test_the_ends_of_the_range_survive(field: str, kitchen: ModuleType) -> None:
    for value in RANGES[field]:
        assert (
            getattr(codec.decode(kitchen.Scalars, encoded(kitchen, "Scalars", **{field: value})), field)
            == value
        )


@pytest.mark.parametrize("field", RANGES)
def test_a_number_out_of_range_is_refused_by_name(field: str, kitchen: ModuleType) -> None:
    low, high = RANGES[field]
    for value in (low - 1, high + 1, 1 << 70):
        with pytest.raises(EncodeError, match=f"^Scalars.{field}: {value} is out of range") as caught:
            encoded(kitchen, "Scalars", **{field: value})
        assert caught.value.path == f"Scalars.{field}"


WRONG: dict[str, list[Any]] = {
    "an_int32": ["1", 1.0, 1.5, b"1", [], [1], {}, object(), ""],
    "a_uint64": ["1", 1.0, -1.5],
    "a_sint64": ["1", 1.0],
    "a_fixed32": ["1", 1.0],
    "a_bool": ["yes", 1.0, "", []],
    "a_double": ["1.5", b"1", [], 10**400],
    "a_float": ["1.5", ""],
    "a_string": [b"abc", 5, ["a"], b"", 0],
    "a_bytes": ["abc", 5, [1, 2], "", 0],
    "a_colour": ["COLOUR_RED", 1.0],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in WRONG for value in WRONG[field]])
def test_a_value_of_the_wrong_type_is_refused_by_name(field: str, value: Any, kitchen: ModuleType) -> None:
    with pytest.raises(EncodeError, match=f"^Scalars.{field}: "):
        encoded(kitchen, "Scalars", **{field: value})


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("Lists", "int32_s", ["1"]),
        ("Lists", "int32_s", "12"),
        ("Lists", "int32_s", b"12"),
        ("Lists", "int32_s", {1, 2}),
        ("Lists", "int32_s", iter([1])),
        ("Lists", "strings", "abc"),
        ("Lists", "strings", [None]),
        ("Lists", "points", [5]),
        ("Lists", "points", [None]),
        ("Lists", "points", {"x": 1}),
        ("Lists", "instants", [5]),
        ("Maps", "strings", [("a", "b")]),
        ("Maps", "strings", {"a": 5}),
        ("Maps", "strings", {5: "a"}),
        ("Maps", "int32_s", {1: None}),
        ("Maps", "points", {"a": 5}),
        ("Outer", "inner", 5),
        ("Outer", "inner", "text"),
        ("Outer", "inner", {}),
        ("WellKnown", "instant", "2026-01-01"),
        ("WellKnown", "instant", datetime(2026, 1, 1)),
        ("WellKnown", "span", 5.0),
        ("Wrapped", "an_int32", "5"),
        ("Choice", "text", 5),
        ("Choice", "point", 5),
    ],
)
def test_a_part_of_the_wrong_type_is_refused_by_name(
    name: str, field: str, value: Any, kitchen: ModuleType
) -> None:
    with pytest.raises(EncodeError, match=f"^{name}.{field}: "):
        encoded(kitchen, name, **{field: value})


def test_a_message_of_another_class_is_refused_by_name(kitchen: ModuleType) -> None:
    with pytest.raises(EncodeError, match=r"^Outer.inner: OuterInner expected, got .* of type Point"):
        codec.encode(kitchen.Outer(inner=kitchen.Point(x=1)))


def test_a_lone_surrogate_is_refused(kitchen: ModuleType) -> None:
    with pytest.raises(EncodeError, match=r"^Scalars\.a_string: .*surrogates not allowed"):
        codec.encode(kitchen.Scalars(a_string="\ud800"))


def test_an_error_deep_inside_names_the_innermost_field(kitchen: ModuleType) -> None:
    message = kitchen.Everything(tree=kitchen.Tree(children=[kitchen.Tree(), kitchen.Tree(value=1 << 31)]))
    with pytest.raises(EncodeError, match=r"^Tree\.value: 2147483648 is out of range"):
        codec.encode(message)


def test_what_is_edited_after_decoding_is_encoded(kitchen: ModuleType) -> None:
    message = codec.decode(
        kitchen.Tree, b"\x08\x01\x12\x02\x08\x02\x22\x02\x08\x03\x2a\x07\x0a\x01a\x12\x02\x08\x04"
    )
    message.value = 10
    message.left.value = 20
    message.children[0].value = 30
    message.children.append(kitchen.Tree(value=31))
    message.named["a"].value = 40
    message.right.value = 50
    assert codec.encode(message) == (
        b"\x08\x0a\x12\x02\x08\x14\x1a\x02\x08\x32\x22\x02\x08\x1e\x22\x02\x08\x1f\x2a\x07\x0a\x01a\x12\x02\x08\x28"
    )


def test_the_encoder_of_a_class_can_be_had(kitchen: ModuleType) -> None:
    assert codec.encoder_for(kitchen.Point)(kitchen.Point(x=1)) == b"\x08\x02"


def test_the_parser_of_a_class_decodes_a_part_of_a_buffer(kitchen: ModuleType) -> None:
    assert codec.parser_for(kitchen.Point)(b"xx\x08\x02yy", 2, 4).x == 1


def test_what_is_no_message_cannot_be_encoded() -> None:
    with pytest.raises(TypeError, match="betterproto message class expected"):
        codec.encode(b"bytes")  # type: ignore[arg-type]


def test_a_time_zone_is_brought_to_utc(kitchen: ModuleType) -> None:
    at = datetime.fromisoformat("2026-01-01T02:00:00+02:00")
    message = codec.decode(kitchen.WellKnown, codec.encode(kitchen.WellKnown(instant=at)))
    assert message.instant == datetime(2026, 1, 1, tzinfo=UTC)
    assert message.instant.tzinfo is UTC


def test_a_message_that_contains_itself_is_refused(kitchen: ModuleType) -> None:
    message = kitchen.Tree()
    message.children.append(message)
    with pytest.raises(EncodeError, match="contains itself"):
        codec.encode(message)
