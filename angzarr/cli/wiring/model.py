"""What each handler method takes and gives, read from decorators, annotations and source."""

import ast
import inspect
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import betterproto

from angzarr.app import App
from angzarr.errors import UnregisteredMessageError
from angzarr.messages import full_name
from angzarr.router import HandlerInfo
from angzarr.router import decorators as marks

_CONTAINERS = {"EventBook", "CommandBook", "BusinessResponse", "Notification", "RevocationResponse"}


@dataclass(frozen=True, slots=True)
class Sent:
    """A command that a method sends, as far as its source says.

    Attributes:
        domain: the target, or None where the source does not name it.
        command: full name of the message.
    """

    domain: str | None
    command: str


@dataclass(frozen=True, slots=True)
class Step:
    """One handler method.

    Attributes:
        info: its class.
        name: the method's name.
        mark: which decorator it has, one of ``angzarr.router.decorators``.
        takes: full names of the messages it is for.
        emits: full names of the events it may return, from its return annotation.
        is_annotated: whether the annotation says what it returns.
        sends: commands it sends, from its source.
    """

    info: HandlerInfo
    name: str
    mark: str
    takes: tuple[str, ...]
    emits: frozenset[str]
    is_annotated: bool
    sends: tuple[Sent, ...]

    @property
    def where(self) -> str:
        """The method, as people write it."""
        return f"{self.info.cls.__name__}.{self.name}"


@dataclass(frozen=True)
class Wiring:
    """An application as data.

    Attributes:
        handlers: every handler class.
        steps: every handler method.
    """

    handlers: tuple[HandlerInfo, ...]
    steps: tuple[Step, ...] = field(default_factory=tuple)

    def of_kind(self, *kinds: str) -> Iterator[HandlerInfo]:
        """The handler classes of some kinds."""
        return (info for info in self.handlers if info.kind in kinds)

    @property
    def command_domains(self) -> frozenset[str]:
        """Domains that some command handler serves."""
        return frozenset(info.domain for info in self.of_kind("command_handler"))

    @property
    def event_domains(self) -> frozenset[str]:
        """Domains that have events: those of command handlers and of process managers."""
        return self.command_domains | {info.pm_domain for info in self.of_kind("process_manager")}

    def handled(self, domain: str) -> frozenset[str]:
        """The commands of a domain."""
        return frozenset(
            name for info in self.of_kind("command_handler") if info.domain == domain for name in info.handles
        )

    def emitted(self, domain: str) -> tuple[frozenset[str], bool]:
        """The events that the handlers of a domain say they emit, and whether all of them say so."""
        steps = [
            step
            for step in self.steps
            if domain in (step.info.domain, step.info.pm_domain)
            and step.mark != marks.APPLIES
            and step.info.kind in ("command_handler", "process_manager")
        ]
        known = frozenset(name for step in steps for name in step.emits)
        return known, all(step.is_annotated for step in steps) and bool(steps)


def wiring_of(app: App) -> Wiring:
    """Read an application."""
    handlers = tuple(info for router in app.routers for info in router.handlers)
    return Wiring(handlers, tuple(step for info in handlers for step in _steps(info)))


def _steps(info: HandlerInfo) -> Iterator[Step]:
    seen: set[str] = set()
    for owner in info.cls.__mro__:
        for name, raw in vars(owner).items():
            function = getattr(raw, "__func__", raw)
            if name in seen or not inspect.isfunction(function):
                continue
            seen.add(name)
            for mark in (marks.HANDLES, marks.HANDLES_FACT, marks.REJECTED, marks.APPLIES):
                if hasattr(function, mark):
                    yield _step(info, name, mark, function)


def _step(info: HandlerInfo, name: str, mark: str, function: Callable[..., Any]) -> Step:
    value = getattr(function, mark)
    takes = (value[1],) if mark == marks.REJECTED else tuple(_names([value]))
    emits, annotated = _returned(function)
    return Step(info, name, mark, takes, emits, annotated, tuple(_sent(function)))


def _returned(function: Callable[..., Any]) -> tuple[frozenset[str], bool]:
    try:
        hint = typing.get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):
        return frozenset(), False
    if hint is None:
        return frozenset(), "return" in getattr(function, "__annotations__", {})
    found = list(_leaves(hint))
    messages = [leaf for leaf in found if isinstance(leaf, type) and issubclass(leaf, betterproto.Message)]
    events = [
        leaf for leaf in messages if leaf.__name__ not in _CONTAINERS and leaf is not betterproto.Message
    ]
    says_all = all(leaf is type(None) or leaf in events for leaf in found)
    return frozenset(_names(events)), says_all


def _leaves(hint: Any) -> Iterator[Any]:
    arguments = [part for part in typing.get_args(hint) if part is not Ellipsis]
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    if not arguments or not (is_union or typing.get_origin(hint) is not None):
        yield hint
    for argument in arguments:
        yield from _leaves(argument)


def _names(classes: Iterable[Any]) -> Iterator[str]:
    for cls in classes:
        try:
            yield full_name(cls)
        except UnregisteredMessageError:
            continue


def _sent(function: Callable[..., Any]) -> Iterator[Sent]:
    """Commands in calls such as ``destinations.command_for("domain", root, Command(...))``; no other way is seen."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return
    scope = {**getattr(function, "__globals__", {}), **inspect.getclosurevars(function).nonlocals}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "command_for":
            yield from _sent_by(call, scope)


def _sent_by(call: ast.Call, scope: dict[str, Any]) -> Iterator[Sent]:
    domain = _value(_argument(call, 0, "domain"), scope)
    message = _argument(call, 2, "message")
    if isinstance(message, ast.Call):
        for name in _names([_value(message.func, scope)]):
            yield Sent(domain if isinstance(domain, str) else None, name)


def _argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    if position < len(call.args):
        return call.args[position]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _value(node: ast.AST | None, scope: dict[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return scope.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_value(node.value, scope), node.attr, None)
    return None
