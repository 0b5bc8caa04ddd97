"""What handlers could remember beside the aggregate: class attributes, module globals, default arguments, closures.

Examples must not influence each other, or shrinking goes astray; and what differs because of such a memory is a bug.
"""

import contextlib
import sqlite3
import sys
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType
from typing import Any as AnyValue

import betterproto

from angzarr.testing.source import source_of
from angzarr.testing.subject import Subject

_CONTAINERS = (list, dict, set, deque, bytearray)
_PLAIN = (int, float, str, bytes, tuple, frozenset, type(None))
_TOO_MANY = 10_000
_DEEPEST = 6


def packages_of(subject: Subject) -> frozenset[str]:
    """The top-level packages that the user's code of a subject lives in."""
    classes = [subject.info.cls, *([subject.info.state_type] if subject.info.state_type else [])]
    modules = {base.__module__ for cls in classes for base in cls.__mro__}
    return frozenset(module.partition(".")[0] for module in modules) - {"builtins", "betterproto", "abc"}


class World:
    """The memory of a subject's code, as it was when this was made.

    Args:
        subject: the handler whose class, state class, modules, functions and factory are looked through.
    """

    def __init__(self, subject: Subject) -> None:
        self._packages = packages_of(subject)
        self._seen: set[int] = set()
        self._undo: list[Callable[[], None]] = []
        self._containers: list[tuple[str, AnyValue]] = []
        self._keep: list[AnyValue] = []
        for cls in self._classes(subject):
            self._class(cls)
            self._module(cls.__module__)
        self._function("factory", subject.factory)

    def restore(self) -> None:
        """Put everything back to what it was."""
        for undo in self._undo:
            undo()

    def kept(self) -> dict[str, tuple[str, bool]]:
        """What is kept in it that an event could be: messages anywhere, and the items of lists.

        Returns:
            Where → (what, whether that is or holds a message).
        """
        return {
            f"{path}[{index}]": (source_of(item), _has_message(item))
            for path, container in self._containers
            for index, item in enumerate(_items(container))
            if isinstance(container, list | deque) or _has_message(item)
        }

    def added(self, before: dict[str, tuple[str, bool]]) -> list[tuple[str, str, bool]]:
        """What is kept now and was not, as (where, what, whether it is a message)."""
        return [
            (path, what, is_message)
            for path, (what, is_message) in self.kept().items()
            if before.get(path) != (what, is_message)
        ]

    def _classes(self, subject: Subject) -> Iterator[type]:
        for cls in (subject.info.cls, subject.info.state_type):
            for base in cls.__mro__ if cls is not None else ():
                if self._ours(base.__module__) and not issubclass(base, betterproto.Message):
                    yield base

    def _ours(self, module: str) -> bool:
        return module.partition(".")[0] in self._packages

    def _class(self, cls: type) -> None:
        for name, held in list(vars(cls).items()):
            if isinstance(held, FunctionType | staticmethod | classmethod):
                self._function(f"{cls.__name__}.{name}", getattr(held, "__func__", held))
            elif not name.startswith("__") and isinstance(held, (*_CONTAINERS, *_PLAIN, sqlite3.Connection)):
                self._undo.append(partial(_put_back, cls, name, held))
                self._value(f"{cls.__name__}.{name}", held)

    def _module(self, name: str) -> None:
        module = sys.modules.get(name)
        if module is None or id(module) in self._seen:
            return
        self._seen.add(id(module))
        for key, held in list(vars(module).items()):
            if key.startswith("__"):
                continue
            if isinstance(held, FunctionType) and held.__module__ == name:
                self._function(key, held)
            elif isinstance(held, (*_CONTAINERS, *_PLAIN, sqlite3.Connection)) or self._is_our_object(held):
                self._undo.append(partial(_put_back, module, key, held))
                self._value(key, held)

    def _is_our_object(self, value: AnyValue) -> bool:
        return (
            hasattr(value, "__dict__") and not isinstance(value, type) and self._ours(type(value).__module__)
        )

    def _function(self, path: str, function: AnyValue) -> None:
        for default in getattr(function, "__defaults__", None) or ():
            self._value(f"a default of {path}", default)
        for default in (getattr(function, "__kwdefaults__", None) or {}).values():
            self._value(f"a default of {path}", default)
        code: CodeType | None = getattr(function, "__code__", None)
        names = code.co_freevars if code is not None else ()
        for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=False):
            try:
                held = cell.cell_contents
            except ValueError:
                continue
            if isinstance(held, _PLAIN):
                self._undo.append(partial(setattr, cell, "cell_contents", held))
            self._value(name, held)

    def _value(self, path: str, value: AnyValue, depth: int = 0) -> None:
        if id(value) in self._seen or depth > _DEEPEST:
            return
        if isinstance(value, _CONTAINERS):
            if len(value) > _TOO_MANY:
                return
            self._remember(value)
            self._containers.append((path, value))
            saved = value.copy()
            self._undo.append(lambda: _refill(value, saved))
            for item in _items(value):
                self._value(path, item, depth + 1)
        elif isinstance(value, FunctionType):
            self._remember(value)
            self._function(path, value)
        elif isinstance(value, sqlite3.Connection):
            self._remember(value)
            self._database(value)
        elif self._is_our_object(value) or isinstance(value, betterproto.Message):
            self._remember(value)
            attributes = dict(vars(value))
            self._undo.append(lambda: _refill(vars(value), attributes))
            for name, held in attributes.items():
                self._value(f"{path}.{name}", held, depth + 1)

    def _database(self, connection: sqlite3.Connection) -> None:
        try:
            with contextlib.closing(sqlite3.connect(":memory:")) as copy:
                connection.backup(copy)
                saved = copy.serialize()
        except sqlite3.Error:  # another thread's, closed, or in the middle of something
            return
        self._undo.append(lambda: _refill_database(connection, saved))

    def _remember(self, value: AnyValue) -> None:
        self._seen.add(id(value))
        self._keep.append(value)


def _has_message(item: AnyValue) -> bool:
    parts = item if isinstance(item, tuple) else (item,)
    return any(isinstance(part, betterproto.Message) for part in parts)


def _items(container: AnyValue) -> list[AnyValue]:
    if isinstance(container, dict):
        return list(container.values())
    return [] if isinstance(container, bytearray) else list(container)


def _put_back(owner: AnyValue, name: str, held: AnyValue) -> None:
    if vars(owner).get(name) is not held:
        setattr(owner, name, held)


def _refill(container: AnyValue, saved: AnyValue) -> None:
    container.clear()
    if isinstance(container, dict | set):
        container.update(saved)
    else:
        container.extend(saved)


def _refill_database(connection: sqlite3.Connection, saved: bytes) -> None:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(":memory:")) as copy:
        copy.deserialize(saved)
        connection.rollback()
        copy.backup(connection)
