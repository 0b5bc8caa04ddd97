"""``Router``: collects handler classes, checks them, and builds the runtime router of their kind."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import betterproto

from angzarr.error_codes import codes, keys, messages
from angzarr.errors import BuildError
from angzarr.messages import full_type_url_for
from angzarr.router import decorators as marks
from angzarr.router.command_handler import CommandHandlerRouter
from angzarr.router.kinds import AnyRouter, RouterOfSomeKind
from angzarr.router.process_manager import ProcessManagerRouter
from angzarr.router.projector import ProjectorRouter
from angzarr.router.registry import Factory, compile_handler
from angzarr.router.saga import SagaRouter
from angzarr.router.upcaster import UpcasterRouter

_ROUTERS: Mapping[str, type[AnyRouter]] = {
    router.kind: router
    for router in (CommandHandlerRouter, SagaRouter, ProcessManagerRouter, ProjectorRouter, UpcasterRouter)
}
_TEXT, _LIST, _STATE = "text", "list", "state"
_FIELDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "command_handler": (("domain", _TEXT), ("state", _STATE)),
    "saga": (("name", _TEXT), ("source", _TEXT), ("target", _TEXT)),
    "process_manager": (
        ("name", _TEXT),
        ("pm_domain", _TEXT),
        ("sources", _LIST),
        ("targets", _LIST),
        ("state", _STATE),
    ),
    "projector": (("name", _TEXT), ("domains", _LIST)),
    "upcaster": (("name", _TEXT), ("domain", _TEXT)),
}


class Router:
    """Collects handler classes of one kind and builds their runtime router.

    ::

        players = Router("players").with_handler(Players, lambda: Players(db)).build()

    Args:
        name: the router's name in error details.
        run_sync_handlers_in_thread: run synchronous handler methods in worker threads, so that a slow one cannot stall
            the event loop. They run one thread a call, and must be thread-safe.
        expose_internal_errors: let the text of unexpected exceptions reach the caller; for development.
        state_cache: bytes of history to keep with the states they gave, so that a longer history of the same aggregate
            continues from there; None for off. Command handlers only; appliers must be pure and states copyable.

    Raises:
        ValueError: ``state_cache`` is not a positive number of bytes.
    """

    def __init__(
        self,
        name: str,
        *,
        run_sync_handlers_in_thread: bool = False,
        expose_internal_errors: bool = False,
        state_cache: int | None = None,
    ) -> None:
        if state_cache is not None and state_cache <= 0:
            raise ValueError(f"state_cache must be a positive number of bytes or None, got {state_cache}")
        self.name = name
        self._factories: list[Factory] = []
        self._state_cache = state_cache
        self._options: dict[str, Any] = {
            "run_sync_handlers_in_thread": run_sync_handlers_in_thread,
            "expose_internal_errors": expose_internal_errors,
        }

    def with_handler(self, cls: type, factory: Callable[[], Any]) -> "Router":
        """Register a decorated class.

        Args:
            cls: the class.
            factory: makes an instance, or an awaitable of one; called for each request that the class handles. The
                class itself will do when it needs no arguments.

        Returns:
            This router, for chaining.

        Raises:
            BuildError: HANDLER_UNKNOWN_KIND, the class is not decorated.
        """
        if getattr(cls, marks.KIND, None) is None:
            raise _unknown_kind(cls, marks.UNDECORATED)
        self._factories.append((cls, factory))
        return self

    def build(self) -> "RouterOfSomeKind":
        """Check everything, and compile the runtime router of the handlers' kind.

        Factories of command handlers are called once each, and what they give is dropped, so that one that cannot work
        fails here and not on the first command. What an async factory returns is closed unawaited.

        Returns:
            A CommandHandlerRouter, SagaRouter, ProcessManagerRouter, ProjectorRouter or UpcasterRouter. Type checkers,
            which a class decorator cannot tell the kind, take it for whichever of them the place asks for.

        Raises:
            BuildError: ROUTER_NO_HANDLERS; MIXED_HANDLER_KINDS; HANDLER_UNKNOWN_KIND; HANDLER_FIELD_EMPTY_STRING,
                HANDLER_FIELD_EMPTY_LIST, HANDLER_STATE_NOT_TYPE, HANDLER_STATE_NOT_MESSAGE, HANDLER_SIGNATURE: a
                decorator's argument or a method's signature; DUPLICATE_COMMAND_HANDLER; HANDLER_STATE_CONFLICT.
            UnregisteredMessageError: UNREGISTERED_MESSAGE, a decorator names a class whose protobuf name is not known.
        """
        kind = self._kind()
        for cls, _ in self._factories:
            _check_fields(cls, kind)
        for cls, _ in self._factories:
            compile_handler(cls)
        if kind == CommandHandlerRouter.kind:
            self._check_commands()
            self._check_snapshots()
            built: AnyRouter = CommandHandlerRouter(
                self._factories, state_cache=self._state_cache, **self._options
            )
        else:
            built = _ROUTERS[kind](self._factories, **self._options)
        return cast("RouterOfSomeKind", built)

    def _kind(self) -> str:
        kinds = sorted({getattr(cls, marks.KIND) for cls, _ in self._factories})
        if not kinds:
            raise BuildError(
                messages.ROUTER_NO_HANDLERS,
                code=codes.ROUTER_NO_HANDLERS,
                details={keys.ROUTER_NAME: self.name},
            )
        if len(kinds) > 1:
            raise BuildError(
                messages.MIXED_HANDLER_KINDS,
                code=codes.MIXED_HANDLER_KINDS,
                details={
                    keys.HANDLER_KIND: kinds[0],
                    keys.OTHER_KIND: kinds[1],
                    keys.ROUTER_NAME: self.name,
                },
            )
        if kinds[0] not in _ROUTERS:
            raise _unknown_kind(self._factories[0][0], kinds[0])
        return str(kinds[0])

    def _check_commands(self) -> None:
        seen: set[tuple[str, str]] = set()
        for cls, factory in self._factories:
            _try(cls, factory)
            handler = compile_handler(cls)
            for methods in dict.fromkeys(handler.handles.values()):
                for method in methods:
                    assert method.message is not None
                    key = (handler.info.domain, full_type_url_for(method.message))
                    if key in seen:
                        raise self._duplicate(*key)
                    seen.add(key)

    def _check_snapshots(self) -> None:
        """A snapshot is one state for the whole domain: every handler of the domain starts from it."""
        infos = [compile_handler(cls).info for cls, _ in self._factories]
        for info in infos:
            others = (other for other in infos if other.domain == info.domain)
            if info.snapshot_every and any(other.state_type is not info.state_type for other in others):
                raise _field(info.cls, "state", codes.HANDLER_STATE_CONFLICT, messages.HANDLER_STATE_CONFLICT)

    def _duplicate(self, domain: str, type_url: str) -> BuildError:
        return BuildError(
            messages.DUPLICATE_COMMAND_HANDLER,
            code=codes.DUPLICATE_COMMAND_HANDLER,
            details={keys.DOMAIN: domain, keys.TYPE_URL: type_url, keys.ROUTER_NAME: self.name},
        )


def _try(cls: type, factory: Callable[[], Any]) -> None:
    try:
        made = factory()
    except Exception as error:
        error.add_note(f"raised by the factory of {cls.__name__}, which build() calls once")
        raise
    close = getattr(made, "close", None)
    if hasattr(type(made), "__await__") and close is not None:
        close()


def _check_fields(cls: type, kind: str) -> None:
    meta = getattr(cls, marks.META)
    for name, sort in _FIELDS[kind]:
        value = meta.get(name)
        if sort == _TEXT and not (isinstance(value, str) and value):
            raise _field(cls, name, codes.HANDLER_FIELD_EMPTY_STRING, messages.HANDLER_FIELD_EMPTY_STRING)
        if sort == _LIST and not (isinstance(value, list) and value):
            raise _field(cls, name, codes.HANDLER_FIELD_EMPTY_LIST, messages.HANDLER_FIELD_EMPTY_LIST)
        if sort == _STATE and not isinstance(value, type):
            raise _field(cls, name, codes.HANDLER_STATE_NOT_TYPE, messages.HANDLER_STATE_NOT_TYPE)
    if meta.get("snapshot_every") and not issubclass(meta["state"], betterproto.Message):
        raise _field(cls, "state", codes.HANDLER_STATE_NOT_MESSAGE, messages.HANDLER_STATE_NOT_MESSAGE)


def _field(cls: type, name: str, code: str, text: str) -> BuildError:
    return BuildError(text, code=code, details={keys.HANDLER_CLASS: cls.__name__, keys.FIELD: name})


def _unknown_kind(cls: type, kind: str) -> BuildError:
    return BuildError(
        messages.HANDLER_UNKNOWN_KIND,
        code=codes.HANDLER_UNKNOWN_KIND,
        details={keys.HANDLER_CLASS: getattr(cls, "__name__", repr(cls)), keys.HANDLER_KIND: kind},
    )
