"""Attributes of prepared classes: a value that is present is found in the instance at native speed.

What betterproto does in ``__getattribute__`` for every access is done here by the class's attributes, for values that
are absent: an immutable default stands there itself, the rest are descriptors without ``__set__``, so that an
instance's own value comes before them.
"""

import datetime
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from betterproto import PLACEHOLDER, Message

from angzarr.codec import scalars, wellknown
from angzarr.codec.fields import DURATION, ENUM, MESSAGE, TIMESTAMP, WRAPPER, Field
from angzarr.codec.layout import GROUPS, MARK, ON_WIRE, UNKNOWN
from angzarr.codec.readers import SchemaOf
from angzarr.errors import DecodeError

if TYPE_CHECKING:
    from angzarr.codec.schema import Schema

__all__ = ["attributes_of", "default_factory"]


def default_factory(field: Field) -> Callable[[], Any]:
    """What makes the value that an absent field reads as."""
    if field.repeated:
        return list
    if field.key is not None:
        return dict
    kind = field.element.kind
    if field.optional or kind == WRAPPER:
        return lambda: None
    if kind == MESSAGE:
        return field.element.message_class
    if kind in (TIMESTAMP, DURATION):
        return lambda: wellknown.DEFAULTS[kind]
    value = field.element.enum_class.try_value(0) if kind == ENUM else scalars.default_of(kind)
    return lambda: value


class _Absent(ABC):
    """Base of the descriptors: in the class itself they read as betterproto's field default."""

    def __init__(self, field: Field) -> None:
        self._name = field.name
        self._class_value = None if field.optional else PLACEHOLDER

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self._class_value if instance is None else self._read(instance)

    @abstractmethod
    def _read(self, instance: Any) -> Any:
        """What the absent value of an instance reads as."""


class _Container(_Absent):
    """An absent list or map: an empty one is stored, so that it can be added to."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self._factory = default_factory(field)

    def _read(self, instance: Any) -> Any:
        return instance.__dict__.setdefault(self._name, self._factory())


class _Child(_Absent):
    """An absent sub-message: an empty one is stored, marked as not present until something is put into it."""

    def __init__(self, field: Field, new_child: Callable[[], Message]) -> None:
        super().__init__(field)
        self._new_child = new_child

    def _read(self, instance: Any) -> Any:
        child = self._new_child()
        child.__dict__[MARK] = False
        return instance.__dict__.setdefault(self._name, child)


def _not_chosen(instance: Any, field: Field) -> AttributeError:
    chosen = getattr(instance, GROUPS)[field.group]
    return AttributeError(
        f"{field.group!r} is set to {chosen!r}, not {field.name!r}", name=field.name, obj=instance
    )


class _Member(_Absent):
    """A oneof member that is not the chosen one."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self._field = field

    def _read(self, instance: Any) -> Any:
        raise _not_chosen(instance, self._field)


class _Moment(_Absent):
    """A Timestamp or Duration, decoded when it is first read. Unlike the others it governs writing too."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self._field = field
        self._kind = field.element.kind
        self._default = default_factory(field)()

    def _read(self, instance: Any) -> Any:
        values = instance.__dict__
        value = values.get(self._name, PLACEHOLDER)
        if type(value) is list:
            value = values[self._name] = resolve_field(self._field, value)
        elif value is PLACEHOLDER:
            if self._field.group:
                raise _not_chosen(instance, self._field)
            return self._default
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._name] = value

    def __delete__(self, instance: Any) -> None:
        if instance.__dict__.pop(self._name, PLACEHOLDER) is PLACEHOLDER:
            raise AttributeError(self._name, name=self._name, obj=instance)


def resolve_field(field: Field, chunks: list[bytes]) -> datetime.datetime | datetime.timedelta:
    """The value of a Timestamp or Duration field as it came off the wire.

    Raises:
        DecodeError: it is outside what datetime or timedelta can hold; the path is the field's name.
    """
    try:
        value: datetime.datetime | datetime.timedelta = wellknown.resolve(field.element.kind, chunks)
    except DecodeError as error:
        raise DecodeError(error.reason, field.name) from None
    return value


class _Groups:
    """The ``_group_current`` of a message, made from its values."""

    def __init__(self, schema: "Schema") -> None:
        self._schema = schema

    def __get__(self, instance: Any, owner: type | None = None) -> dict[str, str | None]:
        if instance is None:
            raise AttributeError(GROUPS)
        values = instance.__dict__
        # betterproto's constructor is at work, in another thread
        if ON_WIRE in values and GROUPS not in values:
            raise AttributeError(GROUPS)
        return {
            group: next((name for name in members if name in values), None)
            for group, members in self._schema.groups.items()
        }

    def __set__(self, instance: Any, value: Any) -> None:
        """What betterproto would note, the values say."""


class _Present:
    """The ``_serialized_on_wire`` of a message: whether it was decoded, so marked, or has been put something into."""

    def __init__(self, schema: "Schema") -> None:
        self._schema = schema

    def __get__(self, instance: Any, owner: type | None = None) -> bool:
        if instance is None:
            raise AttributeError(ON_WIRE)
        values = instance.__dict__
        return values.get(MARK) is True or self._schema.has_content(values)

    def __set__(self, instance: Any, value: bool) -> None:
        instance.__dict__[MARK] = value


def attributes_of(schema: "Schema", schema_of: SchemaOf) -> dict[str, Any]:
    """The descriptors and the oneof rules of a prepared class."""
    ruled = {field.name: field.siblings for field in schema.fields if field.group or field.contentless}
    return {field.name: _class_attribute(field, schema_of) for field in schema.fields} | {
        ON_WIRE: _Present(schema),
        GROUPS: _Groups(schema),
        UNKNOWN: b"",
        "__getattribute__": object.__getattribute__,
        "__setattr__": _ruled_setter(ruled) if ruled else object.__setattr__,
    }


def _class_attribute(field: Field, schema_of: SchemaOf) -> Any:
    if field.singular and field.element.kind in (TIMESTAMP, DURATION):
        return _Moment(field)
    if field.group:
        return _Member(field)
    if not field.singular:
        return _Container(field)
    if field.element.kind == MESSAGE and not field.optional:
        return _Child(field, schema_of(field.element.cls).new)
    return default_factory(field)()  # nobody can change it: an ordinary class attribute


def _ruled_setter(ruled: dict[str, tuple[str, ...]]) -> Callable[[Any, str, Any], None]:
    """A ``__setattr__`` for classes with oneofs, or with sub-messages that have no content to show their presence."""
    plainly = object.__setattr__

    def __setattr__(self: Any, name: str, value: Any) -> None:
        siblings = ruled.get(name)
        if siblings is None:
            plainly(self, name, value)
            return
        values = self.__dict__
        if value is PLACEHOLDER:
            values.pop(name, None)
            return
        for sibling in siblings:
            values.pop(sibling, None)
        values[name] = value
        mark_if_contentless(value)

    return __setattr__


def mark_if_contentless(value: Any) -> None:
    """Note in a message without fields that it has been assigned, as betterproto does."""
    if isinstance(value, Message) and not vars(type(value))["__dataclass_fields__"]:
        value._serialized_on_wire = True
