"""Timestamp and Duration, which betterproto shows as datetime and timedelta.

A singular field holds what came off the wire, a list of chunks of the encoded message (several when the
field came several times: to concatenate is to merge), until it is read. So a field nobody reads costs no
datetime, and one that a datetime cannot hold goes out as it came in. What is read and would lose by it
(nanoseconds, unknown fields) becomes a datetime that remembers its encoding.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, Self, SupportsIndex

from angzarr.codec.fields import DURATION, TIMESTAMP
from angzarr.codec.wire import (
    MASK64,
    MAX_DEPTH,
    TOO_DEEP,
    more_pairs,
    read_tag,
    read_varint,
    skip,
    write_varint,
)
from angzarr.errors import DecodeError, EncodeError

__all__ = [
    "DEFAULTS",
    "EPOCH",
    "NO_SHAPE",
    "SHAPES",
    "OutOfRange",
    "check_moment",
    "resolve",
    "resolve_or_keep",
    "write_duration",
    "write_moment",
    "write_timestamp",
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULTS: dict[str, Any] = {TIMESTAMP: EPOCH, DURATION: timedelta(0)}


class _Exact:
    """What lets a time be written as it was read, to the nanosecond; copies and pickles keep it."""

    raw: bytes | None = None

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        parts: Any = super().__reduce_ex__(protocol)
        return (*parts[:2], self.__dict__)


class _ExactDatetime(_Exact, datetime):
    """A datetime with the bytes it was read from."""


class _ExactTimedelta(_Exact, timedelta):
    """A timedelta with the bytes it was read from."""


class OutOfRange:
    """Stands in a list or map for a time that datetime or timedelta cannot hold; any use of it raises."""

    def __init__(self, kind: str, raw: bytes) -> None:
        self.raw = raw
        self._kind = kind

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OutOfRange) and (self._kind, self.raw) == (other._kind, other.raw)

    def __hash__(self) -> int:
        return hash((self._kind, self.raw))

    def __repr__(self) -> str:
        return f"<{self._kind} out of range: {self.raw.hex()}>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # copy and pickle ask for optional hooks
            raise AttributeError(name)
        _refuse(self._kind, *_seconds_and_nanos(self.raw))


def _refuse(kind: str, seconds: int, nanos: int) -> NoReturn:
    holder = "datetime (year 1 to 9999)" if kind == TIMESTAMP else "timedelta"
    raise DecodeError(f"{seconds} seconds and {nanos} nanoseconds is a {kind} outside what {holder} can hold")


def _shapes() -> dict[int, tuple[int, int]]:
    """Length → (mask, pattern) of the usual encodings: five bytes of seconds, nanoseconds or none."""
    shapes = {}
    for nanos_bytes in range(6):
        mask, pattern = b"\xff" + b"\x80" * 5, b"\x08" + b"\x80" * 4 + b"\x00"
        if nanos_bytes:
            mask += b"\xff" + b"\x80" * nanos_bytes
            pattern += b"\x10" + b"\x80" * (nanos_bytes - 1) + b"\x00"
        shapes[len(mask)] = int.from_bytes(mask), int.from_bytes(pattern)
    return shapes


SHAPES = _shapes()
NO_SHAPE = (0, 1)


def check_moment(raw: bytes, depth: int) -> list[bytes]:
    """Make sure that ``raw`` is an encoded Timestamp or Duration.

    Args:
        raw: the message, without tag and length.
        depth: how many groups may be nested in it; negative when the message itself is nested too deep.

    Returns:
        ``[raw]``, what an unread field holds.

    Raises:
        DecodeError, IndexError: it is malformed.
    """
    mask, pattern = SHAPES.get(len(raw), NO_SHAPE)
    if int.from_bytes(raw) & mask != pattern or depth < 0:
        _seconds_and_nanos(raw, depth)
    return [raw]


def _seconds_and_nanos(raw: bytes, depth: int = MAX_DEPTH) -> tuple[int, int]:
    seconds = nanos = i = 0
    end = len(raw)
    if depth < 0:
        raise DecodeError(TOO_DEEP)
    while i < end:
        tag, i = read_tag(raw, i)
        if tag == 8:
            seconds, i = read_varint(raw, i)
            seconds -= (seconds & 0x8000000000000000) << 1
        elif tag == 16:
            nanos, i = read_varint(raw, i)
            nanos &= 0xFFFFFFFF
            nanos -= (nanos & 0x80000000) << 1
        else:
            i = skip(raw, i, end, tag, depth)
    return seconds, nanos


def resolve(kind: str, chunks: list[bytes]) -> Any:
    """The datetime or timedelta of an encoded field.

    Raises:
        DecodeError: it is out of range.
    """
    raw = b"".join(chunks)
    seconds, nanos = _seconds_and_nanos(raw)
    micros = nanos // 1000 if nanos >= 0 else -(-nanos // 1000)
    try:
        value = DEFAULTS[kind] + timedelta(0, seconds, micros)
    except OverflowError:
        _refuse(kind, seconds, nanos)
    return value if write_moment(value) == raw else _exact(value, raw)


def resolve_or_keep(kind: str, chunks: list[bytes], *, keep_default: bool = False) -> Any:
    """As ``resolve``, for places without a reading hook: out of range gives an OutOfRange.

    Args:
        kind: TIMESTAMP or DURATION.
        chunks: the encoded field.
        keep_default: make a present default differ from an absent one when it is written again.
    """
    try:
        value = resolve(kind, chunks)
    except DecodeError:
        return OutOfRange(kind, b"".join(chunks))
    is_bare_default = type(value) in _WRITERS and value == DEFAULTS[kind]
    return _exact(value, b"") if keep_default and is_bare_default else value


def _exact(value: datetime | timedelta, raw: bytes) -> datetime | timedelta:
    exact: _ExactDatetime | _ExactTimedelta
    if isinstance(value, datetime):
        exact = _ExactDatetime.combine(value.date(), value.timetz())
    else:
        exact = _ExactTimedelta(value.days, value.seconds, value.microseconds)
    exact.raw = raw
    return exact


def write_timestamp(value: Any) -> bytes:
    """A datetime, or what stands for one, as an encoded Timestamp."""
    if type(value) is datetime:
        try:
            delta = value - EPOCH
        except TypeError:
            raise EncodeError(f"{value!r} has no time zone") from None
        return _write_recent(delta.days * 86400 + delta.seconds, delta.microseconds * 1000)
    return _write_special(TIMESTAMP, value, datetime)


def write_duration(value: Any) -> bytes:
    """A timedelta, or what stands for one, as an encoded Duration."""
    if type(value) is not timedelta:
        return _write_special(DURATION, value, timedelta)
    if value.days >= 0:
        return _pair(value.days * 86400 + value.seconds, value.microseconds * 1000)
    value = -value
    return _pair(-(value.days * 86400 + value.seconds), -value.microseconds * 1000)


_WRITERS: dict[type, Callable[[Any], bytes]] = {datetime: write_timestamp, timedelta: write_duration}


def write_moment(value: Any) -> bytes:
    """A datetime or timedelta, or what stands for one, as the encoded message."""
    return write_timestamp(value) if isinstance(value, datetime) else write_duration(value)


def _write_special(kind: str, value: Any, plain: type) -> bytes:
    if type(value) is list:
        return b"".join(value)
    raw = getattr(value, "raw", None) if isinstance(value, plain | OutOfRange) else None
    if raw is not None:
        return bytes(raw)
    if not isinstance(value, plain):
        raise EncodeError(
            f"{plain.__name__} expected for a {kind}, got {value!r} of type {type(value).__name__}"
        )
    return _WRITERS[plain](_without_memory(value))


def _without_memory(value: Any) -> Any:
    if isinstance(value, datetime):
        return datetime.combine(value.date(), value.timetz())
    return timedelta(value.days, value.seconds, value.microseconds)


def _write_recent(seconds: int, nanos: int) -> bytes:
    """As ``_pair``, in one go for what a clock shows mostly: five bytes of seconds, five of nanoseconds."""
    if not 268435456 <= seconds < 34359738368 or nanos < 268435456:
        return _pair(seconds, nanos)
    more = more_pairs()
    return b"\x08%b%b%c\x10%b%b%c" % (
        more[seconds & 16383],
        more[seconds >> 14 & 16383],
        seconds >> 28,
        more[nanos & 16383],
        more[nanos >> 14 & 16383],
        nanos >> 28,
    )


def _pair(seconds: int, nanos: int) -> bytes:
    out = b"\x08" + write_varint(seconds & MASK64) if seconds else b""
    return out + b"\x10" + write_varint(nanos & MASK64) if nanos else out
