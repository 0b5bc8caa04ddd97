"""Values that have been seen before: all that there is, one more than that, or the name of somebody who is there.

Random values hardly ever meet what an aggregate holds, and mistakes live where they do.
"""

from collections.abc import Iterator, Mapping
from typing import Any as AnyValue
from typing import TypeVar

import betterproto
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from angzarr.codec import EncodeError, clone, encode
from angzarr.testing.fields import Field, fields_of, is_set, values_of

__all__ = ["Seen", "echoing", "seen_in"]

M = TypeVar("M", bound=betterproto.Message)

Seen = Mapping[type, tuple[AnyValue, ...]]
"""Kind of value, or class of messages → those of it that have been seen, each once."""
Place = tuple[tuple[str, ...], Field]
"""The names of the messages that a field is in, from the outermost one, and the field."""

_KINDS = (int, str, bytes)
_MOST = 30
_DEEPEST = 4
_KIND_OF = {
    betterproto.TYPE_STRING: str,
    betterproto.TYPE_BYTES: bytes,
    betterproto.TYPE_INT32: int,
    betterproto.TYPE_INT64: int,
    betterproto.TYPE_UINT32: int,
    betterproto.TYPE_UINT64: int,
    betterproto.TYPE_SINT32: int,
    betterproto.TYPE_SINT64: int,
}
_UNSIGNED = (betterproto.TYPE_UINT32, betterproto.TYPE_UINT64)
_NARROW = (betterproto.TYPE_INT32, betterproto.TYPE_UINT32, betterproto.TYPE_SINT32)


def seen_in(*things: AnyValue) -> Seen:
    """Whole numbers, texts, byte strings and messages that some things hold, zero and empty ones aside.

    Args:
        things: messages, states, containers; what they hold is looked at as well.
    """
    found: dict[type, dict[AnyValue, AnyValue]] = {kind: {} for kind in _KINDS}
    for value in _held(things, 0):
        known = found.setdefault(type(value), {})
        if len(known) < _MOST:
            known[encode(value) if isinstance(value, betterproto.Message) else value] = value
    return {kind: tuple(known.values()) for kind, known in found.items()}


def _held(value: AnyValue, depth: int) -> Iterator[AnyValue]:
    if type(value) in _KINDS:
        if value:
            yield value
    elif depth <= _DEEPEST:
        if isinstance(value, betterproto.Message) and _can_be_encoded(value):
            yield value
        for part in _parts(value):
            yield from _held(part, depth + 1)


def _can_be_encoded(message: betterproto.Message) -> bool:
    """States may hold in a message what no bytes can carry."""
    try:
        return bool(encode(message))
    except EncodeError:
        return False


def _parts(value: AnyValue) -> list[AnyValue]:
    if isinstance(value, betterproto.Message):
        return [held for _, held in values_of(value)]
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    attributes: dict[str, AnyValue] = getattr(value, "__dict__", {})
    return list(attributes.values()) if not isinstance(value, type) else []


@st.composite
def echoing(draw: DrawFn, messages: SearchStrategy[M], seen: Seen) -> M:
    """Messages, some of which say again what has been seen, or one more or less than it, also deep inside.

    Args:
        messages: the messages.
        seen: what has been seen.
    """
    message = draw(messages)
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        places = list(_places(message, seen, ()))
        if not places:
            break
        message = _echoed(draw, message, draw(st.sampled_from(places)), seen)
    return message


def _places(message: betterproto.Message, seen: Seen, path: tuple[str, ...]) -> Iterator[Place]:
    for field in fields_of(type(message)):
        if field.repeated or field.key_type is not None:
            continue
        if field.group is not None and not is_set(message, field):
            continue
        if seen.get(_kind_of(field)):
            yield path, field
        if _is_filled(message, field) and len(path) < _DEEPEST:
            yield from _places(getattr(message, field.name), seen, (*path, field.name))


def _kind_of(field: Field) -> type:
    """What of the things seen fits into a field."""
    if field.wraps is not None:
        return _KIND_OF.get(field.wraps, type)
    return field.cls if field.cls is not None and field.is_message else _KIND_OF.get(field.proto_type, type)


def _is_filled(message: betterproto.Message, field: Field) -> bool:
    if not field.is_message or field.cls is None or not issubclass(field.cls, betterproto.Message):
        return False
    return is_set(message, field)


def _echoed(draw: DrawFn, message: M, place: Place, seen: Seen) -> M:
    path, field = place
    echoed = clone(message)
    holder: betterproto.Message = echoed
    for name in path:
        holder = getattr(holder, name)
    kind = _kind_of(field)
    value = draw(st.sampled_from(seen[kind]))
    if isinstance(value, betterproto.Message):
        value = _nearly(draw, clone(value))
    setattr(holder, field.name, draw(_near(value, field)) if kind is int else value)
    return echoed


def _nearly(draw: DrawFn, message: M) -> M:
    """Change a message seen by one, if there is a number in it: so much of a currency, and one more of it."""
    numbers = [
        field
        for field in fields_of(type(message))
        if _kind_of(field) is int and not field.repeated and field.key_type is None and is_set(message, field)
    ]
    if numbers:
        field = draw(st.sampled_from(numbers))
        setattr(message, field.name, draw(_near(getattr(message, field.name), field)))
    return message


def _near(value: int, field: Field) -> SearchStrategy[int]:
    proto_type = field.wraps or field.proto_type
    low = 0 if proto_type in _UNSIGNED else -(1 << 31)
    high = (1 << 31) - 1 if proto_type in _NARROW else (1 << 62)
    return st.sampled_from([0, 0, 1, -1]).map(lambda by: min(max(value + by, low), high))
