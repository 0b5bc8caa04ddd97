"""Points in time: aware UTC datetimes, betterproto's form of google.protobuf.Timestamp."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

from angzarr.error_codes import keys
from angzarr.errors import InvalidTimestampError

_frozen: ContextVar[datetime | Callable[[], datetime] | None] = ContextVar(
    "angzarr_frozen_clock", default=None
)

_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{0,9}))?"
    r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)


def now() -> datetime:
    """The current time in UTC, to the microsecond; inside ``frozen`` the frozen time."""
    return frozen_time() or datetime.now(UTC)


def frozen_time() -> datetime | None:
    """The time that ``frozen`` holds in this context; None while the clock runs."""
    at = _frozen.get()
    return at() if callable(at) else at


@contextmanager
def frozen(at: datetime | Callable[[], datetime]) -> Iterator[datetime]:
    """Let ``now()`` answer ``at`` in this context and the tasks started from it: for tests.

    Args:
        at: an aware datetime, or a clock: something that gives one when called.

    Raises:
        ValueError: the time has no time zone.
    """
    shown = at() if callable(at) else at
    if shown.tzinfo is None:
        raise ValueError("frozen(at) needs an aware datetime, such as datetime(2026, 1, 1, tzinfo=UTC)")
    token = _frozen.set(at if callable(at) else shown.astimezone(UTC))
    try:
        yield shown
    finally:
        _frozen.reset(token)


def parse_timestamp(rfc3339: str) -> datetime:
    """Read an RFC 3339 text by the rules of protobuf JSON, to the microsecond.

    A zone is required (``Z`` or ``+hh:mm``), ``T`` and ``Z`` are upper case, up to nine fraction digits are read.

    Raises:
        InvalidTimestampError: INVALID_TIMESTAMP; details ``input`` and ``cause``.
    """
    try:
        return _parse(rfc3339)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidTimestampError(details={keys.INPUT: rfc3339, keys.CAUSE: error}) from error


def _parse(rfc3339: str) -> datetime:
    match = _RFC3339.fullmatch(rfc3339)
    if match is None:
        raise ValueError("not of the form YYYY-MM-DDThh:mm:ss[.fraction](Z|+hh:mm)")
    *date_and_time, fraction, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = map(int, date_and_time)
    local = datetime(
        year, month, day, hour, minute, second, int((fraction or "").ljust(6, "0")[:6]), tzinfo=UTC
    )
    if sign is None:
        return local
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError("zone offset out of range")
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return local - offset if sign == "+" else local + offset
