"""One Schema per message class: its fields, and the functions compiled for it on first use."""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from betterproto import Message

from angzarr.codec import general, handlers, plain
from angzarr.codec.fields import DURATION, MESSAGE, TIMESTAMP, Field, fields_of
from angzarr.codec.layout import GROUPS, MARK, ON_WIRE, UNKNOWN
from angzarr.codec.parse import compile_parser
from angzarr.codec.serialise import compile_serialiser
from angzarr.codec.wire import MAX_DEPTH

__all__ = ["LOCK", "Schema", "schema_of"]

LOCK = threading.RLock()
"""Held while a class is being compiled or prepared."""

_schemas: dict[type[Message], "Schema"] = {}

Parser = Callable[..., Any]
Serialiser = Callable[[dict[str, Any]], bytes]
T = TypeVar("T")


class _computed(Generic[T]):
    """A property worked out once, under the lock, and then an ordinary attribute."""

    def __init__(self, compute: "Callable[[Schema], T]") -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, schema: "Schema", owner: type | None = None) -> T:
        with LOCK:
            values: dict[str, Any] = vars(schema)
            if self._name not in values:
                values[self._name] = self._compute(schema)
            value: T = values[self._name]
            return value


class Schema:
    """A message class as the codec knows it.

    Attributes:
        cls: the class.
        prepared: whether its messages keep only present fields (``angzarr.codec.prepare``).
        settled: whether besides all messages that existed then have been brought over to that.
        preparation: what is still to be done to prepare it, when it has been asked for.
    """

    def __init__(self, cls: type[Message]) -> None:
        self.cls = cls
        self.prepared = False
        self.settled = False
        self.preparation: Callable[[], None] | None = None

    @_computed
    def fields(self) -> tuple[Field, ...]:
        """The fields by number."""
        return fields_of(self.cls)

    @_computed
    def by_name(self) -> dict[str, Field]:
        """The fields by name."""
        return {field.name: field for field in self.fields}

    @_computed
    def content(self) -> dict[str, Callable[[Any], bool]]:
        """For each field by name, whether a stored value says that the field was set."""
        return {field.name: _content_test(field) for field in self.fields}

    @_computed
    def presence(self) -> dict[str, Callable[[Any], bool]]:
        """For each field by name, whether a stored value is present; without explicit presence, defaults are not."""
        implicit = [f.name for f in self.fields if f.singular and not f.explicit and f.element.is_scalar]
        return self.content | dict.fromkeys(implicit, bool)

    @_computed
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Oneof → its members."""
        groups: dict[str, tuple[str, ...]] = {}
        for field in self.fields:
            if field.group:
                groups[field.group] = (*groups.get(field.group, ()), field.name)
        return groups

    @_computed
    def handlers(self) -> dict[int, tuple[Field, handlers.Handler]]:
        """What the general loop decodes each tag with."""
        return handlers.handlers_of(self, schema_of)

    @_computed
    def parse(self) -> Parser:
        """``(b, i, end, depth=MAX_DEPTH) -> message``."""
        self.complete_preparation()
        parse = compile_parser(self, schema_of)
        return parse if self.prepared else self._completing(parse)

    @_computed
    def serialise(self) -> Serialiser:
        """From a message's ``__dict__`` to its encoding."""
        self.complete_preparation()
        serialise = compile_serialiser(self, schema_of)
        return serialise if self.prepared else lambda values: serialise(self.present_values(values))

    def _completing(self, parse: Parser) -> Parser:
        def parse_plain(b: bytes, i: int, end: int, depth: int = MAX_DEPTH) -> Any:
            message = parse(b, i, end, depth)
            if not self.prepared:
                plain.complete(self, message.__dict__)
            return message

        return parse_plain

    def merge(self, b: bytes, i: int, end: int, depth: int, values: dict[str, Any]) -> None:
        """Decode into the ``__dict__`` of a message that the codec made before."""
        general.fill(self, b, i, end, depth, values)
        values[MARK] = True
        if not self.prepared:
            plain.complete(self, values)

    @property
    def stores_natively(self) -> bool:
        """Whether assigning an attribute does nothing but store it, which is the fastest way there is."""
        moments = (TIMESTAMP, DURATION)
        return self.prepared and not any(
            f.group or f.contentless or (f.singular and f.element.kind in moments) for f in self.fields
        )

    def complete_preparation(self) -> None:
        """Do what ``prepare`` has left for the first use."""
        preparation = self.preparation
        if preparation is not None:
            preparation()

    def new(self) -> Any:
        """An empty message of a class that is to be prepared, made without its constructor."""
        if not self.prepared:
            self.complete_preparation()
        return object.__new__(self.cls)

    def recompile(self) -> None:
        """Forget the compiled functions. Whoever holds them may go on using them: they look whether it is prepared."""
        for name in ("parse", "serialise"):
            self.__dict__.pop(name, None)

    def present_values(self, values: dict[str, Any]) -> dict[str, Any]:
        """A message's ``__dict__`` without what is not present, apart from sub-messages that were only read."""
        return plain.reduced(self, values) if self._is_plain(values) else values

    def _is_plain(self, values: dict[str, Any]) -> bool:
        """Whether the values are kept betterproto's way; what a late constructor of its notes later says nothing."""
        return GROUPS in values and not self.settled

    def has_content(self, values: dict[str, Any]) -> bool:
        """Whether anything was set or put into the message with this ``__dict__``."""
        present = self.present_values(values)
        return bool(present.get(UNKNOWN)) or any(
            has(present[name]) for name, has in self.content.items() if name in present
        )

    def is_present(self, values: dict[str, Any]) -> bool:
        """Whether a sub-message with this ``__dict__`` is more than read."""
        mark = values.get(ON_WIRE if self._is_plain(values) else MARK)
        return mark is not False or self.has_content(values)


def _content_test(field: Field) -> Callable[[Any], bool]:
    if not field.singular:
        return bool
    return _is_present_message if field.element.kind == MESSAGE and not field.explicit else _is_value


def _is_value(value: Any) -> bool:
    return value is not None


def _is_present_message(value: Any) -> bool:
    if value is None:
        return False
    if not isinstance(value, Message):  # the serialiser will refuse it
        return True
    return schema_of(type(value)).is_present(value.__dict__)


def schema_of(cls: Any) -> Schema:
    """The schema of a betterproto class.

    Raises:
        TypeError: it is not a betterproto message class.
    """
    found = _schemas.get(cls)
    if found is not None:
        return found
    if not (isinstance(cls, type) and issubclass(cls, Message) and hasattr(cls, "__dataclass_fields__")):
        raise TypeError(f"a betterproto message class expected, got {cls!r}")
    with LOCK:
        return _schemas.setdefault(cls, Schema(cls))
