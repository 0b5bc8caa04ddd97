"""Timestamps and durations as JSON texts, to the nanosecond where the value has them."""

import re
from datetime import datetime, timedelta
from typing import Any

from betterproto.lib.google import protobuf as wkt

from angzarr import codec
from angzarr.cli.jsonform.failures import JsonError
from angzarr.codec.wellknown import EPOCH
from angzarr.error_codes import keys
from angzarr.errors import InvalidTimestampError
from angzarr.messages import parse_timestamp

_DURATION = re.compile(r"(-?)([0-9]+)(?:\.([0-9]{1,9}))?s")
_MAX_SECONDS = 315_576_000_000
_GIGA = 1_000_000_000


def read_timestamp(value: Any, path: str) -> datetime:
    """An RFC 3339 text as an aware datetime, to the microsecond.

    Raises:
        JsonError: it is none.
    """
    try:
        return parse_timestamp(value)
    except InvalidTimestampError as error:
        cause = error.details[keys.CAUSE]
        raise JsonError(f"a timestamp such as 2026-01-31T12:00:00Z is expected: {cause}", path) from None


def read_duration(value: Any, path: str) -> timedelta:
    """A text such as ``1.5s`` as a timedelta, to the microsecond.

    Raises:
        JsonError: it is none.
    """
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise JsonError("a duration in seconds such as 1.5s is expected", path)
    sign, seconds, fraction = match.groups()
    if int(seconds) > _MAX_SECONDS:
        raise JsonError(f"a duration is at most {_MAX_SECONDS} s", path)
    length = timedelta(seconds=int(seconds), microseconds=int((fraction or "").ljust(6, "0")[:6]))
    return -length if sign else length


def exact_timestamp(value: datetime) -> wkt.Timestamp:
    """The protobuf form of a moment; one that was decoded keeps its nanoseconds."""
    raw = getattr(value, "raw", None)
    if raw is not None:
        return codec.decode(wkt.Timestamp, raw)
    since = value - EPOCH
    return wkt.Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def exact_duration(value: timedelta) -> wkt.Duration:
    """The protobuf form of a duration; one that was decoded keeps its nanoseconds."""
    raw = getattr(value, "raw", None)
    if raw is not None:
        return codec.decode(wkt.Duration, raw)
    micros = abs(value) // timedelta(microseconds=1)
    sign = -1 if value < timedelta() else 1
    seconds, rest = divmod(micros, 1_000_000)
    return wkt.Duration(seconds=sign * seconds, nanos=sign * rest * 1000)


def write_timestamp(value: wkt.Timestamp) -> str:
    """RFC 3339 in UTC, with as many fraction digits as it needs of 0, 3, 6 or 9."""
    moment = EPOCH + timedelta(seconds=value.seconds)
    return f"{moment.replace(tzinfo=None).isoformat()}{_fraction(value.nanos)}Z"


def write_duration(value: wkt.Duration) -> str:
    """Seconds with as many fraction digits as they need of 0, 3, 6 or 9, and an ``s``."""
    seconds, nanos = divmod(abs(value.seconds * _GIGA + value.nanos), _GIGA)
    sign = "-" if value.seconds < 0 or value.nanos < 0 else ""
    return f"{sign}{seconds}{_fraction(nanos)}s"


def _fraction(nanos: int) -> str:
    if nanos == 0:
        return ""
    digits = f"{nanos:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}"
