"""Numbers, strings and bytes: reading and writing one value of each proto type.

Readers take the buffer and the value's index; strings and bytes are cut out by their callers. Writers give
the value without its tag, and for strings and bytes without its length.
"""

import math
import struct
from collections.abc import Callable
from typing import Any

import betterproto

from angzarr.codec.wire import MASK64, read_varint, write_varint
from angzarr.errors import EncodeError

__all__ = [
    "FORMATS",
    "RANGES",
    "READERS",
    "WRITERS",
    "default_of",
    "enum_reader",
    "is_default",
    "short_list",
    "unpackers",
]

FORMATS = {
    "double": "<d",
    "float": "<f",
    "fixed32": "<I",
    "fixed64": "<Q",
    "sfixed32": "<i",
    "sfixed64": "<q",
}

unpackers: dict[str, Callable[[bytes, int], tuple[Any, ...]]] = {
    kind: struct.Struct(layout).unpack_from for kind, layout in FORMATS.items()
}
_packers = {kind: struct.Struct(layout).pack for kind, layout in FORMATS.items()}

Reader = Callable[[bytes, int], tuple[Any, int]]
Writer = Callable[[Any], bytes]


def _read_int32(b: bytes, i: int) -> tuple[int, int]:
    value, i = read_varint(b, i)
    value &= 0xFFFFFFFF
    return value - ((value & 0x80000000) << 1), i


def _read_int64(b: bytes, i: int) -> tuple[int, int]:
    value, i = read_varint(b, i)
    return value - ((value & 0x8000000000000000) << 1), i


def _read_uint32(b: bytes, i: int) -> tuple[int, int]:
    value, i = read_varint(b, i)
    return value & 0xFFFFFFFF, i


def _read_sint32(b: bytes, i: int) -> tuple[int, int]:
    value, i = _read_uint32(b, i)
    return value >> 1 ^ -(value & 1), i


def _read_sint64(b: bytes, i: int) -> tuple[int, int]:
    value, i = read_varint(b, i)
    return value >> 1 ^ -(value & 1), i


def _read_bool(b: bytes, i: int) -> tuple[bool, int]:
    value, i = read_varint(b, i)
    return value != 0, i


def _fixed_reader(kind: str) -> Reader:
    unpack, width = unpackers[kind], struct.calcsize(FORMATS[kind])

    def read(b: bytes, i: int) -> tuple[Any, int]:
        return unpack(b, i)[0], i + width

    return read


def enum_reader(cls: type[betterproto.Enum]) -> Reader:
    """A reader of the members of an enum; numbers it does not know become members without a name."""
    known = dict(cls._value_map_)

    def read(b: bytes, i: int) -> tuple[Any, int]:
        number, i = _read_int32(b, i)
        member = known.get(number)
        return (cls.try_value(number) if member is None else member), i

    return read


READERS: dict[str, Reader] = {
    "int32": _read_int32,
    "int64": _read_int64,
    "uint32": _read_uint32,
    "uint64": read_varint,
    "sint32": _read_sint32,
    "sint64": _read_sint64,
    "bool": _read_bool,
    **{kind: _fixed_reader(kind) for kind in FORMATS},
}


def short_list(kind: str, data: bytes) -> "list[Any] | tuple[Any, ...] | None":
    """The items of a packed list that can be told at once: of fixed width, or numbers below 128.

    Returns:
        The items, or None when they have to be read one by one.
    """
    if kind in FORMATS:
        count, rest = divmod(len(data), struct.calcsize(FORMATS[kind]))
        return None if rest else struct.unpack(f"<{count}{FORMATS[kind][1]}", data)
    if kind in ("int32", "int64", "uint32", "uint64") and data.isascii():
        return list(data)
    return None


RANGES = {
    "int32": (-(1 << 31), 1 << 31),
    "int64": (-(1 << 63), 1 << 63),
    "uint32": (0, 1 << 32),
    "uint64": (0, 1 << 64),
}
RANGES |= {"sint32": RANGES["int32"], "sfixed32": RANGES["int32"], "enum": RANGES["int32"]}
RANGES |= {"sint64": RANGES["int64"], "sfixed64": RANGES["int64"]}
RANGES |= {"fixed32": RANGES["uint32"], "fixed64": RANGES["uint64"]}
"""Proto type → the least number it carries, and the first that is too large."""


def _checked(kind: str, low: int, high: int, value: Any) -> int:
    if type(value) is int and low <= value < high:
        return value
    try:
        number: int = value.__index__()
    except AttributeError:
        raise EncodeError(f"{kind} expected, got {value!r} of type {type(value).__name__}") from None
    if not low <= number < high:
        raise EncodeError(f"{number} is out of range for {kind} ({low} to {high - 1})")
    return number


def _varint_writer(kind: str) -> Writer:
    low, high = RANGES[kind]

    def write(value: Any) -> bytes:
        return write_varint(_checked(kind, low, high, value) & MASK64)

    return write


def _zigzag_writer(kind: str) -> Writer:
    low, high = RANGES[kind]

    def write(value: Any) -> bytes:
        number = _checked(kind, low, high, value)
        return write_varint(number << 1 if number >= 0 else ~(number << 1))

    return write


def _fixed_writer(kind: str) -> Writer:
    pack = _packers[kind]
    low, high = RANGES[kind]

    def write(value: Any) -> bytes:
        return pack(_checked(kind, low, high, value))

    return write


def _as_float(kind: str, value: Any) -> float:
    if isinstance(value, str | bytes | bytearray) or not hasattr(value, "__float__"):
        if hasattr(value, "__index__"):
            return float(value.__index__())
        raise EncodeError(f"{kind} expected, got {value!r} of type {type(value).__name__}")
    return float(value)


def _write_double(value: Any) -> bytes:
    return _packers["double"](_as_float("double", value))


def _write_float(value: Any) -> bytes:
    number = _as_float("float", value)
    try:
        return _packers["float"](number)
    except OverflowError:  # what the other implementations do with a double that is too large
        return _packers["float"](math.copysign(math.inf, number))


def _write_bool(value: Any) -> bytes:
    if not isinstance(value, int):
        raise EncodeError(f"bool expected, got {value!r} of type {type(value).__name__}")
    return b"\x01" if value else b"\x00"


def _write_string(value: Any) -> bytes:
    if not isinstance(value, str):
        raise EncodeError(f"string expected, got {value!r} of type {type(value).__name__}")
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise EncodeError(f"not valid Unicode: {error}") from None


def _write_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise EncodeError(f"bytes expected, got {value!r} of type {type(value).__name__}")
    return bytes(value)


WRITERS: dict[str, Writer] = {
    **{kind: _varint_writer(kind) for kind in ("int32", "int64", "uint32", "uint64", "enum")},
    **{kind: _zigzag_writer(kind) for kind in ("sint32", "sint64")},
    **{kind: _fixed_writer(kind) for kind in ("fixed32", "fixed64", "sfixed32", "sfixed64")},
    "double": _write_double,
    "float": _write_float,
    "bool": _write_bool,
    "string": _write_string,
    "bytes": _write_bytes,
}

_DEFAULTS: dict[str, Any] = {"string": "", "bytes": b"", "bool": False, "double": 0.0, "float": 0.0}


def default_of(kind: str) -> Any:
    """The value of an absent scalar field; of an enum, its number."""
    return _DEFAULTS.get(kind, 0)


def is_default(kind: str, value: Any) -> bool:
    """Whether a field without explicit presence leaves ``value`` out; minus zero is not the default."""
    if value:
        return False
    WRITERS[kind](value)
    return not isinstance(value, float) or math.copysign(1.0, value) > 0
