"""Declaring handlers: decorators that only mark classes and methods, for ``Router(...).build()`` to compile.

A class gets ``__angzarr_kind__`` and ``__angzarr_meta__``, a method one of the ``MARKS``. Nothing is wrapped.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar, cast, overload

import betterproto

__all__ = [
    "applies",
    "command_handler",
    "handles",
    "handles_fact",
    "process_manager",
    "projector",
    "rejected",
    "saga",
    "state_factory",
    "upcaster",
    "upcasts",
]

KIND: Final = "__angzarr_kind__"
META: Final = "__angzarr_meta__"
HANDLES: Final = "__angzarr_handles__"
HANDLES_FACT: Final = "__angzarr_handles_fact__"
APPLIES: Final = "__angzarr_applies__"
REJECTED: Final = "__angzarr_rejected__"
STATE_FACTORY: Final = "__angzarr_state_factory__"
UPCASTS: Final = "__angzarr_upcasts__"
MARKS: Final = (HANDLES, HANDLES_FACT, APPLIES, REJECTED, STATE_FACTORY, UPCASTS)

UNDECORATED: Final = "<undecorated>"
"""What errors call the kind of a class that has none."""

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])
H = TypeVar("H")
M = TypeVar("M", bound=betterproto.Message)
N = TypeVar("N", bound=betterproto.Message)
P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


class HandlesDecorator(Protocol[M]):
    """What ``handles(MessageType)`` returns: accepts ``(self, message, ...)``, static and class methods too."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # what fits both is returned as it is by both
        self, method: Callable[Concatenate[H, M, P], R]
    ) -> Callable[Concatenate[H, M, P], R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, method: Callable[Concatenate[M, P], R]
    ) -> Callable[Concatenate[M, P], R]: ...
    @overload
    def __call__(
        self, method: "staticmethod[Concatenate[M, P], R]"
    ) -> "staticmethod[Concatenate[M, P], R]": ...
    @overload
    def __call__(
        self, method: "classmethod[H, Concatenate[M, P], R]"
    ) -> "classmethod[H, Concatenate[M, P], R]": ...
    @overload  # methods with ``**``, for which ``Concatenate[..., P]`` is too strict
    def __call__(
        self, method: Callable[Concatenate[H, M, ...], R]
    ) -> Callable[Concatenate[H, M, ...], R]: ...


class AppliesDecorator(Protocol[M]):
    """What ``applies(EventType)`` returns: accepts ``(self, state, event)``, and ``(self, state)`` too."""

    @overload
    def __call__(
        self, method: Callable[Concatenate[H, S, M, P], R]
    ) -> Callable[Concatenate[H, S, M, P], R]: ...
    @overload
    def __call__(self, method: Callable[[H, S], R]) -> Callable[[H, S], R]: ...


def command_handler(
    *, domain: str, state: type, supports_replay: bool = False, snapshot_every: int | None = None
) -> Callable[[C], C]:
    """Mark a class as the command handler (aggregate) of a domain.

    Args:
        domain: the aggregate's domain.
        state: class of the aggregate's state: a dataclass, any class with a no-argument constructor, or a message.
        supports_replay: offer the Replay RPC, by which coordinators merge concurrent commands. The state must be a
            message.
        snapshot_every: add a snapshot to the answer each time the number of events passes a multiple of this. The
            state must be a message. Off by default.

    Raises:
        TypeError: the class, or a base of it, is decorated already.
        ValueError: ``snapshot_every`` is not a positive integer.
    """
    if snapshot_every is not None and (
        isinstance(snapshot_every, bool) or not isinstance(snapshot_every, int) or snapshot_every < 1
    ):
        raise ValueError(f"snapshot_every must be a positive number of events, got {snapshot_every!r}")
    meta: dict[str, Any] = {"domain": domain, "state": state, "supports_replay": supports_replay}
    return _mark_class(
        "command_handler", meta if snapshot_every is None else {**meta, "snapshot_every": snapshot_every}
    )


def saga(*, name: str, source: str, target: str, sync: bool = False) -> Callable[[C], C]:
    """Mark a class as a saga, which translates events of one domain into commands for another.

    Args:
        name: the saga's name.
        source: domain whose events it handles.
        target: domain it sends commands to.
        sync: whether it waits for the target, so that readiness depends on the target's coordinator.

    Raises:
        TypeError: the class, or a base of it, is decorated already.
    """
    return _mark_class("saga", {"name": name, "source": source, "target": target, "sync": sync})


def process_manager(
    *,
    name: str,
    pm_domain: str,
    sources: list[str],
    targets: list[str],
    state: type,
    sync_targets: Sequence[str] | None = None,
) -> Callable[[C], C]:
    """Mark a class as a process manager, which keeps state about a process over several domains.

    Args:
        name: the process manager's name.
        pm_domain: domain its own events are stored in.
        sources: domains whose events it handles.
        targets: domains it sends commands to.
        state: class of its state, as for ``command_handler``.
        sync_targets: those of ``targets`` it waits for.

    Raises:
        ValueError: ``sync_targets`` names a domain that is not in ``targets``.
        TypeError: the class, or a base of it, is decorated already.
    """
    waits_for = list(sync_targets or [])
    strangers = [domain for domain in waits_for if domain not in targets]
    if strangers:
        raise ValueError(f"process manager {name!r}: sync_targets {strangers} not in targets {targets}")
    return _mark_class(
        "process_manager",
        {
            "name": name,
            "pm_domain": pm_domain,
            "sources": sources,
            "targets": targets,
            "state": state,
            "sync_targets": waits_for,
        },
    )


def projector(*, name: str, domains: list[str]) -> Callable[[C], C]:
    """Mark a class as a projector, which writes what events say into a view.

    Args:
        name: the projector's name.
        domains: domains whose events it handles; ``["*"]`` for all.

    Raises:
        TypeError: the class, or a base of it, is decorated already.
    """
    return _mark_class("projector", {"name": name, "domains": domains})


def upcaster(*, name: str, domain: str) -> Callable[[C], C]:
    """Mark a class as an upcaster, which turns a domain's old events into the current ones on reading.

    Args:
        name: the upcaster's name.
        domain: the domain of the events.

    Raises:
        TypeError: the class, or a base of it, is decorated already.
    """
    return _mark_class("upcaster", {"name": name, "domain": domain})


def handles(message_type: type[M]) -> HandlesDecorator[M]:
    """Register a method for a command (command handlers) or an event (sagas, process managers, projectors).

    Trailing parameters may be left out; see ``angzarr.router`` for what each kind of handler is given.

    Args:
        message_type: class of the command or event.

    Raises:
        TypeError: the method carries a decorator of this family already.
    """
    mark: Any = _mark_method(HANDLES, _message_type("handles", message_type))
    return cast("HandlesDecorator[M]", mark)


def handles_fact(event_type: type[M]) -> HandlesDecorator[M]:
    """Register a command handler's method ``(self, event, state)`` for a fact: an event that cannot be refused.

    Args:
        event_type: class of the fact.

    Raises:
        TypeError: the method carries a decorator of this family already.
    """
    mark: Any = _mark_method(HANDLES_FACT, _message_type("handles_fact", event_type))
    return cast("HandlesDecorator[M]", mark)


def applies(event_type: type[M]) -> AppliesDecorator[M]:
    """Register a method ``(self, state, event)`` that carries an event into the state.

    Appliers are synchronous and pure: same state and event, same result. They change the state they are given, or
    return a new one.

    Args:
        event_type: class of the event.

    Raises:
        TypeError: the method is ``async def``, or carries a decorator of this family already.
    """
    return _mark_method(APPLIES, _message_type("applies", event_type), sync_only=True)  # type: ignore[return-value]


def rejected(source_domain: str, command: str) -> Callable[[F], F]:
    """Register a method for the refusal of a command that this component caused.

    Signatures: command handler ``(self, notification, state)``, saga ``(self, notification)``, process manager
    ``(self, notification, state)``.

    Args:
        source_domain: domain that refused.
        command: the refused command's name without its package, such as ``"ReserveStock"``.

    Raises:
        TypeError: the method carries a decorator of this family already.
    """
    return _mark_method(REJECTED, (source_domain, command))


def state_factory(fn: F) -> F:
    """Let a method ``(self)`` make the fresh state, in place of the state class's constructor. Used bare.

    Raises:
        TypeError: the method is ``async def``, or carries a decorator of this family already.
    """
    mark: Callable[[F], F] = _mark_method(STATE_FACTORY, True, sync_only=True)
    return mark(fn)


def upcasts(from_type: type[M], to_type: type[N]) -> HandlesDecorator[M]:
    """Register an upcaster's method ``(self, old)`` that returns the new form of an old event.

    Args:
        from_type: class of the old event.
        to_type: class of the new one; the event is packed under the class the method actually returns.

    Raises:
        TypeError: the method carries a decorator of this family already.
    """
    types = _message_type("upcasts", from_type), _message_type("upcasts", to_type)
    mark: Any = _mark_method(UPCASTS, types)
    return cast("HandlesDecorator[M]", mark)


def _message_type(decorator: str, given: Any) -> Any:
    if not isinstance(given, type):
        raise TypeError(f"@{decorator} takes a message class, as in @{decorator}(MessageType); got {given!r}")
    return given


def _mark_class(kind: str, meta: Mapping[str, Any]) -> Callable[[C], C]:
    def mark(cls: C) -> C:
        present = getattr(cls, KIND, None)
        if present is not None:
            raise TypeError(f"{cls.__name__} is a {present} already, by its own decorator or a base's")
        setattr(cls, KIND, kind)
        setattr(cls, META, dict(meta))
        return cls

    return mark


def _mark_method(mark_name: str, value: object, *, sync_only: bool = False) -> Callable[[F], F]:
    def mark(method: F) -> F:
        name = getattr(method, "__qualname__", repr(method))
        present = next((other for other in MARKS if hasattr(method, other)), None)
        if present is not None:
            raise TypeError(
                f"{name} carries @{present.strip('_').removeprefix('angzarr_')} already; a method has one role"
            )
        if sync_only and inspect.iscoroutinefunction(method):
            raise TypeError(
                f"{name} must not be async: appliers and state factories are synchronous and pure"
            )
        setattr(method, mark_name, value)
        return method

    return mark
