"""What a betterproto class says about its fields, read once and put the way the codec needs it."""

import dataclasses
import types
import typing
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, cast

import betterproto
from betterproto import FieldMetadata, Message

from angzarr.codec.wire import LENGTH

__all__ = ["DURATION", "ENUM", "MESSAGE", "TIMESTAMP", "WRAPPER", "Element", "Field", "fields_of"]

MESSAGE = "message"
ENUM = "enum"
TIMESTAMP = "timestamp"
DURATION = "duration"
WRAPPER = "wrapper"

_WIRE_TYPES = {
    **dict.fromkeys(betterproto.WIRE_VARINT_TYPES, betterproto.WIRE_VARINT),
    **dict.fromkeys(betterproto.WIRE_FIXED_32_TYPES, betterproto.WIRE_FIXED_32),
    **dict.fromkeys(betterproto.WIRE_FIXED_64_TYPES, betterproto.WIRE_FIXED_64),
}

# A map with wrapper values does not say which wrapper; these read every wrapper of their Python type.
_WRAPS_BY_TYPE = {str: "string", bytes: "bytes", bool: "bool", int: "int64", float: "double"}


@dataclasses.dataclass(frozen=True, slots=True)
class Element:
    """How one value is written: a scalar's proto type, or MESSAGE, TIMESTAMP, DURATION, WRAPPER."""

    kind: str
    cls: type | None = None
    """The message or enum class."""
    wraps: str = ""
    """The proto type inside a wrapper."""
    guessed: bool = False
    """Whether ``wraps`` was told from the Python type alone, which does not tell a float from a double."""

    @property
    def wire_type(self) -> int:
        """The wire type of a single, unpacked value."""
        return _WIRE_TYPES.get(self.kind, LENGTH)

    @property
    def is_scalar(self) -> bool:
        """Whether it is a number, bool, enum, string or bytes."""
        return self.kind not in (MESSAGE, TIMESTAMP, DURATION, WRAPPER)

    @property
    def enum_class(self) -> type[betterproto.Enum]:
        """The class of an ENUM."""
        assert self.cls is not None
        return self.cls

    @property
    def message_class(self) -> type[Message]:
        """The class of a MESSAGE."""
        assert self.cls is not None
        return self.cls


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field of a message class."""

    name: str
    number: int
    element: Element
    repeated: bool = False
    key: Element | None = None
    """Of a map: its key; ``element`` is its value."""
    optional: bool = False
    group: str = ""
    """The oneof it is a member of; not set for the synthetic one of an ``optional`` field."""
    siblings: tuple[str, ...] = ()
    """The other members of its oneof."""

    @property
    def packable(self) -> bool:
        """Whether a packed encoding exists for it."""
        return self.repeated and self.element.wire_type != LENGTH

    @property
    def singular(self) -> bool:
        """Whether it is neither a list nor a map."""
        return not self.repeated and self.key is None

    @property
    def contentless(self) -> bool:
        """Whether it is a sub-message of a class without fields, which is present by having been assigned."""
        return (
            self.element.kind == MESSAGE
            and self.singular
            and not vars(self.element.cls)["__dataclass_fields__"]
        )

    @property
    def explicit(self) -> bool:
        """Whether a default value differs from an absent one."""
        return self.optional or bool(self.group)


def fields_of(cls: type[Message]) -> tuple[Field, ...]:
    """The fields of a betterproto class, in the order of their numbers."""
    hints = typing.get_type_hints(cls, None, {})
    metas = {f.name: FieldMetadata.get(f) for f in dataclasses.fields(cast("Any", cls))}
    groups: dict[str, list[str]] = {}
    for name, meta in metas.items():
        if meta.group and not meta.optional:
            groups.setdefault(meta.group, []).append(name)
    fields = [_field(name, meta, hints[name], groups) for name, meta in metas.items()]
    return tuple(sorted(fields, key=lambda f: f.number))


def _field(name: str, meta: FieldMetadata, hint: Any, groups: dict[str, list[str]]) -> Field:
    group = meta.group if meta.group in groups else None
    siblings = tuple(n for n in groups[group] if n != name) if group else ()
    arguments = typing.get_args(hint)
    if meta.map_types:
        key, value = meta.map_types
        return Field(
            name, meta.number, _element(value, arguments[1], ""), key=_element(key, arguments[0], "")
        )
    repeated = typing.get_origin(hint) is list
    element = _element(meta.proto_type, arguments[0] if repeated else hint, meta.wraps or "")
    return Field(name, meta.number, element, repeated, None, bool(meta.optional), group or "", siblings)


def _element(proto_type: str, hint: Any, wraps: str) -> Element:
    inner, nullable = _without_none(hint)
    if proto_type == ENUM:
        return Element(ENUM, inner)
    if proto_type != MESSAGE:
        return Element(proto_type)
    if inner is datetime:
        return Element(TIMESTAMP)
    if inner is timedelta:
        return Element(DURATION)
    if wraps or (nullable and inner in _WRAPS_BY_TYPE):
        return Element(WRAPPER, wraps=wraps or _WRAPS_BY_TYPE[inner], guessed=not wraps)
    return Element(MESSAGE, inner)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(iter(_not_none(hint))), True
    return hint, False


def _not_none(hint: Any) -> Iterator[Any]:
    return (argument for argument in typing.get_args(hint) if argument is not type(None))
