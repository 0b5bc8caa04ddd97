"""Generates the parser of a message class.

The parser is straight-line code for fields in the order of their numbers, which is how every serialiser
writes them. Where the bytes leave that order the general loop takes over and finishes the message.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import betterproto

from angzarr.codec import scalars
from angzarr.codec.failures import CAUGHT, decode_failure, field_at
from angzarr.codec.fields import DURATION, ENUM, MESSAGE, TIMESTAMP, WRAPPER, Field
from angzarr.codec.general import fill
from angzarr.codec.handlers import entry_reader
from angzarr.codec.layout import MARK
from angzarr.codec.readers import SchemaOf, packed_reader, wrapped_reader
from angzarr.codec.source import Source, linked
from angzarr.codec.wellknown import NO_SHAPE, SHAPES, check_moment, resolve_or_keep
from angzarr.codec.wire import LENGTH, MAX_DEPTH, TOO_DEEP, TRUNCATED, read_size, read_varint, tag_bytes
from angzarr.errors import DecodeError

if TYPE_CHECKING:
    from angzarr.codec.schema import Schema

__all__ = ["compile_parser"]

_FROM_VARINT = {"bool": "v != 0", "sint32": "v >> 1 ^ -(v & 1)", "sint64": "v >> 1 ^ -(v & 1)"}
_WRAPPED = {
    "int32": ("v &= 4294967295", "v -= (v & 2147483648) << 1"),
    "int64": ("v -= (v & 9223372036854775808) << 1",),
    "uint32": ("v &= 4294967295",),
    "sint32": ("v &= 4294967295",),
}
"""What a varint of several bytes needs: to be cut to its type's width and get its sign."""

_NEXT = "t = b[i] if i < e else 0"


def compile_parser(schema: "Schema", schema_of: SchemaOf) -> Callable[..., Any]:
    """The parser of a class: ``(b, i, end, depth=100) -> message``.

    It does not look whether a value ends within the message: if not, the index ends up behind the message's
    end, and the general loop is called from the beginning to say where.
    """
    writer = _Writer(schema, schema_of)
    source = writer.source
    with source.block(f"def parse(b, i, e, k={MAX_DEPTH}):"):
        source("m = new(CLASS)", *writer.prelude)
        with source.block("try:"):
            with source.block("if k < 0:"):
                source("raise DecodeError(TOO_DEEP)")
            source("start = i", _NEXT)
            writer.write_fields()
            with source.block("if i != e:"):
                source("finish(b, start, i, e, k, m)")
        with source.block("except CAUGHT as error:"):
            source("raise failure(error, m) from None")
        source("return m")
    lines = source.fields

    def failure(error: Exception, message: Any) -> DecodeError:
        return decode_failure(error, field_at(error, lines), message.__dict__)

    source.names["failure"] = failure
    return source.compile(f"{schema.cls.__name__} parser")


def _finisher(schema: "Schema") -> Callable[..., None]:
    def finish(b: bytes, start: int, i: int, end: int, depth: int, message: Any) -> None:
        """Take over where the bytes have left the order of the fields, or have ended inside one."""
        if i > end:
            fill(schema, b, start, end, depth, {})
            raise DecodeError(TRUNCATED)
        fill(schema, b, i, end, depth, message.__dict__)

    return finish


class _Writer:
    """Writes the part of a parser that is about the fields, into ``source``."""

    def __init__(self, schema: "Schema", schema_of: SchemaOf) -> None:
        self._schema = schema
        self._schema_of = schema_of
        self._native = schema.stores_natively
        self.prelude = (f"m.{MARK} = True",) if self._native else ("d = m.__dict__", f"d[{MARK!r}] = True")
        self._names: dict[str, Any] = {
            "CAUGHT": CAUGHT,
            "CLASS": schema.cls,
            "DecodeError": DecodeError,
            "TOO_DEEP": TOO_DEEP,
            "check_moment": check_moment,
            "finish": _finisher(schema),
            "from_bytes": int.from_bytes,
            "new": object.__new__,
            "no_shape": NO_SHAPE,
            "read_size": read_size,
            "read_varint": read_varint,
            "resolve": resolve_or_keep,
            "shapes": SHAPES,
        }
        self.source = Source("parse", self._names)

    def _target(self, field: Field) -> str:
        return f"m.{field.name}" if self._native else f"d[{field.name!r}]"

    def write_fields(self) -> None:
        chosen: set[str] = set()
        for field in self._schema.fields:
            if field.group and field.group not in chosen:
                chosen.add(field.group)
                self.source(f"chosen_{field.group} = False")
            with self.source.about(field):
                self._write_field(field)

    def _write_field(self, field: Field) -> None:
        wire_type = LENGTH if field.packable or field.key is not None else field.element.wire_type
        tag = tag_bytes(field.number, wire_type)
        # a second member of a oneof is left to the general loop
        other = f" and not chosen_{field.group}" if field.group else ""
        with self.source.block(f"if {_tag_test(tag)}{other}:"):
            if field.key is not None:
                self._write_map(field, tag)
            elif field.packable:
                self._write_packed(field, tag)
            elif field.repeated:
                self._write_list(field, tag)
            else:
                self._write_value(field, len(tag), f"{self._target(field)} = {{}}")
                if field.group:
                    self.source(f"chosen_{field.group} = True")
            self.source(_NEXT)

    def _write_list(self, field: Field, tag: bytes) -> None:
        self.source(f"{self._target(field)} = items = []")
        with self.source.block(f"while {_tag_test(tag)}:"):
            self._write_value(field, len(tag), "items.append({})")
            self.source(_NEXT)

    def _write_packed(self, field: Field, tag: bytes) -> None:
        read = f"read_{field.number}"
        self._names[read] = packed_reader(field.element, self._schema_of)
        self.source(f"{self._target(field)} = items = []")
        self._write_size(len(tag))
        self.source(f"{read}(b, i, j, items)", "i = j")

    def _write_map(self, field: Field, tag: bytes) -> None:
        read = f"entry_{field.number}"
        self._names[read] = entry_reader(field, self._schema_of)
        self.source(f"{self._target(field)} = items = {{}}")
        with self.source.block(f"while {_tag_test(tag)}:"):
            self.source(f"entry, j = {read}(b, i + {len(tag)}, e, k)")
            with self.source.block("if entry is None:"):  # unknown fields inside: left to the general loop
                self.source("break")
            self.source("items[entry[0]] = entry[1]", "i = j", _NEXT)

    def _write_size(self, skipped: int) -> None:
        """Read a length that is ``skipped`` bytes ahead: i is set behind it, j behind what it measures."""
        source = self.source
        source(f"n = b[i + {skipped}]")
        with source.block("if n > 127:"):
            source(f"n, i = read_size(b, i + {skipped})")
        with source.block("else:"):
            source(f"i += {skipped + 1}")
        source("j = i + n")

    def _write_value(self, field: Field, skipped: int, store: str) -> None:
        """Read one value that is ``skipped`` bytes ahead, store it, and step over it."""
        kind = field.element.kind
        if field.element.wire_type == LENGTH:
            self._write_size(skipped)
            self.source(store.format(self._length_value(field)), "i = j")
        elif kind in scalars.FORMATS:
            width = 4 if kind in betterproto.WIRE_FIXED_32_TYPES else 8
            self._names[f"unpack_{kind}"] = scalars.unpackers[kind]
            self.source(store.format(f"unpack_{kind}(b, i + {skipped})[0]"), f"i += {skipped + width}")
        elif kind == ENUM:
            self._write_enum(field, skipped, store)
        else:
            self._write_varint(kind, skipped, store)

    def _length_value(self, field: Field) -> str:
        """An expression for the value that is ``b[i:j]``."""
        element = field.element
        if element.kind == "string":
            return "b[i:j].decode()"
        if element.kind == "bytes":
            return "b[i:j]"
        if element.kind in (TIMESTAMP, DURATION):
            if not field.singular:
                return f"resolve({element.kind!r}, check_moment(b[i:j], k - 1))"
            self.source("v = b[i:j]", "x, y = shapes.get(n, no_shape)")
            return "[v] if from_bytes(v) & x == y and k else check_moment(v, k - 1)"
        if element.kind == WRAPPER:
            self._names[f"read_{field.number}"] = wrapped_reader(element)
            return f"read_{field.number}(b, i, j, k - 1)"
        assert element.kind == MESSAGE
        linked(self._names, f"parse_{field.number}", lambda: self._schema_of(element.cls).parse)
        return f"parse_{field.number}(b, i, j, k - 1)"

    def _write_enum(self, field: Field, skipped: int, store: str) -> None:
        members, number = field.element.enum_class, field.number
        self._names[f"read_{number}"] = scalars.enum_reader(members)
        self._names[f"small_{number}"] = {n: m for n, m in members._value_map_.items() if 0 <= n < 128}
        self.source(f"v = small_{number}.get(b[i + {skipped}])")
        with self.source.block("if v is None:"):
            self.source(f"v, i = read_{number}(b, i + {skipped})")
        with self.source.block("else:"):
            self.source(f"i += {skipped + 1}")
        self.source(store.format("v"))

    def _write_varint(self, kind: str, skipped: int, store: str) -> None:
        """Read a varint: of one byte, of two, which no type has to cut to its width, or of more."""
        source = self.source
        source(f"v = b[i + {skipped}]")
        with source.block("if v < 128:"):
            source(f"i += {skipped + 1}")
        with source.block(f"elif (n := b[i + {skipped + 1}]) < 128:"):
            source("v += (n << 7) - 128", f"i += {skipped + 2}")
        with source.block("else:"):
            source(f"v, i = read_varint(b, i + {skipped})", *_WRAPPED.get(kind, ()))
        source(store.format(_FROM_VARINT.get(kind, "v")))


def _tag_test(tag: bytes) -> str:
    if len(tag) == 1:
        return f"t == {tag[0]}"
    if len(tag) == 2:
        return f"t == {tag[0]} and b[i + 1] == {tag[1]}"
    return f"t == {tag[0]} and b[i : i + {len(tag)}] == {tag!r}"
