"""Messages as the Python that makes them, so that what a failing test prints can be pasted into another."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any as AnyValue

import betterproto
from betterproto.lib.google.protobuf import Any

from angzarr.codec import DecodeError
from angzarr.errors import UnregisteredMessageError
from angzarr.messages import pack, unpack_any
from angzarr.testing.fields import values_of

WIDTH = 100


class Source:
    """Writes values as Python, and remembers what that Python has to import."""

    def __init__(self) -> None:
        self._imports: dict[str, set[str]] = {}

    def imports(self) -> list[str]:
        """The import statements for everything written so far, sorted."""
        return [
            f"from {module} import {', '.join(sorted(names))}"
            for module, names in sorted(self._imports.items())
        ]

    def name(self, module: str, name: str) -> str:
        """Use a name of a module: remembers the import, returns the name."""
        self._imports.setdefault(module, set()).add(name)
        return name

    def class_name(self, cls: type) -> str:
        """Use a class, framework messages by their public name; one defined in a function cannot be imported."""
        if cls.__module__.startswith("angzarr._gen."):
            return self.name("angzarr", "UUID" if cls.__name__ == "Uuid" else cls.__name__)
        if cls.__module__.startswith("betterproto.lib."):
            return self.name("betterproto.lib.google.protobuf", cls.__name__)
        if "<locals>" in cls.__qualname__:
            return cls.__name__
        return self.name(cls.__module__, cls.__qualname__.partition(".")[0]) and cls.__qualname__

    def value(self, value: object, indent: int = 0) -> str:
        """A value as an expression.

        Args:
            value: a message, something a field holds, or anything with a telling repr.
            indent: columns of indentation of the line it will stand on.
        """
        if isinstance(value, Any):
            return self._packed(value, indent)
        if isinstance(value, betterproto.Message):
            arguments = [(f"{field.name}=", held) for field, held in values_of(value)]
            return self.call(self.class_name(type(value)), arguments, indent)
        if isinstance(value, list | tuple):
            opening, closing = "[]" if isinstance(value, list) else "()"
            return self._bracketed(opening, [("", item) for item in value], closing, indent)
        if isinstance(value, dict):
            items = [(f"{self.value(key)}: ", held) for key, held in value.items()]
            return self._bracketed("{", items, "}", indent)
        return self._atom(value)

    def call(self, function: str, arguments: Iterable[tuple[str, object]], indent: int = 0) -> str:
        """A call.

        Args:
            function: what is called, as text.
            arguments: (``"name="`` or ``""``, value) each.
            indent: columns of indentation of the line it will stand on.
        """
        return self._bracketed(f"{function}(", list(arguments), ")", indent)

    def _bracketed(self, opening: str, items: list[tuple[str, object]], closing: str, indent: int) -> str:
        flat = opening + ", ".join(prefix + self.value(held, indent) for prefix, held in items) + closing
        if not items or ("\n" not in flat and len(flat) + indent <= WIDTH):
            return flat
        inner = " " * (indent + 4)
        lines = "".join(f"{inner}{prefix}{self.value(held, indent + 4)},\n" for prefix, held in items)
        return f"{opening}\n{lines}{' ' * indent}{closing}"

    def _packed(self, value: Any, indent: int) -> str:
        try:
            inside = unpack_any(value)
            repacked = pack(inside)
        except (DecodeError, UnregisteredMessageError):
            repacked = None
        if repacked is not None and (repacked.type_url, repacked.value) == (value.type_url, value.value):
            return self.call(self.name("angzarr.messages", "pack"), [("", inside)], indent)
        arguments = [("type_url=", value.type_url), ("value=", value.value)]
        return self.call(self.class_name(Any), arguments, indent)

    def _atom(self, value: object) -> str:
        if isinstance(value, betterproto.Enum):
            name = self.class_name(type(value))
            return f"{name}.{value.name}" if value.name else f"{name}.try_value({int(value)})"
        if isinstance(value, datetime):
            return self._datetime(value)
        if isinstance(value, timedelta):
            self.name("datetime", "timedelta")
            return repr(value).removeprefix("datetime.")
        if isinstance(value, float) and not math.isfinite(value):
            return f'float("{value}")'
        if isinstance(value, str):
            return _quoted(value)
        return repr(value)

    def _datetime(self, value: datetime) -> str:
        self.name("datetime", "datetime")
        if value.tzinfo is not UTC:
            return repr(value).removeprefix("datetime.")
        self.name("datetime", "UTC")
        return repr(value).removeprefix("datetime.").replace("datetime.timezone.utc", "UTC")


def _quoted(text: str) -> str:
    plain = repr(text)
    return f'"{plain[1:-1]}"' if plain[0] == "'" and '"' not in plain else plain


def source_of(value: AnyValue) -> str:
    """A message, or what a field holds, as the Python expression that makes it."""
    return Source().value(value)
