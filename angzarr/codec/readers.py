"""Readers of one value behind its tag, for the general loop and where the parsers have no code of their own."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from angzarr.codec import wellknown
from angzarr.codec.fields import DURATION, ENUM, MESSAGE, TIMESTAMP, WRAPPER, Element
from angzarr.codec.scalars import READERS, default_of, enum_reader, short_list
from angzarr.codec.wire import TOO_DEEP, TRUNCATED, read_size, read_tag, skip
from angzarr.errors import DecodeError

if TYPE_CHECKING:
    from angzarr.codec.schema import Schema

__all__ = ["Reader", "SchemaOf", "element_reader", "packed_reader", "sized", "wrapped_reader"]

Reader = Callable[[bytes, int, int, int], tuple[Any, int]]
"""``(b, i, end, depth) -> (value, index behind it)``"""
SchemaOf = Callable[[Any], "Schema"]


def element_reader(element: Element, schema_of: SchemaOf) -> Reader:
    """The reader of an element."""
    kind = element.kind
    if kind == "string":
        return sized(lambda b, i, j, depth: str(b[i:j], "utf-8"))
    if kind == "bytes":
        return sized(lambda b, i, j, depth: b[i:j])
    if kind in (TIMESTAMP, DURATION):
        return sized(
            lambda b, i, j, depth: wellknown.resolve_or_keep(kind, wellknown.check_moment(b[i:j], depth - 1))
        )
    if kind == WRAPPER:
        read_wrapped = wrapped_reader(element)
        return sized(lambda b, i, j, depth: read_wrapped(b, i, j, depth - 1))
    if kind == MESSAGE:
        schema = schema_of(element.cls)
        return sized(lambda b, i, j, depth: schema.parse(b, i, j, depth - 1))
    read = enum_reader(element.enum_class) if kind == ENUM else READERS[kind]
    return lambda b, i, end, depth: read(b, i)


def sized(read: Callable[[bytes, int, int, int], Any]) -> Reader:
    """A reader of what comes with its length before it."""

    def read_sized(b: bytes, i: int, end: int, depth: int) -> tuple[Any, int]:
        size, i = read_size(b, i)
        j = i + size
        if j > end:
            raise DecodeError(TRUNCATED)
        return read(b, i, j, depth), j

    return read_sized


@functools.cache
def wrapped_reader(element: Element) -> Callable[..., Any]:
    """The reader of the scalar in a wrapper message: ``(b, i, end, depth, value=None) -> value``.

    The ``value`` it is given is what an earlier part of the same message gave.
    """
    inner = Element(element.wraps)
    accepted = {8 | inner.wire_type: element_reader(inner, lambda cls: cls)}
    if element.guessed and element.wraps == "double":
        accepted[8 | Element("float").wire_type] = element_reader(Element("float"), lambda cls: cls)

    def read(b: bytes, i: int, end: int, depth: int, value: Any = None) -> Any:
        if depth < 0:
            raise DecodeError(TOO_DEEP)
        while i < end:
            tag, i = read_tag(b, i)
            if tag in accepted:
                value, i = accepted[tag](b, i, end, depth)
            else:
                i = skip(b, i, end, tag, depth)
        if i != end:
            raise DecodeError(TRUNCATED)
        return default_of(element.wraps) if value is None else value

    return read


def packed_reader(element: Element, schema_of: SchemaOf) -> Callable[[bytes, int, int, list[Any]], None]:
    """The reader of a packed list without its length: ``(b, i, end, items)``; it appends to the items."""
    read_one, kind = element_reader(element, schema_of), element.kind

    def read(b: bytes, i: int, end: int, items: list[Any]) -> None:
        quick = short_list(kind, b[i:end])
        if quick is not None:
            items += quick
            return
        while i < end:
            value, i = read_one(b, i, end, 0)
            items.append(value)
        if i != end:
            raise DecodeError("a packed list ends inside a value")

    return read
