"""What the five runtime routers have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeVar

import betterproto
from grpclib.const import Handler

from angzarr import codec
from angzarr.router.calls import Extras, Method, instance_of, invoke
from angzarr.router.registry import Entry, Factory, HandlerInfo, compile_handler

T = TypeVar("T")


class BuiltRouter(ABC):
    """A compiled table of handlers; ``Router(...).build()`` makes them.

    Args:
        factories: (handler class, factory) pairs, all of one kind.
        run_sync_handlers_in_thread: run synchronous handler methods in worker threads.
        expose_internal_errors: let the text of unexpected exceptions reach the caller.

    Attributes:
        factories: those pairs.
        entries: each registered class as it was compiled, with its factory, in the order of registration; ``handlers``
            is the data of it alone.
    """

    kind: ClassVar[str]
    request_type: ClassVar[type[betterproto.Message]]

    def __init__(
        self,
        factories: Sequence[Factory],
        *,
        run_sync_handlers_in_thread: bool = False,
        expose_internal_errors: bool = False,
    ) -> None:
        self.factories: tuple[Factory, ...] = tuple(factories)
        self.entries: tuple[Entry, ...] = tuple(
            Entry(compile_handler(cls), factory) for cls, factory in factories
        )
        self._options: dict[str, Any] = {
            "run_sync_handlers_in_thread": run_sync_handlers_in_thread,
            "expose_internal_errors": expose_internal_errors,
        }
        self._in_thread = run_sync_handlers_in_thread
        self.expose_internal_errors = expose_internal_errors

    @property
    def name(self) -> str:
        """Name of the first handler; for command handlers its domain."""
        return self.entries[0][0].info.name if self.entries else ""

    @property
    def handlers(self) -> tuple[HandlerInfo, ...]:
        """What each registered class declares, in the order of registration."""
        return tuple(handler.info for handler, _ in self.entries)

    def handler_count(self) -> int:
        """How many classes are registered."""
        return len(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __bool__(self) -> bool:
        return True

    def output_domains(self) -> list[str]:
        """Domains that commands are sent to, each once, in the order of registration."""
        return _distinct(domain for info in self.handlers for domain in info.targets)

    def sync_output_domains(self) -> list[str]:
        """Those of them that some handler waits for."""
        return _distinct(domain for info in self.handlers for domain in info.sync_targets)

    def has_async_outputs(self) -> bool:
        """Whether some handler sends commands that it does not wait for."""
        return any(set(info.targets) - set(info.sync_targets) for info in self.handlers)

    def only(self, name: str) -> Self:
        """A router of the handlers of one name alone, with the same options.

        Raises:
            LookupError: no handler has that name.
        """
        chosen = [
            factory for factory, info in zip(self.factories, self.handlers, strict=True) if info.name == name
        ]
        if not chosen:
            raise LookupError(f"no handler named {name!r}; there are {[info.name for info in self.handlers]}")
        return type(self)(chosen, **self._options)

    def joined(self, *others: Self) -> Self:
        """One router of the handlers of several routers of this kind, in their order.

        Raises:
            ValueError: their options differ, so that no one router could stand for them.
        """
        if any(other._options != self._options for other in others):
            raise ValueError(
                f"routers {[router.name for router in (self, *others)]} have different options; give them the same"
            )
        factories = [factory for router in (self, *others) for factory in router.factories]
        return type(self)(factories, **self._options)

    def __mapping__(self) -> Mapping[str, Handler]:
        """grpclib's table of the router's service, so that a grpclib server serves the router as it is."""
        from angzarr.router.grpc import adapter_of

        return adapter_of(self).__mapping__()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self)} handlers)"

    @abstractmethod
    async def dispatch(self, request: Any) -> Any:
        """Dispatch a request of the router's kind; see the class of that kind."""

    async def dispatch_bytes(self, data: bytes) -> bytes:
        """``dispatch`` from the request's bytes to the answer's.

        Args:
            data: the encoded request of the kind's main RPC.

        Raises:
            DecodeError: ``data`` is not an encoding of the request; else as ``dispatch``.
        """
        return codec.encode(await self.dispatch(codec.decode(self.request_type, data)))

    async def _instance(self, factory: Any) -> Any:
        return await instance_of(factory)

    async def _call(self, method: Method, instance: Any, standard: tuple[Any, ...], extras: Extras) -> Any:
        return await invoke(method, instance, standard, extras, in_thread=self._in_thread)


def _distinct(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
