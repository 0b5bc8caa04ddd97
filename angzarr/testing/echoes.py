"""Values that have been seen before: all that there is, one more than that, or the name of somebody who is there.

Random values hardly ever meet what an aggregate holds, and mistakes live where they do.
"""

from collections.abc import Iterator, Mapping
from typing import Any as AnyValue
from typing import TypeVar

import betterproto
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from angzarr.codec import clone
from angzarr.testing.fields import Field, fields_of, is_set, values_of

__all__ = ["Seen", "echoing", "seen_in"]

M = TypeVar("M", bound=betterproto.Message)

Seen = Mapping[type, tuple[AnyValue, ...]]
"""Kind of value → the values of it that have been seen, each once."""

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
    """Whole numbers, texts and byte strings that some things hold, zero and empty ones aside.

    Args:
        things: messages, states, containers; what they hold is looked at as well.
    """
    found: dict[type, dict[AnyValue, None]] = {kind: {} for kind in _KINDS}
    for value in _held(things, 0):
        known = found[type(value)]
        if len(known) < _MOST:
            known[value] = None
    return {kind: tuple(known) for kind, known in found.items()}


def _held(value: AnyValue, depth: int) -> Iterator[AnyValue]:
    if type(value) in _KINDS:
        if value:
            yield value
    elif depth <= _DEEPEST:
        for part in _parts(value):
            yield from _held(part, depth + 1)


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
    """Messages, some of which say again what has been seen, or one more or less than it.

    Args:
        messages: the messages.
        seen: what has been seen.
    """
    message = draw(messages)
    fields = [field for field in fields_of(type(message)) if _can_echo(message, field, seen)]
    if not fields or not draw(st.sampled_from([False, True])):
        return message
    field = draw(st.sampled_from(fields))
    echoed = clone(message)
    setattr(echoed, field.name, draw(_echoes(field, seen)))
    return echoed


def _can_echo(message: betterproto.Message, field: Field, seen: Seen) -> bool:
    if field.repeated or field.key_type is not None or not seen.get(_KIND_OF.get(field.proto_type, type)):
        return False
    return field.group is None or is_set(message, field)


def _echoes(field: Field, seen: Seen) -> SearchStrategy[AnyValue]:
    kind = _KIND_OF[field.proto_type]
    values = st.sampled_from(seen[kind])
    if kind is not int:
        return values
    low = 0 if field.proto_type in _UNSIGNED else -(1 << 31)
    high = (1 << 31) - 1 if field.proto_type in _NARROW else (1 << 62)
    near = st.builds(int.__add__, values, st.sampled_from([0, 0, 1, -1]))
    return near.map(lambda number: min(max(number, low), high))
