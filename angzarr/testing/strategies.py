"""Hypothesis strategies for generated messages, of the framework and of users' own protos alike."""

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any as AnyValue
from typing import TypeVar

import betterproto
from betterproto.lib.google.protobuf import Any
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.control import currently_in_test_context
from hypothesis.errors import NoSuchExample
from hypothesis.strategies import DrawFn, SearchStrategy
from hypothesis.vendor import pretty

from angzarr.errors import InvalidArgumentError
from angzarr.messages import message_class, pack, registered_names
from angzarr.testing.fields import Field, fields_of
from angzarr.testing.source import source_of

M = TypeVar("M", bound=betterproto.Message)
T = TypeVar("T")

MAX_DEPTH = 4
"""Messages nested deeper than this are left unset, so that recursive classes stay finite."""
MAX_ITEMS = 3
"""Lists and maps are at most this long, and one shorter per level of nesting."""
DURATION_LIMIT = timedelta(seconds=315_576_000_000)
"""google.protobuf.Duration's range, either way."""

_WARMING_UP = settings(
    max_examples=5,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
_SMALL = 16
_MUCH = 1_000_000


def messages(cls: type[M], /, **fixed: AnyValue) -> SearchStrategy[M]:
    """Messages of a class, with every kind of field: each survives ``decode(encode(message))``.

    Sub-messages, optionals and oneof members may be unset, enums may hold numbers nobody named, Any holds messages of
    registered classes, lists and maps are short, recursion is bounded. NaN is left out because it differs from itself.

    Args:
        cls: a generated class.
        fixed: field name → value, or strategy for it. Fixing a member of a oneof leaves out the other members;
            None leaves the field unset.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, the class has no field of that name.
    """
    return unhurried(_messages(cls, fixed, 0) if fixed else _unfixed(cls, False))


def unhurried(strategy: SearchStrategy[T], prepare: Callable[[], object] = tuple) -> SearchStrategy[T]:
    """The same, for tests of users, where hypothesis holds it against them when the first examples are slow to make.

    What takes time only once is done before: hypothesis looks through the modules of a project for constants, and on
    the first run in a project makes tables of all characters, which takes seconds.

    Args:
        strategy: makes the examples.
        prepare: what else to do before.
    """

    def at_last() -> SearchStrategy[T]:
        if not currently_in_test_context():  # there, it would be a test within a test
            with contextlib.suppress(NoSuchExample):
                find(st.text(), lambda _: False, settings=_WARMING_UP)
        prepare()
        return strategy

    return st.deferred(at_last)


@cache
def _unfixed(cls: type[AnyValue], plausible: bool) -> SearchStrategy[AnyValue]:
    return _messages(cls, {}, 0, plausible=plausible)


def plausible_messages(cls: type[M], /, **fixed: AnyValue) -> SearchStrategy[M]:
    """As ``messages``, but mostly what people send: small numbers, short names that recur, fields that are set."""
    plain = everyday_messages(cls, **fixed)
    return st.one_of(plain, plain, plain, _messages(cls, fixed, 0) if fixed else _unfixed(cls, False))


def everyday_messages(cls: type[M], /, **fixed: AnyValue) -> SearchStrategy[M]:
    """As ``messages``, within what business fields hold: whole numbers up to a million, dates around now.

    Zero, negative numbers, empty texts and unnamed enum numbers are among them; numbers whose sums overflow are not.
    """
    return _messages(cls, fixed, 0, plausible=True) if fixed else _unfixed(cls, True)


def _messages(
    cls: type[M], fixed: Mapping[str, AnyValue], depth: int, *, plausible: bool = False
) -> SearchStrategy[M]:
    print_as_source(cls)
    known = {field.name: field for field in fields_of(cls)}
    for name in fixed:
        if name not in known:
            raise InvalidArgumentError(
                f"{cls.__name__} has no field {name!r}; it has {', '.join(known) or 'none'}",
                details={"field": name},
            )
    settled = {known[name].group for name in fixed} - {None}
    free = tuple(field for field in known.values() if field.name not in fixed and field.group not in settled)
    given = {
        name: value if isinstance(value, SearchStrategy) else st.just(value) for name, value in fixed.items()
    }
    return _assembled(cls, free, given, depth, plausible)


def print_as_source(cls: type[betterproto.Message]) -> None:
    """Let hypothesis print examples of a class as the Python that makes them."""
    pretty.for_type_by_name(cls.__module__, cls.__name__, _print_message)


def _print_message(message: betterproto.Message, printer: pretty.RepresentationPrinter, _cycle: bool) -> None:
    # The printer's own way through a dataclass creates unset children as it goes and never ends on a recursive class.
    printer.text(source_of(message))


@st.composite
def _assembled(
    draw: DrawFn,
    cls: type[M],
    free: tuple[Field, ...],
    given: Mapping[str, SearchStrategy[AnyValue]],
    depth: int,
    plausible: bool,
) -> M:
    values = {name: draw(strategy) for name, strategy in given.items()}
    chosen = {
        group: draw(_members(tuple(f for f in free if f.group == group), depth, plausible))
        for group in dict.fromkeys(field.group for field in free)
        if group is not None
    }
    for field in free:
        if field.group is None:
            if not _may_be_left_out(field, depth) or draw(_presence(depth, plausible)):
                values[field.name] = draw(field_values(field, depth, plausible))
        elif chosen[field.group] == field.name:
            values[field.name] = draw(field_values(field, depth, plausible))
    return cls(**{name: value for name, value in values.items() if value is not None})


def _may_be_left_out(field: Field, depth: int) -> bool:
    return field.optional or (field.is_message and not field.repeated and field.key_type is None)


@cache
def _members(fields: tuple[Field, ...], depth: int, plausible: bool) -> SearchStrategy[str | None]:
    names = [field.name for field in fields if not _too_deep(field, depth)]
    return st.sampled_from(names if plausible and names else [None, *names])


@cache
def _presence(depth: int, plausible: bool) -> SearchStrategy[bool]:
    if depth >= MAX_DEPTH:
        return st.just(False)
    return st.sampled_from([True, True, True, False]) if plausible else st.booleans()


def _too_deep(field: Field, depth: int) -> bool:
    return depth >= MAX_DEPTH and field.cls is not None and issubclass(field.cls, betterproto.Message)


@cache
def field_values(field: Field, depth: int = 0, plausible: bool = False) -> SearchStrategy[AnyValue]:
    """Values of one field, lists and maps included.

    Args:
        field: the field.
        depth: how deep its message is nested.
        plausible: whether to prefer what people send.
    """
    if (field.repeated or field.key_type is not None) and _too_deep(field, depth):
        return st.just({} if field.key_type is not None else [])
    single = _single(field, depth, plausible)
    longest = max(1, MAX_ITEMS - depth)
    if field.key_type is not None:
        return st.dictionaries(_scalar(field.key_type, plausible), single, max_size=longest)
    if field.repeated:
        return st.lists(single, max_size=longest)
    return single


def _single(field: Field, depth: int, plausible: bool) -> SearchStrategy[AnyValue]:
    if field.wraps is not None:
        return _scalar(field.wraps, plausible)
    if field.cls is None:
        return _scalar(field.proto_type, plausible)
    if field.proto_type == betterproto.TYPE_ENUM:
        return enum_values(field.cls, plausible)
    if field.cls in _WELL_KNOWN:
        return _WELL_KNOWN[field.cls](plausible)
    if field.cls is Any:
        return packed_messages(depth + 1)
    return _messages(field.cls, {}, depth + 1, plausible=plausible)


def enum_values(cls: type[betterproto.Enum], plausible: bool = False) -> SearchStrategy[betterproto.Enum]:
    """Members of a generated enum and, unless ``plausible``, numbers that it does not name."""
    members = st.sampled_from(sorted(set(cls), key=lambda member: (member.value != 0, abs(member.value))))
    if plausible:
        return st.one_of(members, members, members, st.integers(-1, 100).map(cls.try_value))
    return members | _scalar(betterproto.TYPE_INT32, False).map(cls.try_value)


def timestamps(plausible: bool = False) -> SearchStrategy[datetime]:
    """Aware UTC datetimes of the years 1 to 9999, to the microsecond; to the second and around now if plausible."""
    if plausible:
        return st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
    return st.datetimes(
        datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999), timezones=st.just(UTC)
    )


def durations(plausible: bool = False) -> SearchStrategy[timedelta]:
    """Durations of either sign, within the range of google.protobuf.Duration; whole and short if plausible."""
    if plausible:
        return st.integers(-3600, 86_400).map(lambda seconds: timedelta(seconds=seconds))
    return st.timedeltas(-DURATION_LIMIT, DURATION_LIMIT)


@st.composite
def packed_messages(draw: DrawFn, depth: int = 0) -> Any:
    """Any that holds a message of a registered class; whole and decodable."""
    if depth >= MAX_DEPTH:
        return Any()
    name = draw(st.sampled_from(registered_names()))
    return pack(draw(_messages(message_class(name), {}, depth + 1)))


_WELL_KNOWN: Mapping[type, Callable[[bool], SearchStrategy[AnyValue]]] = {
    datetime: timestamps,
    timedelta: durations,
}


def _integers(bits: int, signed: bool) -> tuple[int, int]:
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


_RANGES = {
    betterproto.TYPE_INT32: _integers(32, True),
    betterproto.TYPE_SINT32: _integers(32, True),
    betterproto.TYPE_SFIXED32: _integers(32, True),
    betterproto.TYPE_INT64: _integers(64, True),
    betterproto.TYPE_SINT64: _integers(64, True),
    betterproto.TYPE_SFIXED64: _integers(64, True),
    betterproto.TYPE_UINT32: _integers(32, False),
    betterproto.TYPE_FIXED32: _integers(32, False),
    betterproto.TYPE_UINT64: _integers(64, False),
    betterproto.TYPE_FIXED64: _integers(64, False),
}


def excessive_numbers(proto_type: str) -> SearchStrategy[int]:
    """Whole numbers far beyond what people send: a trillion, more than a float holds exactly, the ends of the range.

    Nothing between a million and a trillion: whoever makes that many of something has a program that gets them.

    Args:
        proto_type: betterproto's name of a 64-bit type.
    """
    lowest, highest = _RANGES[proto_type]
    return st.sampled_from([1 << 40, (1 << 53) + 1, highest, *([lowest] if lowest else [])])


@cache
def _scalar(proto_type: str, plausible: bool) -> SearchStrategy[AnyValue]:
    likely = _likely(proto_type)
    if plausible:
        return st.one_of(likely, likely, likely, _everyday(proto_type))
    return st.one_of(likely, _anything(proto_type))


def _everyday(proto_type: str) -> SearchStrategy[AnyValue]:
    if proto_type in _RANGES:
        return st.integers(max(_RANGES[proto_type][0], -_MUCH), _MUCH)
    if proto_type in (betterproto.TYPE_FLOAT, betterproto.TYPE_DOUBLE):
        return st.integers(-_MUCH, _MUCH).map(lambda number: number / 4)
    return _anything(proto_type)


def _anything(proto_type: str) -> SearchStrategy[AnyValue]:
    if proto_type in _RANGES:
        return st.integers(*_RANGES[proto_type])
    if proto_type == betterproto.TYPE_BOOL:
        return st.booleans()
    if proto_type == betterproto.TYPE_STRING:
        return st.text(max_size=20)
    if proto_type == betterproto.TYPE_BYTES:
        return st.binary(max_size=20)
    return st.floats(width=32 if proto_type == betterproto.TYPE_FLOAT else 64, allow_nan=False)


def _likely(proto_type: str) -> SearchStrategy[AnyValue]:
    if proto_type in _RANGES:
        return st.integers(0, _SMALL)
    if proto_type == betterproto.TYPE_BOOL:
        return st.booleans()
    if proto_type == betterproto.TYPE_STRING:
        return st.sampled_from(["", "a", "b", "c"])
    if proto_type == betterproto.TYPE_BYTES:
        return st.sampled_from([b"", bytes(15) + b"\x01", bytes(15) + b"\x02"])
    return st.integers(0, _SMALL).map(float)
