"""Decoding in whatever order the fields come: the general loop behind the straight-line parsers.

It alone merges: repeated singular messages, oneof members, map entries, packed and unpacked lists,
unknown fields. Each field of a class has one handler per wire type that it accepts.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from angzarr.codec import wellknown
from angzarr.codec.failures import CAUGHT, decode_failure, entry_failure
from angzarr.codec.fields import DURATION, ENUM, MESSAGE, TIMESTAMP, WRAPPER, Element, Field
from angzarr.codec.layout import UNKNOWN
from angzarr.codec.scalars import READERS, default_of, enum_reader
from angzarr.codec.wire import LENGTH, TOO_DEEP, TRUNCATED, read_any_tag, read_size, read_tag, skip
from angzarr.errors import DecodeError

if TYPE_CHECKING:
    from angzarr.codec.schema import Schema

__all__ = ["entry_reader", "fill", "handlers_of"]

Values = dict[str, Any]
Reader = Callable[[bytes, int, int, int], tuple[Any, int]]
Handler = Callable[[bytes, int, int, int, Values], int]
"""Decodes one value into the values; gives the index behind it, negated when it counts as an unknown field."""
SchemaOf = Callable[[Any], "Schema"]


def fill(schema: "Schema", b: bytes, i: int, end: int, depth: int, values: Values) -> None:
    """Decode ``b[i:end]`` into the values of a message, merging with what is there.

    Raises:
        DecodeError: the bytes are malformed; what has been decoded before stays in ``values``.
    """
    if depth < 0:
        raise DecodeError(TOO_DEEP)
    handlers = schema.handlers
    next_tag = read_tag if handlers else read_any_tag
    unknown: list[bytes] = []
    run = -1  # where the current run of unknown fields began
    field: Field | None = None
    try:
        while i < end:
            start = i
            field = None
            tag, i = next_tag(b, i)
            found = handlers.get(tag)
            if found is None:
                run = start if run < 0 else run
                i = skip(b, i, end, tag, depth)
                continue
            if run >= 0:
                unknown.append(b[run:start])
                run = -1
            field, handle = found
            i = handle(b, i, end, depth, values)
            if i < 0:
                i, run = -i, start
            if i > end:
                raise DecodeError(TRUNCATED)
    except CAUGHT as error:
        raise decode_failure(error, field, values) from None
    if i != end:
        raise DecodeError(TRUNCATED)
    if run >= 0:
        unknown.append(b[run:end])
    if unknown:
        values[UNKNOWN] = b"".join([values.get(UNKNOWN, b""), *unknown])


def handlers_of(schema: "Schema", schema_of: SchemaOf) -> dict[int, tuple[Field, Handler]]:
    """Tag → what decodes it, for every wire type that each field accepts."""
    table: dict[int, tuple[Field, Handler]] = {}
    for field in schema.fields:
        if field.key is not None:
            table[field.number << 3 | LENGTH] = field, _map_handler(field, entry_reader(field, schema_of))
            continue
        read = element_reader(field.element, schema_of)
        tag = field.number << 3 | field.element.wire_type
        if field.repeated:
            table[tag] = field, _list_handler(field.name, read)
            if field.packable:
                table[field.number << 3 | LENGTH] = field, _packed_handler(field.name, read)
        else:
            table[tag] = field, _singular_handler(field, read, schema_of)
    return table


def element_reader(element: Element, schema_of: SchemaOf) -> Reader:
    """A reader of one value behind its tag: ``(b, i, end, depth) -> (value, index behind it)``."""
    kind = element.kind
    if kind == "string":
        return _sized(lambda b, i, j, depth: str(b[i:j], "utf-8"))
    if kind == "bytes":
        return _sized(lambda b, i, j, depth: b[i:j])
    if kind in (TIMESTAMP, DURATION):
        return _sized(
            lambda b, i, j, depth: wellknown.resolve_or_keep(kind, wellknown.check_moment(b[i:j], depth - 1))
        )
    if kind == WRAPPER:
        return _sized(lambda b, i, j, depth: read_wrapped(element, b, i, j, depth - 1))
    if kind == MESSAGE:
        schema = schema_of(element.cls)
        return _sized(lambda b, i, j, depth: schema.parse(b, i, j, depth - 1))
    read = enum_reader(element.cls) if kind == ENUM and element.cls else READERS[kind]
    return lambda b, i, end, depth: read(b, i)


def _sized(read: Callable[[bytes, int, int, int], Any]) -> Reader:
    def read_sized(b: bytes, i: int, end: int, depth: int) -> tuple[Any, int]:
        size, i = read_size(b, i)
        j = i + size
        if j > end:
            raise DecodeError(TRUNCATED)
        return read(b, i, j, depth), j

    return read_sized


def read_wrapped(element: Element, b: bytes, i: int, end: int, depth: int, value: Any = None) -> Any:
    """The scalar in a wrapper message; ``value`` is what an earlier part of the message gave."""
    if depth < 0:
        raise DecodeError(TOO_DEEP)
    inner = Element(element.wraps)
    expected = 8 | inner.wire_type
    read = element_reader(inner, lambda cls: cls)
    while i < end:
        tag, i = read_tag(b, i)
        if tag == expected:
            value, i = read(b, i, end, depth)
        elif element.guessed and element.wraps == "double" and tag == 8 | Element("float").wire_type:
            value, i = READERS["float"](b, i)
        else:
            i = skip(b, i, end, tag, depth)
    if i != end:
        raise DecodeError(TRUNCATED)
    return default_of(element.wraps) if value is None else value


def _list_handler(name: str, read: Reader) -> Handler:
    def handle(b: bytes, i: int, end: int, depth: int, values: Values) -> int:
        value, i = read(b, i, end, depth)
        if name in values:
            values[name].append(value)
        else:
            values[name] = [value]
        return i

    return handle


def _packed_handler(name: str, read: Reader) -> Handler:
    def handle(b: bytes, i: int, end: int, depth: int, values: Values) -> int:
        size, i = read_size(b, i)
        j = i + size
        if j > end:
            raise DecodeError(TRUNCATED)
        items = values.setdefault(name, [])
        while i < j:
            value, i = read(b, i, j, depth)
            items.append(value)
        if i != j:
            raise DecodeError("a packed list ends inside a value")
        return i

    return handle


def _map_handler(field: Field, read: Reader) -> Handler:
    name = field.name

    def handle(b: bytes, i: int, end: int, depth: int, values: Values) -> int:
        entry, i = read(b, i, end, depth)
        if entry is None:
            return -i
        entries = values.setdefault(name, {})
        entries[entry[0]] = entry[1]
        return i

    return handle


def entry_reader(field: Field, schema_of: SchemaOf) -> Reader:
    """A reader of one entry of a map, giving ``(key, value)``; None for one with unknown fields in it."""
    key, element = field.key, field.element
    assert key is not None
    read_key = element_reader(key, schema_of)
    read_value = _singular_handler(Field("value", 2, element), element_reader(element, schema_of), schema_of)
    key_tag, value_tag = 8 | key.wire_type, 16 | element.wire_type
    absent_key = default_of(key.kind)
    absent_value = _absent_value(element, schema_of)

    def read(b: bytes, i: int, end: int, depth: int) -> tuple[Any, Any] | None:
        found_key, whole = absent_key, True
        values: Values = {}
        try:
            while i < end:
                tag, i = read_tag(b, i)
                if tag == key_tag:
                    found_key, i = read_key(b, i, end, depth)
                elif tag == value_tag:
                    i = read_value(b, i, end, depth, values)
                else:
                    i = skip(b, i, end, tag, depth)
                    whole = False
            if i != end:
                raise DecodeError(TRUNCATED)
        except CAUGHT as error:
            raise entry_failure(error, found_key) from None
        if not whole:
            return None
        return found_key, values["value"] if values else absent_value()

    if element.kind in (TIMESTAMP, DURATION):
        return _sized(_nested(lambda *at: _with_resolved(element.kind, read(*at))))
    return _sized(_nested(read))


def _nested(read: Callable[[bytes, int, int, int], Any]) -> Callable[[bytes, int, int, int], Any]:
    def read_nested(b: bytes, i: int, end: int, depth: int) -> Any:
        if depth < 1:
            raise DecodeError(TOO_DEEP)
        return read(b, i, end, depth - 1)

    return read_nested


def _with_resolved(kind: str, entry: tuple[Any, Any] | None) -> tuple[Any, Any] | None:
    if entry is None or not isinstance(entry[1], list):
        return entry
    return entry[0], wellknown.resolve_or_keep(kind, entry[1])


def _absent_value(element: Element, schema_of: SchemaOf) -> Callable[[], Any]:
    if element.kind == MESSAGE:
        schema = schema_of(element.cls)
        return lambda: schema.parse(b"", 0, 0, 0)
    if element.kind == ENUM:
        return lambda: element.cls.try_value(0)  # type: ignore[union-attr]
    if element.kind in (TIMESTAMP, DURATION):
        return lambda: wellknown.DEFAULTS[element.kind]
    return lambda: default_of(element.wraps or element.kind)


def _singular_handler(field: Field, read: Reader, schema_of: SchemaOf) -> Handler:
    name, siblings, kind = field.name, field.siblings, field.element.kind
    merge = _merge_of(field, schema_of)

    def store(b: bytes, i: int, end: int, depth: int, values: Values) -> int:
        value, i = read(b, i, end, depth)
        for sibling in siblings:
            values.pop(sibling, None)
        values[name] = value
        return i

    def merge_or_store(b: bytes, i: int, end: int, depth: int, values: Values) -> int:
        size, i = read_size(b, i)
        j = i + size
        if j > end:
            raise DecodeError(TRUNCATED)
        for sibling in siblings:
            values.pop(sibling, None)
        values[name] = merge(b, i, j, depth - 1, values.get(name))
        return j

    return merge_or_store if kind in (MESSAGE, TIMESTAMP, DURATION, WRAPPER) else store


def _merge_of(field: Field, schema_of: SchemaOf) -> Callable[[bytes, int, int, int, Any], Any]:
    """``(b, i, end, depth, old value or None) -> new value`` for messages."""
    element = field.element

    def merge_message(b: bytes, i: int, end: int, depth: int, old: Any) -> Any:
        schema = schema_of(element.cls)
        if old is None:
            return schema.parse(b, i, end, depth)
        schema.merge(b, i, end, depth, old.__dict__)
        return old

    def merge_moment(b: bytes, i: int, end: int, depth: int, old: Any) -> Any:
        new = wellknown.check_moment(b[i:end], depth)
        if old is None:
            return new
        return (old if type(old) is list else [wellknown.write_moment(old)]) + new

    def merge_wrapped(b: bytes, i: int, end: int, depth: int, old: Any) -> Any:
        return read_wrapped(element, b, i, end, depth, old)

    return {MESSAGE: merge_message, WRAPPER: merge_wrapped}.get(element.kind, merge_moment)
