"""What is not an encoding is refused, with the path to where it goes wrong; what google takes is taken."""

from types import ModuleType
from typing import Any

import pytest
from google.protobuf.message import DecodeError as GoogleDecodeError

from angzarr import codec
from angzarr.codec.wire import write_varint
from angzarr.errors import DecodeError
from tests.codec.oracle import google_class

TRUNCATED = {
    "Scalars": [
        "09",
        "0900000000000000",
        "1500",
        "15000000",
        "18",
        "1880",
        "72",
        "7205616263",
        "7a05",
        "8001",
    ],
    "Lists": ["0a09000000000000", "0a0400000000", "1a0180", "7202", "8a0102", "8a010508"],
    "Maps": ["0a", "0a03", "0a020a", "0a030a0561", "8a01050a016112"],
    "Choice": ["10", "1a02", "2202", "22020a", "4a02", "4a0208", "520110"],
    "Tree": ["12", "1202", "120108"],
    "Wrapped": ["0a01", "0a0109", "12020d00", "4203"],
    "WellKnown": ["0a", "0a0108", "0a0210", "1a010a", "220a"],
    "Nothing": ["08", "0880", "0a", "0a05", "0d00", "0900", "0b", "0b08", "0b0801"],
}


@pytest.mark.parametrize(("name", "data"), [(name, data) for name in TRUNCATED for data in TRUNCATED[name]])
def test_truncated_input_is_refused(name: str, data: str, kitchen: ModuleType) -> None:
    with pytest.raises(GoogleDecodeError):
        google_class(f"kitchen.{name}").FromString(bytes.fromhex(data))
    with pytest.raises(DecodeError):
        codec.decode(getattr(kitchen, name), bytes.fromhex(data))


MALFORMED = {
    "field number 0": "0001",
    "field number 0, length": "020161",
    "tag of six bytes": "8880808080000100",
    "field number too large": "f8ffffff1f01",
    "varint of eleven bytes": "1880808080808080808080800001",
    "unknown varint of eleven bytes": "a00680808080808080808080800001",
    "length of six bytes": "7281808080800061",
    "length above 2 GiB": "72ffffffff0f",
    "group end alone": "0c",
    "group end of another number": "0b14",
    "group without end": "0b0801",
    "wire type 6": "0e",
    "wire type 7": "0f",
    "invalid UTF-8": "7202c328",
    "overlong UTF-8": "7202c080",
    "surrogate in UTF-8": "7203eda080",
    "UTF-8 above U+10FFFF": "7204f4908080",
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_input_is_refused(what: str, kitchen: ModuleType) -> None:
    data = bytes.fromhex(MALFORMED[what])
    with pytest.raises(GoogleDecodeError):
        google_class("kitchen.Scalars").FromString(data)
    with pytest.raises(DecodeError):
        codec.decode(kitchen.Scalars, data)


ODD = {
    "int32 of ten bytes, truncated to 32 bits": ("18ffffffff7f", "an_int32", -1),
    "int32 above 32 bits": ("188080808010", "an_int32", 0),
    "uint32 above 32 bits": ("28ffffffffff01", "a_uint32", 0xFFFFFFFF),
    "padded varint": ("2081808000", "an_int64", 1),
    "tenth byte beyond 64 bits": ("20ffffffffffffffffff7f", "an_int64", -1),
    "bool of a large number": ("688080808010", "a_bool", True),
    "padded tag": ("98800005", "an_int32", 5),
    "sint32 with excess bits": ("38ffffffff1f", "a_sint32", -0x80000000),
    "the last of several": ("180118021803", "an_int32", 3),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_input_gives_what_google_gives(what: str, kitchen: ModuleType) -> None:
    data, field, value = ODD[what]
    assert getattr(google_class("kitchen.Scalars").FromString(bytes.fromhex(data)), field) == value
    assert getattr(codec.decode(kitchen.Scalars, bytes.fromhex(data)), field) == value


WRONG_TYPES = [
    "1d00000000",
    "1900000000 00000000",
    "1a0105",
    "70 05",
    "7500000000",
    "1b1c",
    "0801",
    "8a0101 61",
]


@pytest.mark.parametrize("data", [text.replace(" ", "") for text in WRONG_TYPES])
def test_a_wrong_wire_type_is_an_unknown_field(data: str, kitchen: ModuleType) -> None:
    raw = bytes.fromhex(data)
    message = codec.decode(kitchen.Scalars, raw)
    assert message._unknown_fields == raw
    assert codec.encode(message) == raw
    assert google_class("kitchen.Scalars").FromString(raw).SerializeToString() == raw


def nested_messages(levels: int) -> bytes:
    data = b""
    for _ in range(levels):
        data = b"\x12" + write_varint(len(data)) + data
    return data


def nested_map_entries(levels: int) -> bytes:
    data = b""
    for _ in range(levels):
        entry = b"\x12" + write_varint(len(data)) + data
        data = b"\x2a" + write_varint(len(entry)) + entry
    return data


def inside(tag: bytes, data: bytes) -> bytes:
    return tag + write_varint(len(data)) + data


NESTED = {
    "messages": (nested_messages(100), nested_messages(101)),
    "repeated messages": (inside(b"\x22", nested_messages(99)), inside(b"\x22", nested_messages(100))),
    "map entries": (nested_map_entries(50), nested_map_entries(51)),
    "unknown groups": (b"\x4b" * 100 + b"\x4c" * 100, b"\x4b" * 101 + b"\x4c" * 101),
    "out of order": (b"\x08\x01" * 2 + nested_messages(100), b"\x08\x01" * 2 + nested_messages(101)),
    "merged": (nested_messages(100) * 2, nested_messages(100) + nested_messages(101)),
}


@pytest.mark.parametrize("what", NESTED)
def test_a_hundred_levels_are_the_limit(what: str, kitchen: ModuleType) -> None:
    allowed, refused = NESTED[what]
    google = google_class("kitchen.Tree")
    assert google.FromString(allowed) is not None
    assert codec.decode(kitchen.Tree, allowed) is not None
    with pytest.raises(GoogleDecodeError):
        google.FromString(refused)
    with pytest.raises(DecodeError, match="nested deeper than 100"):
        codec.decode(kitchen.Tree, refused)


PATHS = {
    "a field of a list's item": ("Everything", "32 05 2200 2201 08", "tree.children[1].value"),
    "a list's second item": ("Lists", "720161 7205 61", "strings[1]"),
    "a packed list": ("Lists", "1a03 01 02 80", "int32_s[2]"),
    "a map's value": ("Maps", "8a01 06 0a0161 120108", "points['a'].x"),
    "text in a wrapper": ("Wrapped", "4203 0a01 ff", "a_string"),
    "a timestamp": ("WellKnown", "0a01 08", "instant"),
    "after unordered fields": ("Tree", "0802 0801 1201 08", "left.value"),
    "in a merged message": ("Tree", "1202 0801 1201 08", "left.value"),
    "the message itself": ("Tree", "00", ""),
}


@pytest.mark.parametrize("what", PATHS)
def test_the_error_says_where(what: str, kitchen: ModuleType) -> None:
    name, data, path = PATHS[what]
    with pytest.raises(DecodeError) as caught:
        codec.decode(getattr(kitchen, name), bytes.fromhex(data.replace(" ", "")))
    assert caught.value.path == path
    assert str(caught.value).startswith(path)


def test_what_is_not_bytes_is_a_type_error(kitchen: ModuleType) -> None:
    data: Any
    for data in ("text", 5, None, [1]):
        with pytest.raises(TypeError, match="bytes expected"):
            codec.decode(kitchen.Scalars, data)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_bytes_is_taken(kind: type, kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.Scalars, kind(b"\x72\x01a\x7a\x01b"))
    assert (message.a_string, message.a_bytes, type(message.a_bytes)) == ("a", b"b", bytes)


def test_a_class_that_is_no_message_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="betterproto message class expected"):
        codec.decode(int, b"")  # type: ignore[type-var]


def test_many_unknown_fields_cost_no_more_than_their_number(kitchen: ModuleType) -> None:
    data = (b"\x98\x06\x01" + b"\x08\x01") * 100_000
    message = codec.decode(kitchen.Point, data)
    assert message.x == -1
    assert len(message._unknown_fields) == 300_000


def test_a_sub_message_that_comes_again_and_again_with_unknown_fields_keeps_them_all(
    kitchen: ModuleType,
) -> None:
    message = codec.decode(kitchen.Outer, b"\x0a\x03\x98\x06\x01" * 50_000)
    assert codec.encode(message) == b"\x0a\xf0\x93\x09" + b"\x98\x06\x01" * 50_000


def test_a_timestamp_that_comes_again_and_again_is_merged_in_one_pass(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.WellKnown, b"\x0a\x02\x08\x01" * 50_000 + b"\x0a\x02\x10\x02")
    assert message.instant.timestamp() == 1
