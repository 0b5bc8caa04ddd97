"""Simpler values: what to try in place of one that is part of a counter-example, the simplest first."""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any as AnyValue

import betterproto
from betterproto.lib.google.protobuf import Any

from angzarr.codec import clone
from angzarr.testing.fields import Field, values_of
from angzarr.testing.scenarios import DEFAULT_AT

__all__ = ["simpler"]


def simpler(value: AnyValue) -> Iterator[AnyValue]:
    """Values of the same kind to try in place of one.

    Args:
        value: a message, or what a field of one holds.

    Returns:
        Simpler ones, the simplest first; nothing for what cannot be made simpler.
    """
    if isinstance(value, betterproto.Message):
        yield from _messages(value)
    elif isinstance(value, betterproto.Enum):
        if value.value != 0:
            yield type(value).try_value(0)
    elif isinstance(value, bool):
        if value:
            yield False
    elif isinstance(value, int):
        yield from _whole_numbers(value)
    elif isinstance(value, float):
        whole = (int(value),) if math.isfinite(value) else ()
        yield from (float(number) for number in (0, 1, *whole) if abs(number) < abs(value))
    elif isinstance(value, str | bytes):
        yield from _texts(value)
    elif isinstance(value, list):
        yield from _lists(value)
    elif isinstance(value, dict):
        yield from ({key: held for key, held in value.items() if key != gone} for gone in value)
    elif isinstance(value, datetime) and value != DEFAULT_AT:
        yield DEFAULT_AT
    elif isinstance(value, timedelta) and value != timedelta(seconds=1):
        yield timedelta(seconds=1)


def _messages(message: betterproto.Message) -> Iterator[betterproto.Message]:
    if isinstance(message, Any):
        return
    held = list(values_of(message))
    for field, _ in held:
        yield _without(message, field)
    for field, value in held:
        for other in simpler(value):
            changed = clone(message)
            setattr(changed, field.name, other)
            yield changed


def _without(message: betterproto.Message, gone: Field) -> betterproto.Message:
    kept = {field.name: value for field, value in values_of(clone(message)) if field.name != gone.name}
    return type(message)(**kept)


def _whole_numbers(number: int) -> Iterator[int]:
    if number < 0:
        yield -number
    size = abs(number)
    tried = {size}
    for less in (0, 1, 2, *(size - (size >> bits) for bits in range(1, size.bit_length())), size - 1):
        if 0 <= less < size and less not in tried:
            tried.add(less)
            yield less if number >= 0 else -less


def _texts(text: AnyValue) -> Iterator[AnyValue]:
    size = len(text)
    yield from (text[:length] for length in dict.fromkeys((0, size // 2, size - 1)) if 0 <= length < size)
    plain = text[:0] + (b"a" if isinstance(text, bytes) else "a") * size
    if plain < text:
        yield plain


def _lists(items: list[AnyValue]) -> Iterator[list[AnyValue]]:
    if len(items) > 1:
        yield []
    for index in range(len(items)):
        yield items[:index] + items[index + 1 :]
    for index, item in enumerate(items):
        for other in simpler(item):
            yield [*items[:index], other, *items[index + 1 :]]
