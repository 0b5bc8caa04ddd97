"""Writing Python functions line by line, remembering which field each line is about."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from angzarr.codec.fields import Field

__all__ = ["Source", "linked"]


class Source:
    """Source text of one function in the making, and the names it refers to."""

    def __init__(self, name: str, names: dict[str, Any]) -> None:
        self.name = name
        self.names = names
        self.fields: list[Field | None] = [None]
        """For each line, counted from 1, the field it is about."""
        self._lines: list[str] = []
        self._indent = 0
        self._field: Field | None = None

    def __call__(self, *lines: str) -> None:
        """Append lines at the present indentation."""
        for line in lines:
            self._lines.append(" " * self._indent + line)
            self.fields.append(self._field)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Append a compound statement; what is appended inside is its body."""
        self(head)
        self._indent += 1
        yield
        self._indent -= 1

    @contextmanager
    def about(self, field: Field) -> Iterator[None]:
        """Lines appended inside belong to ``field``."""
        self._field = field
        yield
        self._field = None

    @property
    def text(self) -> str:
        """The source text so far."""
        return "\n".join(self._lines) + "\n"

    def compile(self, origin: str) -> Callable[..., Any]:
        """Compile and return the function; ``origin`` stands in tracebacks in place of a file name."""
        code = compile(self.text, f"<angzarr.codec {origin}>", "exec")
        exec(code, self.names)
        function: Callable[..., Any] = self.names[self.name]
        return function


def linked(names: dict[str, Any], name: str, resolve: Callable[[], Callable[..., Any]]) -> None:
    """Put a function under ``name`` that replaces itself by what ``resolve`` gives when first called.

    So the functions of one class need those of another only when a value of it turns up, which is what
    makes recursive messages possible and keeps unused classes uncompiled.
    """

    def first(*args: Any) -> Any:
        function = resolve()
        names[name] = function
        return function(*args)

    names[name] = first
