# ruff: noqa: RUF009
"""A message with a field of every kind, as betterproto's plugin would generate it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import betterproto
import betterproto.lib.google.protobuf as betterproto_lib_google_protobuf

from angzarr.messages import register


class Colour(betterproto.Enum):
    NONE = 0
    RED = 1
    BLUE = -3


@dataclass(eq=False, repr=False)
class Leaf(betterproto.Message):
    text: str = betterproto.string_field(1)


@dataclass(eq=False, repr=False)
class Tree(betterproto.Message):
    value: int = betterproto.sint32_field(1)
    children: list["Tree"] = betterproto.message_field(2)
    next: "Tree" = betterproto.message_field(3)


@dataclass(eq=False, repr=False)
class Kinds(betterproto.Message):
    an_int32: int = betterproto.int32_field(1)
    an_int64: int = betterproto.int64_field(2)
    a_uint32: int = betterproto.uint32_field(3)
    a_uint64: int = betterproto.uint64_field(4)
    a_sint32: int = betterproto.sint32_field(5)
    a_sint64: int = betterproto.sint64_field(6)
    a_fixed32: int = betterproto.fixed32_field(7)
    a_fixed64: int = betterproto.fixed64_field(8)
    a_sfixed32: int = betterproto.sfixed32_field(9)
    a_sfixed64: int = betterproto.sfixed64_field(10)
    a_float: float = betterproto.float_field(11)
    a_double: float = betterproto.double_field(12)
    a_bool: bool = betterproto.bool_field(13)
    a_string: str = betterproto.string_field(14)
    some_bytes: bytes = betterproto.bytes_field(15)
    colour: "Colour" = betterproto.enum_field(16)
    leaf: "Leaf" = betterproto.message_field(17)
    tree: "Tree" = betterproto.message_field(18)
    numbers: list[int] = betterproto.int32_field(19)
    texts: list[str] = betterproto.string_field(20)
    colours: list["Colour"] = betterproto.enum_field(21)
    leaves: list["Leaf"] = betterproto.message_field(22)
    counts: dict[str, int] = betterproto.map_field(23, betterproto.TYPE_STRING, betterproto.TYPE_UINT32)
    by_number: dict[int, "Leaf"] = betterproto.map_field(24, betterproto.TYPE_INT32, betterproto.TYPE_MESSAGE)
    palette: dict[bool, "Colour"] = betterproto.map_field(25, betterproto.TYPE_BOOL, betterproto.TYPE_ENUM)
    at: datetime = betterproto.message_field(26)
    took: timedelta = betterproto.message_field(27)
    maybe: int | None = betterproto.message_field(28, wraps=betterproto.TYPE_INT64)
    perhaps: str | None = betterproto.message_field(29, wraps=betterproto.TYPE_STRING)
    extra: "betterproto_lib_google_protobuf.Any" = betterproto.message_field(30)
    note: str | None = betterproto.string_field(31, optional=True)
    hue: "Colour | None" = betterproto.enum_field(32, optional=True)
    choice_text: str = betterproto.string_field(33, group="choice")
    choice_number: int = betterproto.int32_field(34, group="choice")
    choice_leaf: "Leaf" = betterproto.message_field(35, group="choice")
    times: list[datetime] = betterproto.message_field(36)


register(Leaf, "testing.kinds.Leaf")
register(Tree, "testing.kinds.Tree")
register(Kinds, "testing.kinds.Kinds")
