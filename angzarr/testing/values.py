"""Comparing states and messages by what they hold, whatever their classes define as equality."""

import math
import re
import sqlite3
import struct
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any as AnyValue
from typing import TypeAlias

import betterproto

from angzarr.testing.fields import Field, fields_of, values_of
from angzarr.testing.source import source_of

_SHARED = (list, dict, set, bytearray, deque)
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}")
_CODE = (FunctionType, BuiltinFunctionType, MethodType, ModuleType, type, partial)


def _is_unequal(value: object) -> bool:
    """Whether it differs from itself, as NaN does, of floats, decimals and complex numbers."""
    return bool(value != value)


class _Word(str):
    """Text that stands for something other than itself."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Atom:
    """Something without parts: compared by type-blind equality, NaN equal to itself."""

    value: object

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Atom):
            return NotImplemented
        if type(self.value) is type(other.value) and _is_unequal(self.value) and _is_unequal(other.value):
            return repr(self.value) == repr(other.value)
        return bool(self.value == other.value) and isinstance(self.value, bool) == isinstance(
            other.value, bool
        )

    def __hash__(self) -> int:
        return hash(self.value)

    def __str__(self) -> str:
        return str(self.value) if isinstance(self.value, _Word) else source_of(self.value)


@dataclass(frozen=True, slots=True)
class Node:
    """Something with parts.

    Attributes:
        name: the class's name; ``""`` for lists, mappings and sets.
        parts: path step (``.field``, ``[index]``) → what is there.
    """

    name: str
    parts: Mapping[str, "Atom | Node"]

    def __hash__(self) -> int:
        return hash((self.name, tuple(sorted(self.parts))))

    def __str__(self) -> str:
        held = ", ".join(f"{step.lstrip('.')}={part}" for step, part in self.parts.items())
        return f"{self.name}({held})" if self.name else f"[{', '.join(map(str, self.parts.values()))}]"


Frozen: TypeAlias = Atom | Node
ABSENT = Atom(_Word("unset"))


def freeze(value: AnyValue) -> Frozen:
    """A value as immutable data: messages by the fields they hold, objects by their attributes, to any depth.

    A copy in the sense that later changes of the value do not reach it. Unset and empty sub-messages are the same.
    """
    return _freeze(value, ())


def _freeze(value: AnyValue, above: tuple[int, ...]) -> Frozen:
    if isinstance(value, betterproto.Enum | Enum):
        return Atom(int(value) if isinstance(value, int) else str(value))
    if value is None or isinstance(value, bool | int | float | str | bytes | complex):
        return Atom(value)
    if id(value) in above:
        return Atom(_Word("(itself)"))
    above = (*above, id(value))
    if isinstance(value, betterproto.Message):
        return _message(value, above)
    if isinstance(value, bytearray | memoryview):
        return Atom(bytes(value))
    if isinstance(value, defaultdict) and value.default_factory is not None:
        return _with_defaults(value, value.default_factory, above)
    if isinstance(value, Mapping):
        return Node("", {f"[{source_of(key)}]": _freeze(held, above) for key, held in _by_key(value)})
    if isinstance(value, Set):
        return Node("", {f"[{item}]": item for item in sorted((_freeze(v, above) for v in value), key=str)})
    if isinstance(value, Sequence):
        return Node("", {f"[{index}]": _freeze(item, above) for index, item in enumerate(value)})
    if isinstance(value, _CODE):
        return Atom(getattr(value, "__qualname__", type(value).__name__))
    if isinstance(value, sqlite3.Connection):
        return _database(value)
    return _object(value, above)


def _with_defaults(
    value: defaultdict[AnyValue, AnyValue], default: Callable[[], AnyValue], above: tuple[int, ...]
) -> Node:
    """Without the entries that looking them up has made."""
    unset = _freeze(default(), above)
    parts = {f"[{source_of(key)}]": _freeze(held, above) for key, held in _by_key(value)}
    return Node("", {step: part for step, part in parts.items() if differences(unset, part)})


def _database(connection: sqlite3.Connection) -> Node:
    """A database by its rows, in any order."""
    try:
        lines = sorted(connection.iterdump())
    except sqlite3.Error:  # another thread's, or closed
        lines = []
    return Node(type(connection).__name__, {f"[{n}]": Atom(_Word(line)) for n, line in enumerate(lines)})


def _by_key(mapping: Mapping[AnyValue, AnyValue]) -> list[tuple[AnyValue, AnyValue]]:
    return sorted(mapping.items(), key=lambda item: str(item[0]))


def _message(message: betterproto.Message, above: tuple[int, ...]) -> Node:
    parts: dict[str, Frozen] = {}
    for field, held in values_of(message):
        part = _freeze(_as_on_the_wire(field, held), above)
        if not (field.is_message and field.group is None and _says_nothing(field, part, held)):
            parts[f".{field.name}"] = part
    for name, held in vars(message).items():
        if not name.startswith("_") and f".{name}" not in parts and name not in _field_names(message):
            parts[f".{name}"] = _freeze(held, above)
    return Node(type(message).__name__, parts)


def _field_names(message: betterproto.Message) -> frozenset[str]:
    return frozenset(field.name for field in fields_of(type(message)))


def _says_nothing(field: Field, part: Frozen, held: AnyValue) -> bool:
    if field.wraps is not None or field.optional:
        return False
    if isinstance(part, Node):
        return not part.parts
    return field.cls is not None and bool(held == _default_of(field.cls))


def _default_of(cls: type) -> object:
    return betterproto.DATETIME_ZERO if cls.__name__ == "datetime" else cls()


def _as_on_the_wire(field: Field, held: AnyValue) -> AnyValue:
    if field.proto_type == betterproto.TYPE_FLOAT and field.key_type is None:
        return [_single(item) for item in held] if field.repeated else _single(held)
    return held


def _single(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0]) if math.isfinite(value) else value


def _object(value: AnyValue, above: tuple[int, ...]) -> Frozen:
    attributes = dict(_attributes(value))
    if attributes:
        return Node(
            type(value).__name__, {f".{name}": _freeze(held, above) for name, held in attributes.items()}
        )
    shown = repr(value)
    cls: AnyValue = type(value)
    if cls.__eq__ is object.__eq__ or cls.__hash__ is None:
        # locks, connections and the like differ from each other, though nothing in them does
        return Node(type(value).__name__, {}) if _ADDRESS.search(shown) else Atom(_Word(shown))
    return Atom(value)


def _attributes(value: AnyValue) -> Iterator[tuple[str, AnyValue]]:
    own = getattr(value, "__dict__", {})
    yield from (
        (name, held)
        for name, held in sorted(own.items())
        if not isinstance(getattr(type(value), name, None), cached_property)
    )
    for cls in type(value).__mro__[:-1]:
        for name, held in sorted(vars(cls).items()):
            if isinstance(held, _SHARED) and name not in own and not name.startswith("__"):
                yield name, held
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name) and name not in {"__dict__", "__weakref__"}:
                yield name, getattr(value, name)


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two values differ; ``ABSENT`` (unset) where one of them has nothing."""

    path: str
    left: Frozen
    right: Frozen


def differences(left: Frozen, right: Frozen, path: str = "") -> list[Difference]:
    """Where two frozen values differ, deepest paths that tell them apart, in order."""
    if isinstance(left, Node) and isinstance(right, Node) and left.name == right.name:
        steps = [*left.parts, *(step for step in right.parts if step not in left.parts)]
        return [
            found
            for step in steps
            for found in differences(
                left.parts.get(step, ABSENT), right.parts.get(step, ABSENT), f"{path}{step}"
            )
        ]
    return [] if left == right else [Difference(path, left, right)]


def tell(found: Sequence[Difference], left: str, right: str, whole: str = "value") -> list[str]:
    """Differences as lines.

    Args:
        found: the differences.
        left: what to call the left side (``"expected"``).
        right: what to call the right side (``"came"``).
        whole: what to call the value itself where there is no path.
    """
    return [f"{d.path.lstrip('.') or whole}: {left} {d.left}, {right} {d.right}" for d in found]
