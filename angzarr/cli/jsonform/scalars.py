"""Numbers, truth values, texts and bytes in JSON."""

import base64
import binascii
import math
import re
import struct
from typing import Any

from angzarr.cli.jsonform.failures import JsonError
from angzarr.codec.scalars import RANGES

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def read_scalar(kind: str, value: Any, path: str) -> Any:
    """A number, truth value, text or bytes from its JSON form.

    Args:
        kind: the proto type.
        value: what was parsed.
        path: where it stands, for errors.

    Raises:
        JsonError: it is none of that type, or out of its range.
    """
    if kind in RANGES:
        return _read_integer(kind, value, path)
    if kind in ("float", "double"):
        return _read_float(kind, value, path)
    if kind == "bool":
        if not isinstance(value, bool):
            raise JsonError(f"true or false is expected, not {kind_of(value)}", path)
        return value
    if not isinstance(value, str):
        raise JsonError(
            f"{'base64 text' if kind == 'bytes' else 'text'} is expected, not {kind_of(value)}", path
        )
    if kind == "bytes":
        return _read_bytes(value, path)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise JsonError("the text holds half of a surrogate pair", path) from None
    return value


def _read_integer(kind: str, value: Any, path: str) -> int:
    number = _number(value, path) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise JsonError(f"a whole number is expected, not {kind_of(value)}", path)
    if isinstance(number, float):
        if not number.is_integer():
            raise JsonError(f"a whole number is expected, not {value}", path)
        number = int(number)
    low, high = RANGES[kind]
    if not low <= number < high:
        raise JsonError(f"{value} is out of the range of {kind}, {low} to {high - 1}", path)
    return number


def _number(text: str, path: str) -> int | float:
    if not _NUMBER.fullmatch(text):
        raise JsonError(f"a number is expected, not the text {text!r}", path)
    return int(text) if text.lstrip("-").isdigit() else float(text)


_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _read_float(kind: str, value: Any, path: str) -> float:
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    number = _number(value, path) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise JsonError(f"a number is expected, not {kind_of(value)}", path)
    try:
        found = float(number)
    except OverflowError:
        found = math.inf
    if math.isinf(found) or (kind == "float" and not _fits_float(found)):
        raise JsonError(f"{value} is out of the range of {kind}", path)
    return found


def _fits_float(value: float) -> bool:
    try:
        struct.pack("<f", value)
    except OverflowError:
        return False
    return True


def _read_bytes(value: str, path: str) -> bytes:
    text = value.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise JsonError("this is not base64", path) from None


def kind_of(value: Any) -> str:
    """What errors call a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return f"the text {value!r}" if isinstance(value, str) else f"the number {value}"


def write_scalar(kind: str, value: Any) -> Any:
    """The JSON form of a scalar: 64-bit integers as text, bytes as base64."""
    if kind in _WIDE:
        return str(value)
    if kind == "bytes":
        return base64.b64encode(value).decode()
    if kind not in ("float", "double"):
        return value
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    shown = _shortest_float(value) if kind == "float" else value
    return int(shown) if shown.is_integer() and abs(shown) < 2**53 else shown


_WIDE = frozenset({"int64", "uint64", "sint64", "fixed64", "sfixed64"})


def _shortest_float(value: float) -> float:
    """The shortest decimal that is the same single-precision number."""
    exact = struct.pack("<f", value)
    candidates = (float(f"{value:.{digits}g}") for digits in range(6, 10))
    return next(found for found in candidates if struct.pack("<f", found) == exact)
