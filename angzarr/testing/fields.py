"""What a generated message class is made of, as the strategies and the printers need it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any as AnyValue

import betterproto

from angzarr.messages import has_field


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message class.

    Attributes:
        name: its Python name.
        proto_type: betterproto's name of its type; of its values for a map.
        cls: Python class of an enum, message, timestamp (datetime) or duration (timedelta); of the values for a map.
        repeated: whether it is a list.
        optional: whether it may be None: proto3 optionals and wrappers.
        group: name of the oneof it belongs to, or None.
        wraps: what a google.protobuf wrapper wraps, as betterproto's type name, or None.
        key_type: type of a map's keys; None unless the field is a map.
    """

    name: str
    proto_type: str
    cls: type[AnyValue] | None
    repeated: bool
    optional: bool
    group: str | None
    wraps: str | None
    key_type: str | None

    @property
    def is_message(self) -> bool:
        """Whether its values have a presence of their own: messages, timestamps, durations, wrappers."""
        return self.proto_type == betterproto.TYPE_MESSAGE


@cache
def fields_of(cls: type[betterproto.Message]) -> tuple[Field, ...]:
    """The fields of a generated class, in declaration order."""
    meta: betterproto.ProtoClassMetadata = cls()._betterproto  # type: ignore[arg-type]
    return tuple(
        _field(name, meta.meta_by_field_name[name], meta.cls_by_field, meta.default_gen)
        for name in meta.meta_by_field_name
    )


def _field(
    name: str,
    meta: betterproto.FieldMetadata,
    cls_by_field: dict[str, type],
    default_gen: dict[str, AnyValue],
) -> Field:
    is_map = meta.map_types is not None
    key_type, value_type = meta.map_types or (None, meta.proto_type)
    typed = value_type in (betterproto.TYPE_ENUM, betterproto.TYPE_MESSAGE) and meta.wraps is None
    return Field(
        name=name,
        proto_type=value_type,
        cls=cls_by_field[f"{name}.value" if is_map else name] if typed else None,
        repeated=default_gen[name] is list,
        optional=bool(meta.optional) or meta.wraps is not None,
        group=meta.group or None,
        wraps=meta.wraps or None,
        key_type=key_type,
    )


def values_of(message: betterproto.Message) -> Iterator[tuple[Field, AnyValue]]:
    """The fields a message holds and their values: what is unset or has its default value is left out."""
    for field in fields_of(type(message)):
        if is_set(message, field):
            yield field, getattr(message, field.name)


def long_numbers(message: betterproto.Message) -> Iterator[tuple[betterproto.Message, Field]]:
    """The fields for 64-bit whole numbers in a message and in those it holds, each with the message it is in.

    Of a oneof only the member that is set; lists and maps of numbers are left out.
    """
    for field in fields_of(type(message)):
        if field.key_type is not None or (field.group is not None and not is_set(message, field)):
            continue
        if (field.wraps or field.proto_type) in betterproto.INT_64_TYPES:
            if not field.repeated:
                yield message, field
        elif field.is_message and is_set(message, field):
            held = getattr(message, field.name)
            for inner in held if field.repeated else (held,):
                if isinstance(inner, betterproto.Message):
                    yield from long_numbers(inner)


@cache
def carries_long_numbers(cls: type[betterproto.Message]) -> bool:
    """Whether ``long_numbers`` may find something in a message of a class."""
    reached, waiting = {cls}, [cls]
    while waiting:
        for field in fields_of(waiting.pop()):
            if field.key_type is not None:
                continue
            if (field.wraps or field.proto_type) in betterproto.INT_64_TYPES and not field.repeated:
                return True
            inner = field.cls
            if inner is not None and inner not in reached and issubclass(inner, betterproto.Message):
                reached.add(inner)
                waiting.append(inner)
    return False


def is_set(message: betterproto.Message, field: Field) -> bool:
    """Whether a field would reach the wire: present, or for what has no presence, other than its default."""
    if field.group is not None:
        return betterproto.which_one_of(message, field.group)[0] == field.name
    if field.repeated or field.key_type is not None:
        return bool(getattr(message, field.name))
    if field.optional:
        return getattr(message, field.name) is not None
    if field.is_message:
        return has_field(message, field.name)
    return bool(getattr(message, field.name))
