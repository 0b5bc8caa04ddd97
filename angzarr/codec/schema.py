"""One Schema per message class: its fields, and the functions compiled for it on first use."""

import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any

from betterproto import Message

from angzarr.codec import general, plain
from angzarr.codec.fields import MESSAGE, Field, fields_of
from angzarr.codec.parse import PRESENT, compile_parser
from angzarr.codec.serialise import compile_serialiser

__all__ = ["LOCK", "Schema", "known_schema", "schema_of"]

LOCK = threading.RLock()
"""Held while a class is being compiled or prepared."""

_schemas: dict[type[Message], "Schema"] = {}

Parser = Callable[..., Any]
Serialiser = Callable[[dict[str, Any]], bytes]


class Schema:
    """A message class as the codec knows it.

    Attributes:
        cls: the class.
        prepared: whether its messages keep only present fields (``angzarr.codec.prepare``).
    """

    def __init__(self, cls: type[Message]) -> None:
        self.cls = cls
        self.prepared = False

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The fields by number."""
        return fields_of(self.cls)

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """The fields by name."""
        return {field.name: field for field in self.fields}

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Oneof → its members."""
        groups: dict[str, tuple[str, ...]] = {}
        for field in self.fields:
            if field.group:
                groups[field.group] = (*groups.get(field.group, ()), field.name)
        return groups

    @cached_property
    def handlers(self) -> dict[int, tuple[Field, general.Handler]]:
        """What the general loop decodes each tag with."""
        return general.handlers_of(self, schema_of)

    @cached_property
    def parse(self) -> Parser:
        """``(b, i, end, depth=100) -> message``."""
        with LOCK:
            parse = compile_parser(self, schema_of)
            return parse if self.prepared else self._completing(parse)

    @cached_property
    def serialise(self) -> Serialiser:
        """From a message's ``__dict__`` to its encoding."""
        with LOCK:
            serialise = compile_serialiser(self, schema_of)
            return serialise if self.prepared else lambda values: serialise(plain.reduced(self, values))

    def _completing(self, parse: Parser) -> Parser:
        def parse_plain(b: bytes, i: int, end: int, depth: int = 100) -> Any:
            message = parse(b, i, end, depth)
            plain.complete(self, message.__dict__)
            return message

        return parse_plain

    def merge(self, b: bytes, i: int, end: int, depth: int, values: dict[str, Any]) -> None:
        """Decode into the ``__dict__`` of a message that the codec made before."""
        general.fill(self, b, i, end, depth, values)
        values[PRESENT] = True
        if not self.prepared:
            plain.complete(self, values)

    def recompile(self) -> None:
        """Forget the compiled functions; whoever holds them may go on using them."""
        for name in ("parse", "serialise"):
            self.__dict__.pop(name, None)

    def present_values(self, values: dict[str, Any]) -> dict[str, Any]:
        """A message's ``__dict__`` without what is not present, apart from sub-messages that were only read."""
        return values if self.prepared else plain.reduced(self, values)

    def has_content(self, values: dict[str, Any]) -> bool:
        """Whether anything was set or put into the message with this ``__dict__``."""
        present = self.present_values(values)
        return bool(present.get(general.UNKNOWN)) or any(
            self.has(field, present) for field in self.fields if field.name in present
        )

    def is_present(self, values: dict[str, Any]) -> bool:
        """Whether a sub-message with this ``__dict__`` is more than read."""
        return values.get(PRESENT) is not False or self.has_content(values)

    def has(self, field: Field, present: dict[str, Any]) -> bool:
        """Whether a field is present among present values."""
        value = present.get(field.name)
        if value is None:
            return False
        if not field.singular:
            return bool(value)
        if field.element.kind == MESSAGE and isinstance(value, Message):
            return schema_of(type(value)).is_present(value.__dict__)
        return True


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


def known_schema(cls: type[Message]) -> Schema | None:
    """The schema of a class, if anything has asked for it before."""
    return _schemas.get(cls)
