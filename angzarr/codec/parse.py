"""Generates the parser of a message class.

The parser is straight-line code for fields in the order of their numbers, which is how every serialiser
writes them. Where the bytes leave that order the general loop takes over and finishes the message.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import betterproto

from angzarr.codec import scalars
from angzarr.codec.failures import CAUGHT, decode_failure, field_at
from angzarr.codec.fields import DURATION, ENUM, MESSAGE, TIMESTAMP, WRAPPER, Element, Field
from angzarr.codec.general import SchemaOf, element_reader, entry_reader, fill, read_wrapped
from angzarr.codec.source import Source, linked
from angzarr.codec.wellknown import check_moment, resolve_or_keep
from angzarr.codec.wire import LENGTH, MAX_DEPTH, TOO_DEEP, TRUNCATED, read_size, tag_bytes
from angzarr.errors import DecodeError

if TYPE_CHECKING:
    from angzarr.codec.schema import Schema

__all__ = ["PRESENT", "compile_parser", "set_dict"]

PRESENT = "_serialized_on_wire"
"""Key of a message's own values: True when decoded or so marked, False when it came into being by being read."""

_NEXT = "t = b[i] if i < e else 0"
set_dict = betterproto.Message.__dict__["__dict__"].__set__


def compile_parser(schema: "Schema", schema_of: SchemaOf) -> Callable[..., Any]:
    """The parser of a class: ``(b, i, end, depth=100) -> message``."""
    source = Source("parse", _names(schema))
    with source.block(f"def parse(b, i, e, k={MAX_DEPTH}):"):
        source(f"d = {{{PRESENT!r}: True}}")
        with source.block("try:"):
            with source.block("if k < 0:"):
                source("raise DecodeError(TOO_DEEP)")
            source(_NEXT)
            _write_fields(source, schema.fields, schema_of)
            with source.block("if i != e:"):
                source("fill(SCHEMA, b, i, e, k, d)")
        with source.block("except CAUGHT as error:"):
            source("raise failure(error, d) from None")
        source("m = new(CLASS)", "set_dict(m, d)", "return m")
    lines = source.fields

    def failure(error: Exception, values: dict[str, Any]) -> DecodeError:
        return decode_failure(error, field_at(error, lines), values)

    source.names["failure"] = failure
    return source.compile(f"{schema.cls.__name__} parser")


def _names(schema: "Schema") -> dict[str, Any]:
    return {
        "CAUGHT": CAUGHT,
        "CLASS": schema.cls,
        "DecodeError": DecodeError,
        "SCHEMA": schema,
        "TOO_DEEP": TOO_DEEP,
        "TRUNCATED": TRUNCATED,
        "check_moment": check_moment,
        "fill": fill,
        "new": object.__new__,
        "read_size": read_size,
        "read_wrapped": read_wrapped,
        "set_dict": set_dict,
    }


def _write_fields(source: Source, fields: tuple[Field, ...], schema_of: SchemaOf) -> None:
    taken: set[str] = set()
    for field in fields:
        if field.group and field.group not in taken:
            taken.add(field.group)
            source(f"{_chosen(field)} = False")
        with source.about(field):
            _write_field(source, field, schema_of)


def _chosen(field: Field) -> str:
    return f"chosen_{field.group}"


def _write_field(source: Source, field: Field, schema_of: SchemaOf) -> None:
    wire_type = LENGTH if field.packable or field.key is not None else field.element.wire_type
    tag = tag_bytes(field.number, wire_type)
    here = _tag_test(tag)
    if field.group:  # a second member of a oneof is left to the general loop
        here += f" and not {_chosen(field)}"
    with source.block(f"if {here}:"):
        if field.key is not None:
            _write_map(source, field, tag, schema_of)
        elif field.packable:
            _write_packed(source, field, tag, schema_of)
        elif field.repeated:
            _write_list(source, field, tag, schema_of)
        else:
            source(f"i += {len(tag)}")
            _write_value(source, field, field.element, schema_of)
            source(f"d[{field.name!r}] = v")
            if field.group:
                source(f"{_chosen(field)} = True")
        source(_NEXT)


def _tag_test(tag: bytes) -> str:
    if len(tag) == 1:
        return f"t == {tag[0]}"
    if len(tag) == 2:
        return f"t == {tag[0]} and b[i + 1] == {tag[1]}"
    return f"t == {tag[0]} and b[i : i + {len(tag)}] == {tag!r}"


def _write_list(source: Source, field: Field, tag: bytes, schema_of: SchemaOf) -> None:
    source(f"items = d[{field.name!r}] = []")
    with source.block(f"while {_tag_test(tag)}:"):
        source(f"i += {len(tag)}")
        _write_value(source, field, field.element, schema_of)
        source("items.append(v)", _NEXT)


def _write_packed(source: Source, field: Field, tag: bytes, schema_of: SchemaOf) -> None:
    read = f"read_{field.number}"
    source.names[read] = element_reader(field.element, schema_of)
    source(f"items = d[{field.name!r}] = []", f"i += {len(tag)}")
    _write_size(source)
    with source.block("while i < j:"):
        source(f"v, i = {read}(b, i, j, k)", "items.append(v)")
    with source.block("if i != j:"):
        source("raise DecodeError('a packed list ends inside a value')")


def _write_map(source: Source, field: Field, tag: bytes, schema_of: SchemaOf) -> None:
    read = f"entry_{field.number}"
    source.names[read] = entry_reader(field, schema_of)
    source(f"items = d[{field.name!r}] = {{}}")
    with source.block(f"while {_tag_test(tag)}:"):
        source(f"entry, j = {read}(b, i + {len(tag)}, e, k)")
        with source.block("if entry is None:"):  # unknown fields inside: left to the general loop
            source("break")
        source("items[entry[0]] = entry[1]", "i = j", _NEXT)


def _write_size(source: Source) -> None:
    """Read a length into n, and the index behind the value into j."""
    source("n = b[i]", "i += 1")
    with source.block("if n > 127:"):
        source("n, i = read_size(b, i - 1)")
    source("j = i + n")
    with source.block("if j > e:"):
        source("raise DecodeError(TRUNCATED)")


def _write_value(source: Source, field: Field, element: Element, schema_of: SchemaOf) -> None:
    """Read one value, behind its tag, into v, and step over it."""
    kind = element.kind
    if element.wire_type == LENGTH:
        _write_size(source)
        source(_length_value(source, field, element, schema_of), "i = j")
    elif kind in scalars.FORMATS:
        width = 4 if kind in betterproto.WIRE_FIXED_32_TYPES else 8
        source.names[f"unpack_{kind}"] = scalars.unpackers[kind]
        source(f"v = unpack_{kind}(b, i)[0]", f"i += {width}")
    else:
        _write_varint(source, field, element)


def _length_value(source: Source, field: Field, element: Element, schema_of: SchemaOf) -> str:
    kind = element.kind
    if kind == "string":
        return "v = b[i:j].decode()"
    if kind == "bytes":
        return "v = b[i:j]"
    if kind in (TIMESTAMP, DURATION):
        if field.singular:
            return "v = check_moment(b[i:j], k - 1)"
        source.names["resolve"] = resolve_or_keep
        return f"v = resolve({kind!r}, check_moment(b[i:j], k - 1))"
    if kind == WRAPPER:
        source.names[f"element_{field.number}"] = element
        return f"v = read_wrapped(element_{field.number}, b, i, j, k - 1)"
    assert kind == MESSAGE
    parser = f"parse_{field.number}"
    linked(source.names, parser, lambda: schema_of(element.cls).parse)
    return f"v = {parser}(b, i, j, k - 1)"


def _write_varint(source: Source, field: Field, element: Element) -> None:
    kind = element.kind
    if kind == ENUM:
        assert element.cls is not None
        read = f"read_{field.number}"
        source.names[read] = scalars.enum_reader(element.cls)
        known = f"known_{field.number}"
        source.names[known] = {n: m for n, m in element.cls._value_map_.items() if 0 <= n < 128}  # type: ignore[attr-defined]
        source(f"v = {known}.get(b[i])")
        with source.block("if v is None:"):
            source(f"v, i = {read}(b, i)")
        with source.block("else:"):
            source("i += 1")
        return
    source.names[f"read_{kind}"] = scalars.READERS[kind]
    source("v = b[i]")
    with source.block("if v > 127:"):
        source(f"v, i = read_{kind}(b, i)")
    with source.block("else:"):
        source("i += 1")
        if kind == "bool":
            source("v = v != 0")
        elif kind in ("sint32", "sint64"):
            source("v = v >> 1 ^ -(v & 1)")
