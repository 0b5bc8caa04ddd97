"""Which fields are there: explicit presence, oneofs, and the difference between reading and setting."""

from datetime import UTC, datetime
from types import ModuleType

import betterproto
import pytest

from angzarr import codec
from angzarr.codec.wellknown import EPOCH


def test_a_decoded_empty_sub_message_is_present(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.Outer, b"\x0a\x00")
    assert codec.has_field(message, "inner")
    assert codec.encode(message) == b"\x0a\x00"


def test_an_absent_sub_message_is_not_present(kitchen: ModuleType) -> None:
    assert not codec.has_field(kitchen.Outer(), "inner")


def test_reading_a_sub_message_does_not_make_it_present(kitchen: ModuleType) -> None:
    message = kitchen.Outer()
    assert message.inner.point.x == 0
    assert message.inner.point.y == 0
    assert not codec.has_field(message, "inner")
    assert codec.encode(message) == b""


def test_reading_a_list_in_an_absent_sub_message_does_not_make_it_present(kitchen: ModuleType) -> None:
    message = kitchen.Everything()
    assert message.lists.strings == []
    assert message.maps.strings == {}
    assert codec.encode(message) == b""


def test_appending_to_a_list_in_an_absent_sub_message_makes_it_present(prepared: ModuleType) -> None:
    message = prepared.Everything()
    message.lists.strings.append("a")
    assert codec.has_field(message, "lists")
    assert codec.encode(message) == b"\x1a\x03\x72\x01a"


def test_setting_a_default_in_an_absent_sub_message_makes_it_present(kitchen: ModuleType) -> None:
    message = kitchen.Outer()
    message.inner.depth = 0
    assert codec.has_field(message, "inner")
    assert codec.encode(message) == b"\x0a\x00"


def test_an_assigned_empty_sub_message_is_present(prepared: ModuleType) -> None:
    message = prepared.Outer()
    message.inner = prepared.OuterInner()
    assert codec.has_field(message, "inner")
    assert codec.encode(message) == b"\x0a\x00"


def test_an_empty_sub_message_given_to_the_constructor_is_present(prepared: ModuleType) -> None:
    message = prepared.Outer(inner=prepared.OuterInner())
    assert codec.has_field(message, "inner")
    assert codec.encode(message) == b"\x0a\x00"


def test_a_oneof_member_is_present_even_if_it_was_only_read_elsewhere(kitchen: ModuleType) -> None:
    message = kitchen.Choice(point=kitchen.Outer().inner.point)
    assert codec.has_field(message, "point")
    assert codec.encode(message) == b"\x22\x00"


def test_an_optional_sub_message_is_present_even_if_it_was_only_read_elsewhere(kitchen: ModuleType) -> None:
    message = kitchen.Optionals(a_point=kitchen.Outer().inner.point)
    assert codec.encode(message) == b"\x8a\x01\x00"


def test_a_decoded_sub_message_stays_present_when_it_is_emptied(prepared: ModuleType) -> None:
    message = codec.decode(prepared.Everything, b"\x1a\x03\x72\x01a")
    message.lists.strings.clear()
    assert codec.encode(message) == b"\x1a\x00"


def test_an_unprepared_class_follows_betterproto_for_empty_sub_messages(plain: ModuleType) -> None:
    assert codec.encode(plain.Outer(inner=plain.OuterInner())) == b""


def test_none_takes_a_sub_message_away(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.Outer, b"\x0a\x02\x08\x01")
    message.inner = None
    assert not codec.has_field(message, "inner")
    assert codec.encode(message) == b""


def test_optional_fields_are_present_when_they_have_a_value(kitchen: ModuleType) -> None:
    message = kitchen.Optionals(an_int32=0)
    assert codec.has_field(message, "an_int32")
    assert not codec.has_field(message, "an_int64")
    assert message.an_int64 is None


def test_optional_messages_and_times_read_as_none(kitchen: ModuleType) -> None:
    message = kitchen.Optionals()
    assert (message.a_point, message.an_instant, message.a_span) == (None, None, None)


def test_an_optional_message_can_be_empty(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.Optionals, b"\x8a\x01\x00\x92\x01\x00")
    assert message.a_point == kitchen.Point()
    assert message.an_instant == EPOCH
    assert codec.encode(message) == b"\x8a\x01\x00\x92\x01\x00"


def test_a_chosen_member_is_present_even_when_it_is_a_default(kitchen: ModuleType) -> None:
    message = kitchen.Choice(number=0)
    assert codec.has_field(message, "number")
    assert not codec.has_field(message, "text")


def test_of_several_members_on_the_wire_the_last_one_counts(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.Choice, b"\x10\x01\x1a\x01a\x10\x02")
    assert betterproto.which_one_of(message, "pick") == ("number", 2)
    assert codec.encode(message) == b"\x10\x02"


def test_a_member_message_that_comes_twice_is_merged(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.Choice, b"\x22\x02\x08\x02\x22\x02\x10\x04")
    assert message.point == kitchen.Point(x=1, y=2)


def test_a_member_message_is_not_merged_across_another_member(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.Choice, b"\x22\x02\x08\x02\x10\x01\x22\x02\x10\x04")
    assert message.point == kitchen.Point(y=2)


def test_lists_and_maps_are_present_with_an_item(kitchen: ModuleType) -> None:
    assert codec.has_field(kitchen.Lists(strings=[""]), "strings")
    assert not codec.has_field(kitchen.Lists(strings=[]), "strings")
    assert codec.has_field(kitchen.Maps(strings={"": ""}), "strings")
    assert not codec.has_field(kitchen.Maps(), "strings")


def test_scalars_without_presence_are_present_when_they_differ_from_the_default(kitchen: ModuleType) -> None:
    assert codec.has_field(kitchen.Scalars(an_int32=1), "an_int32")
    assert not codec.has_field(kitchen.Scalars(an_int32=0), "an_int32")


def test_wrapped_values_are_present_unless_none(kitchen: ModuleType) -> None:
    assert codec.has_field(kitchen.Wrapped(an_int32=0), "an_int32")
    assert not codec.has_field(kitchen.Wrapped(an_int32=None), "an_int32")


def test_times_are_present_when_decoded_or_set(prepared: ModuleType) -> None:
    assert codec.has_field(prepared.WellKnown(instant=EPOCH), "instant")
    assert codec.has_field(codec.decode(prepared.WellKnown, b"\x0a\x00"), "instant")
    message = prepared.WellKnown()
    assert message.instant == EPOCH
    assert not codec.has_field(message, "instant")


def test_an_unknown_name_is_refused(kitchen: ModuleType) -> None:
    with pytest.raises(ValueError, match="Point has no field 'z'"):
        codec.has_field(kitchen.Point(), "z")


def test_a_clone_shares_nothing_and_keeps_presence(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.Tree, b"\x12\x00\x22\x02\x08\x01\x98\x06\x05")
    copied = codec.clone(message)
    copied.children[0].value = 2
    copied.left.value = 3
    assert codec.encode(message) == b"\x12\x00\x22\x02\x08\x01\x98\x06\x05"
    assert codec.encode(copied) == b"\x12\x02\x08\x03\x22\x02\x08\x02\x98\x06\x05"


def test_a_clone_keeps_times(kitchen: ModuleType) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert codec.clone(kitchen.WellKnown(instant=at)).instant == at
