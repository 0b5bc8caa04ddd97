"""Generates the serialiser of a message class: one function from a message's values to its bytes.

Fields go out in the order of their numbers, unknown fields last. Lengths and small numbers come, tag
included, out of tables that all fields with the same tag share.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import betterproto

from angzarr.codec import scalars, wellknown
from angzarr.codec.failures import UNENCODABLE, encode_failure, field_at
from angzarr.codec.fields import DURATION, MESSAGE, TIMESTAMP, WRAPPER, Element, Field
from angzarr.codec.layout import UNKNOWN
from angzarr.codec.readers import SchemaOf
from angzarr.codec.source import Source, linked
from angzarr.codec.wire import LENGTH, short_varints, tag_bytes, write_varint
from angzarr.errors import EncodeError

if TYPE_CHECKING:
    from angzarr.codec.schema import Schema

__all__ = ["compile_serialiser", "element_writer"]

_SIGNED = ("sint32", "sint64")


@functools.cache
def _prefixes(tag: bytes) -> list[bytes]:
    return [tag + write_varint(number) for number in range(128)]


def compile_serialiser(schema: "Schema", schema_of: SchemaOf) -> Callable[[dict[str, Any]], bytes]:
    """The serialiser of a class: from the ``__dict__`` of a message to its encoding."""
    names = {
        "UNENCODABLE": UNENCODABLE,
        "as_list": _as_list,
        "short": short_varints(),
        "varint": write_varint,
    }
    source = Source("serialise", names)
    with source.block("def serialise(d):"):
        source("out = []")
        with source.block("try:"):
            for field in schema.fields:
                with source.about(field), source.block(f"if {field.name!r} in d:"):
                    source(f"v = d[{field.name!r}]")
                    _write_field(source, field, schema_of)
            with source.block(f"if {UNKNOWN!r} in d:"):
                source(f"out.append(d[{UNKNOWN!r}])")
        with source.block("except UNENCODABLE as error:"):
            source("raise failure(error) from None")
        source("return b''.join(out)")
    lines, cls = source.fields, schema.cls

    def failure(error: Exception) -> EncodeError:
        return encode_failure(error, cls, field_at(error, lines))

    source.names["failure"] = failure
    return source.compile(f"{cls.__name__} serialiser")


def _write_field(source: Source, field: Field, schema_of: SchemaOf) -> None:
    if field.key is not None:
        _write_map(source, field, schema_of)
    elif field.packable:
        _write_packed(source, field, schema_of)
    elif field.repeated:
        with source.block("for v in v if type(v) is list else as_list(v):"):
            _write_value(source, field, field.element, schema_of)
    elif field.explicit or not field.element.is_scalar:
        with source.block("if v is not None:"):
            _write_value(source, field, field.element, schema_of)
    else:
        source.names["is_default"] = scalars.is_default
        with source.block(f"if v or v is not None and not is_default({field.element.kind!r}, v):"):
            _write_value(source, field, field.element, schema_of)


def _write_value(source: Source, field: Field, element: Element, schema_of: SchemaOf) -> None:
    """Write v, one value of the field, with its tag."""
    kind, tag = element.kind, tag_bytes(field.number, element.wire_type)
    if element.wire_type == LENGTH:
        _write_payload(source, field, element, schema_of)
        source.names[f"head_{field.number}"] = _prefixes(tag)
        head = f"head_{field.number}[n] if n < 128 else {tag!r} + (short[n] if n < 16384 else varint(n))"
        with source.block(_if_written(field)):
            source("n = len(p)", f"out.append({head})", "out.append(p)")
        return
    source.names[f"write_{kind}"] = scalars.WRITERS[kind]
    if kind in scalars.FORMATS or kind in _SIGNED or kind == "bool":
        source(f"out.append({tag!r} + write_{kind}(v))")
    else:
        source.names[f"small_{field.number}"] = _prefixes(tag)
        longer = f"{tag!r} + (short[v] if 0 <= v < 16384 else write_{kind}(v))"
        source(f"out.append(small_{field.number}[v] if 0 <= v < 128 else {longer})")


def _write_payload(source: Source, field: Field, element: Element, schema_of: SchemaOf) -> None:
    """Put the encoding of v, without tag and length, into p."""
    kind = element.kind
    if kind == "string":
        source.names["write_string"] = scalars.WRITERS["string"]
        source("p = v.encode() if type(v) is str else write_string(v)")
    elif kind == "bytes":
        source.names["write_bytes"] = scalars.WRITERS["bytes"]
        source("p = v if type(v) is bytes else write_bytes(v)")
    elif kind == MESSAGE:
        _write_message(source, field, element, schema_of)
    else:
        source.names[f"write_{field.number}"] = element_writer(element, schema_of)
        unread = (
            "b''.join(v) if type(v) is list else " if kind in (TIMESTAMP, DURATION) and field.singular else ""
        )
        source(f"p = {unread}write_{field.number}(v)")


def _write_message(source: Source, field: Field, element: Element, schema_of: SchemaOf) -> None:
    number = field.number
    source.names[f"class_{number}"] = element.cls
    source.names[f"other_{number}"] = element_writer(element, schema_of)
    linked(source.names, f"serialise_{number}", lambda: schema_of(element.cls).serialise)
    source(f"p = serialise_{number}(v.__dict__) if type(v) is class_{number} else other_{number}(v)")
    source.names["is_present"] = functools.partial(_is_present, schema_of)


def _if_written(field: Field) -> str:
    """The condition under which p is written: a sub-message that was only read is not."""
    if field.element.kind == MESSAGE and field.singular and not field.explicit:
        return "if p or is_present(v):"
    return "if True:"


def _is_present(schema_of: SchemaOf, message: betterproto.Message) -> bool:
    return schema_of(type(message)).is_present(message.__dict__)


def _write_packed(source: Source, field: Field, schema_of: SchemaOf) -> None:
    tag = tag_bytes(field.number, LENGTH)
    source.names[f"write_{field.number}"] = scalars.WRITERS[field.element.kind]
    with source.block("if type(v) is not list:"):
        source("v = as_list(v)")
    with source.block("if v:"):
        source(
            f"p = b''.join(map(write_{field.number}, v))",
            f"out.append({tag!r} + varint(len(p)))",
            "out.append(p)",
        )


def _write_map(source: Source, field: Field, schema_of: SchemaOf) -> None:
    assert field.key is not None
    source.names[f"entries_{field.number}"] = _entries_writer(field, field.key, schema_of)
    source(f"out += entries_{field.number}(v)")


def _entries_writer(field: Field, key: Element, schema_of: SchemaOf) -> Callable[[Any], Iterable[bytes]]:
    write_key, write_value = _tagged_writer(1, key, schema_of), _tagged_writer(2, field.element, schema_of)
    tag = tag_bytes(field.number, LENGTH)

    def write(entries: Any) -> list[bytes]:
        if entries is None:
            return []
        if not isinstance(entries, Mapping):
            raise EncodeError(f"a mapping expected, got {entries!r} of type {type(entries).__name__}")
        out = []
        for name, value in entries.items():
            entry = write_key(name) + write_value(value)
            out.append(tag + write_varint(len(entry)) + entry)
        return out

    return write


def _tagged_writer(number: int, element: Element, schema_of: SchemaOf) -> Callable[[Any], bytes]:
    tag, write = tag_bytes(number, element.wire_type), element_writer(element, schema_of)
    if element.wire_type != LENGTH:
        return lambda value: tag + write(value)

    def write_sized(value: Any) -> bytes:
        payload = write(value)
        return tag + write_varint(len(payload)) + payload

    return write_sized


def element_writer(element: Element, schema_of: SchemaOf) -> Callable[[Any], bytes]:
    """A writer of one value, without its tag and, where it has one, its length."""
    if element.kind == TIMESTAMP:
        return wellknown.write_timestamp
    if element.kind == DURATION:
        return wellknown.write_duration
    if element.kind == MESSAGE:
        return functools.partial(_write_any_message, element.message_class, schema_of)
    if element.kind != WRAPPER:
        return scalars.WRITERS[element.kind]
    write, kind = _tagged_writer(1, Element(element.wraps), schema_of), element.wraps
    return lambda value: b"" if value is not None and scalars.is_default(kind, value) else write(value)


def _write_any_message(cls: type, schema_of: SchemaOf, value: Any) -> bytes:
    if not isinstance(value, cls):
        raise EncodeError(f"{cls.__name__} expected, got {value!r} of type {type(value).__name__}")
    return schema_of(type(value)).serialise(value.__dict__)


def _as_list(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray | memoryview):
        raise EncodeError(f"a list expected, got {value!r} of type {type(value).__name__}")
    return value
