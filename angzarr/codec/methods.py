"""Methods of prepared classes: what betterproto's do, by way of the codec and of present values only."""

import copy
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import betterproto
from betterproto import PLACEHOLDER, SIZE_DELIMITED, Message

from angzarr.codec.attributes import default_factory
from angzarr.codec.fields import DURATION, MESSAGE, TIMESTAMP
from angzarr.codec.layout import GROUPS, MARK, ON_WIRE, UNKNOWN, set_dict
from angzarr.codec.plain import given
from angzarr.codec.wellknown import resolve_or_keep
from angzarr.codec.wire import MAX_DEPTH, write_varint

if TYPE_CHECKING:
    from angzarr.codec.schema import Schema

__all__ = ["clone_of", "methods_of"]


def methods_of(schema: "Schema", prepare_now: Callable[[type[Message]], None]) -> dict[str, Any]:
    """What replaces the methods of betterproto.Message that go to the bytes or to its way of storing."""
    own = vars(schema.cls)
    methods = (*_storage_methods(schema), *_wire_methods(schema), *_copying_methods(schema))
    return {method.__name__: method for method in methods if method.__name__ not in own} | {
        "__post_init__": _post_init(schema, prepare_now, own.get("__post_init__")),
        "_Message__raw_get": _raw_getter(schema),
        "FromString": classmethod(_from_string(schema)),
    }


def _raw_getter(schema: "Schema") -> Callable[[Any, str], Any]:
    """Betterproto's own view of a stored value; its repr and the like are built on it."""
    defaults = {field.name: None if field.optional else PLACEHOLDER for field in schema.fields}
    moments = {f.name: f for f in schema.fields if f.singular and f.element.kind in (TIMESTAMP, DURATION)}

    def raw_get(self: Any, name: str) -> Any:
        if name not in defaults:
            return object.__getattribute__(self, name)
        value = self.__dict__.get(name, defaults[name])
        if type(value) is list and name in moments:
            return resolve_or_keep(moments[name].element.kind, value)
        return value

    return raw_get


def _post_init(
    schema: "Schema", prepare_now: Callable[[type[Message]], None], declared: Callable[[Any], None] | None
) -> Callable[[Any], None]:
    def __post_init__(self: Any) -> None:
        """Called by a constructor of betterproto's: of a subclass, or one that was under way in another thread."""
        if declared is not None:  # a deprecated class warns there; betterproto's notes follow
            declared(self)
        values = given(schema, dict(self.__dict__))
        for key in (ON_WIRE, UNKNOWN, GROUPS):
            values.pop(key, None)
        set_dict(self, values)
        if type(self) is not schema.cls:
            prepare_now(type(self))

    return __post_init__


def _storage_methods(schema: "Schema") -> tuple[Callable[..., Any], ...]:
    defaults = {field.name: default_factory(field) for field in schema.fields}
    messages = {f.name for f in schema.fields if f.singular and f.element.kind == MESSAGE}

    def __eq__(self: Any, other: Any) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        mine, theirs = self.__dict__, other.__dict__
        for name, default in defaults.items():
            if mine.get(name, PLACEHOLDER) is theirs.get(name, PLACEHOLDER):
                continue
            if not _equal(self._Message__raw_get(name), other._Message__raw_get(name), default):
                return False
        return True

    def __bool__(self: Any) -> bool:
        """True if the Message has any fields with non-default values."""
        present = self.__dict__
        return any(
            name in present and self._Message__raw_get(name) not in (PLACEHOLDER, default())
            for name, default in defaults.items()
        )

    def is_set(self: Any, name: str) -> bool:
        """Whether the field with this name has been set; reading a sub-message does not set it."""
        field = schema.by_name[name]
        value = self.__dict__.get(name, PLACEHOLDER)
        if value is PLACEHOLDER or (value is None and field.optional):
            return False
        return schema.content[name](value) if name in messages else True

    def _get_field_default(self: Any, field_name: str) -> Any:
        return defaults[field_name]()

    return __eq__, __bool__, is_set, _get_field_default


def _equal(mine: Any, theirs: Any, default: Callable[[], Any]) -> bool:
    if mine is PLACEHOLDER:
        mine = default()
    elif theirs is PLACEHOLDER:
        theirs = default()
    if mine == theirs:
        return True
    return isinstance(mine, float) and isinstance(theirs, float) and math.isnan(mine) and math.isnan(theirs)


def _from_string(schema: "Schema") -> Callable[[Any, bytes], Any]:
    def FromString(cls: Any, data: bytes) -> Any:
        """Decode a message."""
        if cls is not schema.cls:
            return cls().parse(data)
        data = bytes(data)
        return schema.parse(data, 0, len(data))

    return FromString


def _wire_methods(schema: "Schema") -> tuple[Callable[..., Any], ...]:
    def __bytes__(self: Any) -> bytes:
        """The encoding of this message."""
        return schema.serialise(self.__dict__)

    def __len__(self: Any) -> int:
        """The size of the encoding of this message."""
        return len(schema.serialise(self.__dict__))

    def dump(self: Any, stream: Any, delimit: Any = False) -> None:
        """Write the encoding of this message, with its length before it if ``delimit`` is SIZE_DELIMITED."""
        data = schema.serialise(self.__dict__)
        stream.write(write_varint(len(data)) + data if delimit == SIZE_DELIMITED else data)

    def parse(self: Any, data: bytes) -> Any:
        """Decode into this message, merging with what it holds, and return it. On failure it is unchanged."""
        data = bytes(data)
        if self.__dict__.keys() <= {MARK}:
            merged = schema.parse(data, 0, len(data))
        else:
            merged = clone_of(self)
            schema.merge(data, 0, len(data), MAX_DEPTH, merged.__dict__)
        self.__dict__.clear()
        self.__dict__.update(merged.__dict__)
        return self

    def load(self: Any, stream: Any, size: int | None = None) -> Any:
        """Read and decode a message from a stream: all of it, ``size`` bytes, or as many as it says itself."""
        if size == SIZE_DELIMITED:
            size, _ = betterproto.load_varint(stream)
        data = stream.read() if size is None else stream.read(size)
        if size is not None and len(data) < size:
            raise ValueError(f"a message of {size} bytes expected, only {len(data)} bytes are there")
        return self.parse(data)

    return __bytes__, __len__, dump, parse, load


def _copying_methods(schema: "Schema") -> tuple[Callable[..., Any], ...]:
    def __copy__(self: Any, _: Any = None) -> Any:
        return _with_values(type(self), dict(self.__dict__))

    def __deepcopy__(self: Any, _: Any = None) -> Any:
        return clone_of(self)

    return __copy__, __deepcopy__


def _with_values(cls: type[Message], values: dict[str, Any]) -> Any:
    message = object.__new__(cls)
    set_dict(message, values)
    return message


def clone_of(message: Any) -> Any:
    """A deep copy of a prepared message, unknown fields and presence included."""
    return _with_values(type(message), {key: _copy_of(value) for key, value in message.__dict__.items()})


_IMMUTABLE = frozenset((str, bytes, int, float, bool, type(None), datetime, timedelta))


def _copy_of(value: Any) -> Any:
    kind = type(value)
    if kind in _IMMUTABLE:
        return value
    if kind is list:
        return [_copy_of(item) for item in value]
    if kind is dict:
        return {key: _copy_of(item) for key, item in value.items()}
    if isinstance(value, betterproto.Enum):
        return value
    return copy.deepcopy(value)
