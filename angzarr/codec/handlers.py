"""What the general loop does with a value, by kind of field. Here alone things are merged: repeated singular messages,
oneof members, map entries, packed and unpacked lists.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from angzarr.codec import wellknown
from angzarr.codec.failures import CAUGHT, entry_failure
from angzarr.codec.fields import DURATION, ENUM, MESSAGE, TIMESTAMP, WRAPPER, Element, Field
from angzarr.codec.readers import Reader, SchemaOf, element_reader, packed_reader, sized, wrapped_reader
from angzarr.codec.scalars import default_of
from angzarr.codec.wire import LENGTH, TOO_DEEP, TRUNCATED, read_size, read_tag, skip
from angzarr.errors import DecodeError

if TYPE_CHECKING:
    from angzarr.codec.schema import Schema

__all__ = ["Handler", "entry_reader", "handlers_of"]

Values = dict[str, Any]
Handler = Callable[[bytes, int, int, int, Values], int]
"""Decodes one value into the values; gives the index behind it, negated when it counts as an unknown field."""


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
                table[field.number << 3 | LENGTH] = field, _packed_handler(field, schema_of)
        else:
            table[tag] = field, _singular_handler(field, read, schema_of)
    return table


def _list_handler(name: str, read: Reader) -> Handler:
    def handle(b: bytes, i: int, end: int, depth: int, values: Values) -> int:
        value, i = read(b, i, end, depth)
        if name in values:
            values[name].append(value)
        else:
            values[name] = [value]
        return i

    return handle


def _packed_handler(field: Field, schema_of: SchemaOf) -> Handler:
    read, name = packed_reader(field.element, schema_of), field.name

    def handle(b: bytes, i: int, end: int, depth: int, values: Values) -> int:
        size, i = read_size(b, i)
        j = i + size
        if j > end:
            raise DecodeError(TRUNCATED)
        read(b, i, j, values.setdefault(name, []))
        return j

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
        return sized(_nested(lambda *at: _with_resolved(element.kind, read(*at))))
    return sized(_nested(read))


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
        return lambda: element.enum_class.try_value(0)
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
        chunks: list[bytes] = old if type(old) is list else [wellknown.write_moment(old)]
        chunks += new
        return chunks

    if element.kind == WRAPPER:
        return wrapped_reader(element)
    return merge_message if element.kind == MESSAGE else merge_moment
