"""What is known of a handler class: compiled from its decorators once, then only looked up."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import betterproto

from angzarr.messages import full_name
from angzarr.messages.names import framework_aliases
from angzarr.router import decorators as marks
from angzarr.router.calls import Method, describe

MessageClass: TypeAlias = type[betterproto.Message]
Factory: TypeAlias = tuple[type, Callable[[], Any]]
Table: TypeAlias = dict[str, tuple[Method, ...]]

_STANDARD: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("command_handler", marks.HANDLES): ("command", "state", "sequence"),
    ("command_handler", marks.HANDLES_FACT): ("event", "state"),
    ("command_handler", marks.REJECTED): ("notification", "state"),
    ("saga", marks.HANDLES): ("event", "destinations"),
    ("saga", marks.REJECTED): ("notification", "destinations"),
    ("process_manager", marks.HANDLES): ("event", "state", "destinations"),
    ("process_manager", marks.REJECTED): ("notification", "state", "destinations"),
    ("projector", marks.HANDLES): ("event",),
    ("upcaster", marks.UPCASTS): ("old",),
}
_OPTIONAL: Mapping[str, frozenset[str]] = {
    "command_handler": frozenset({"cover", "correlation_id"}),
    "saga": frozenset({"destinations", "source_cover", "source_seq", "cover", "correlation_id"}),
    "process_manager": frozenset({"destinations", "source_cover", "source_seq", "cover", "correlation_id"}),
    "projector": frozenset({"cover", "correlation_id", "speculative"}),
    "upcaster": frozenset(),
}


@dataclass(frozen=True, kw_only=True)
class HandlerInfo:
    """What a registered handler class declares, as data.

    Attributes:
        cls: the class.
        kind: ``"command_handler"``, ``"saga"``, ``"process_manager"``, ``"projector"`` or ``"upcaster"``.
        name: its name; for a command handler its domain.
        domain: domain of a command handler or upcaster; else ``""``.
        source: a saga's source domain; else ``""``.
        target: a saga's target domain; else ``""``.
        sources: domains a saga or process manager handles events of.
        targets: domains a saga or process manager sends commands to.
        sync_targets: those of ``targets`` it waits for.
        pm_domain: domain of a process manager's own events; else ``""``.
        domains: domains a projector handles events of.
        state_type: class of the state of a command handler or process manager; else None.
        handles: full name → class, of its ``@handles`` methods.
        facts: likewise, of its ``@handles_fact`` methods.
        applies: likewise, of its ``@applies`` methods.
        rejected: (domain, command) of its ``@rejected`` methods.
        upcasts: (old class, new class) of its ``@upcasts`` methods.
        snapshot_every: events between snapshots; None for never.
        supports_replay: whether a command handler offers Replay.
        sync: whether a saga waits for its target.
    """

    cls: type
    kind: str
    name: str
    domain: str = ""
    source: str = ""
    target: str = ""
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    sync_targets: tuple[str, ...] = ()
    pm_domain: str = ""
    domains: tuple[str, ...] = ()
    state_type: type | None = None
    handles: Mapping[str, MessageClass] = field(default_factory=dict)
    facts: Mapping[str, MessageClass] = field(default_factory=dict)
    applies: Mapping[str, MessageClass] = field(default_factory=dict)
    rejected: tuple[tuple[str, str], ...] = ()
    upcasts: tuple[tuple[MessageClass, MessageClass], ...] = ()
    snapshot_every: int | None = None
    supports_replay: bool = False
    sync: bool = False


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A handler class as the routers use it: every table keyed by each name a payload of the type may carry.

    Attributes:
        info: what the class declares.
        handles: name → its ``@handles`` methods.
        facts: name → its ``@handles_fact`` methods.
        rejected: (domain, command) → its ``@rejected`` methods.
        appliers: name → its ``@applies`` method.
        upcasts: name → its ``@upcasts`` method.
        state_factory: its ``@state_factory`` method, or None.
    """

    info: HandlerInfo
    handles: Table
    facts: Table
    rejected: Mapping[tuple[str, str], tuple[Method, ...]]
    appliers: Mapping[str, Method]
    upcasts: Mapping[str, Method]
    state_factory: Method | None


class Entry(NamedTuple):
    """A registered handler class as its router runs it.

    Attributes:
        compiled: what was compiled from the class.
        factory: makes the instances that are called.
    """

    compiled: Compiled
    factory: Callable[[], Any]


_compiled: WeakKeyDictionary[type, Compiled] = WeakKeyDictionary()


def compile_handler(cls: type) -> Compiled:
    """Compile a decorated class, once.

    Raises:
        BuildError: HANDLER_SIGNATURE, a method has a parameter that nobody gives.
        UnregisteredMessageError: UNREGISTERED_MESSAGE, a message class was never registered.
    """
    found = _compiled.get(cls)
    if found is None:
        found = _compiled[cls] = _compile(cls, getattr(cls, marks.KIND), getattr(cls, marks.META))
    return found


def _compile(cls: type, kind: str, meta: Mapping[str, Any]) -> Compiled:
    methods = list(_marked(cls))

    def described(mark: str) -> Iterator[tuple[Any, Method]]:
        standard = _STANDARD.get((kind, mark))
        for name, found, value in methods:
            if found == mark and standard is not None:
                of_type = mark in {marks.HANDLES, marks.HANDLES_FACT}
                message = value if of_type else value[0] if mark == marks.UPCASTS else None
                yield value, describe(cls, name, message, standard=standard, optional=_OPTIONAL[kind])

    handles = list(described(marks.HANDLES))
    facts = list(described(marks.HANDLES_FACT))
    rejected = list(described(marks.REJECTED))
    upcasts = list(described(marks.UPCASTS))
    appliers = _appliers(cls)
    info = HandlerInfo(
        cls=cls,
        kind=kind,
        name=meta.get("name") or meta.get("domain", ""),
        domain=meta.get("domain", ""),
        source=meta.get("source", ""),
        target=meta.get("target", ""),
        sources=tuple(meta.get("sources") or ((meta["source"],) if kind == "saga" else ())),
        targets=tuple(meta.get("targets") or ((meta["target"],) if kind == "saga" else ())),
        sync_targets=_sync_targets(kind, meta),
        pm_domain=meta.get("pm_domain", ""),
        domains=tuple(meta.get("domains", ())),
        state_type=meta.get("state"),
        handles={full_name(message): message for message, _ in handles},
        facts={full_name(message): message for message, _ in facts},
        applies={full_name(message): message for message in (m.message for m in appliers) if message},
        rejected=tuple(key for key, _ in rejected),
        upcasts=tuple(types for types, _ in upcasts),
        snapshot_every=meta.get("snapshot_every"),
        supports_replay=bool(meta.get("supports_replay")),
        sync=bool(meta.get("sync")),
    )
    return Compiled(
        info=info,
        handles=_by_name(handles),
        facts=_by_name(facts),
        rejected=_grouped(rejected),
        appliers=_applier_table(appliers),
        upcasts={name: methods[0] for name, methods in _by_name([(t[0], m) for t, m in upcasts]).items()},
        state_factory=_state_factory(cls, methods),
    )


def _sync_targets(kind: str, meta: Mapping[str, Any]) -> tuple[str, ...]:
    if kind == "saga":
        return (meta["target"],) if meta["sync"] else ()
    return tuple(meta.get("sync_targets", ()))


def _marked(cls: type) -> Iterator[tuple[str, str, Any]]:
    """(method name, mark, value) in definition order along the MRO; an override hides what it overrides."""
    seen: set[str] = set()
    for owner in cls.__mro__:
        for name in vars(owner):
            if name in seen:
                continue
            seen.add(name)
            raw = inspect.getattr_static(owner, name)
            function = getattr(raw, "__func__", raw)
            if not inspect.isroutine(function):
                continue
            for mark in marks.MARKS:
                for carrier in (raw, function):  # a decorator stands above @staticmethod, or below it
                    if hasattr(carrier, mark):
                        yield name, mark, getattr(carrier, mark)
                        break


def _appliers(cls: type) -> list[Method]:
    """One applier per event: a class's own before an inherited one, of two in one class the later."""
    chosen: dict[type, Method] = {}
    owners: dict[type, type] = {}
    for name, mark, event in _marked(cls):
        if mark != marks.APPLIES:
            continue
        owner = next(base for base in cls.__mro__ if name in vars(base))
        if owners.setdefault(event, owner) is owner:
            chosen[event] = describe(cls, name, event, standard=("state", "event"))
    return list(chosen.values())


def _state_factory(cls: type, methods: list[tuple[str, str, Any]]) -> Method | None:
    name = next((name for name, mark, _ in methods if mark == marks.STATE_FACTORY), None)
    return None if name is None else describe(cls, name, None, standard=())


def _by_name(methods: list[tuple[Any, Method]]) -> Table:
    table: Table = {}
    for message, method in methods:
        for alias in framework_aliases(full_name(message)):
            table[alias] = (*table.get(alias, ()), method)
    return table


def _applier_table(appliers: list[Method]) -> dict[str, Method]:
    """Appliers by name; NoOp pages only hold a place, so nothing is ever applied for them."""
    return {
        alias: method
        for method in appliers
        if method.message is not None and not full_name(method.message).endswith("angzarr.NoOp")
        for alias in framework_aliases(full_name(method.message))
    }


def _grouped(methods: list[tuple[Any, Method]]) -> dict[tuple[str, str], tuple[Method, ...]]:
    table: dict[tuple[str, str], tuple[Method, ...]] = {}
    for key, method in methods:
        table[key] = (*table.get(key, ()), method)
    return table
