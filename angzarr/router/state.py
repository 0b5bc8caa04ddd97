"""State is a fold over events: snapshots are shortcuts that give the same answer."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import betterproto

from angzarr.error_codes import codes, keys, messages
from angzarr.errors import BuildError
from angzarr.messages import Any as PackedAny
from angzarr.messages import (
    EventBook,
    EventPage,
    Snapshot,
    any_of,
    full_name,
    has_field,
    type_matches,
    type_name_from_url,
)
from angzarr.router import decorators as marks
from angzarr.router.calls import Method
from angzarr.router.faults import decode_payload, note, type_mismatch, wrong_return
from angzarr.router.raw.shapes import Shapes
from angzarr.router.raw.unread import UnreadPages
from angzarr.router.registry import Compiled, compile_handler

__all__ = ["Fold", "rebuild"]


class Fold:
    """How the state of one handler class follows from events.

    Args:
        handler: the compiled class; a command handler or a process manager.

    Attributes:
        appliers: the applier of each event, by full name.
        shapes: the forms of pages met in raw histories.
    """

    def __init__(self, handler: Compiled) -> None:
        state_type = handler.info.state_type
        assert state_type is not None
        self.state_type: type = state_type
        self.appliers: Mapping[str, Method] = handler.appliers
        self.shapes: Shapes = Shapes(handler.appliers)
        self._factory = handler.state_factory
        self.is_message: bool = isinstance(state_type, type) and issubclass(state_type, betterproto.Message)

    def fresh(self, instance: Any) -> Any:
        """The state before the first event: from ``@state_factory``, else the state class's constructor."""
        if self._factory is None:
            return self.state_type()
        return getattr(instance, self._factory.name)()

    def over(self, instance: Any, book: EventBook | None) -> Any:
        """The state after a book: its snapshot, then the pages above it.

        Raises:
            DispatchError: ANY_TYPE_MISMATCH, the snapshot is of another type; ANY_DECODE_FAILED, the snapshot or an
                event that has an applier cannot be decoded.
        """
        if book is None:
            return self.fresh(instance)
        pages = book.pages
        data = pages.encoded() if isinstance(pages, UnreadPages) else None
        if data is None:
            return self._over_messages(instance, book)
        from angzarr.router.raw.pages import fold_pages

        try:
            return fold_pages(data, 0, len(data), self, instance, *self._begin(instance, book))[0]
        except Exception:
            # Something is wrong; the fold over messages says best what.
            return self._over_messages(instance, book)

    def _over_messages(self, instance: Any, book: EventBook) -> Any:
        state, floor = self._begin(instance, book)
        for page in book.pages:
            payload = any_of(page)
            if payload is not None and not _at_or_below(page, floor):
                state = self.apply(instance, state, payload.type_url, payload.value)
        return state

    def _begin(self, instance: Any, book: EventBook) -> tuple[Any, int | None]:
        """The state before a book's pages, and the sequence it covers."""
        snapshot = snapshot_of(book)
        if snapshot is None:
            return self.fresh(instance), None
        return self.from_snapshot(snapshot.state), snapshot.sequence

    def from_snapshot(self, packed: PackedAny) -> Any:
        """The state a snapshot holds.

        Raises:
            DispatchError: ANY_TYPE_MISMATCH, it is of another type; ANY_DECODE_FAILED, it cannot be decoded.
        """
        if not self.is_message:
            raise type_mismatch(packed.type_url, self.state_type.__name__)
        if not type_matches(packed, self.state_type):
            raise type_mismatch(packed.type_url, full_name(self.state_type))
        return decode_payload(self.state_type, packed.type_url, packed.value)

    def apply(self, instance: Any, state: Any, type_url: str, value: bytes) -> Any:
        """The state after one more event; the same state when the event has no applier.

        Raises:
            DispatchError: ANY_DECODE_FAILED, the event has an applier but cannot be decoded;
                HANDLER_WRONG_RESPONSE_KIND, the applier returned something that is not the state.
        """
        method = self.appliers.get(type_name_from_url(type_url))
        if method is None or method.message is None:
            return state
        event = decode_payload(method.message, type_url, value)
        try:
            result = self.bound(method, instance)(state, event)
        except Exception as error:
            note_applier(error, method, type_url)
            raise
        return self.after(method, state, result)

    def bound(self, method: Method, instance: Any) -> Callable[[Any, Any], Any]:
        """The applier of an instance, as a function of state and event."""
        function: Callable[..., Any] = getattr(instance, method.name)
        if method.takes == 2:
            return function
        return lambda *given: function(*given[: method.takes])

    def after(self, method: Method, state: Any, result: Any) -> Any:
        """The state after an applier returned ``result``.

        Raises:
            DispatchError: HANDLER_WRONG_RESPONSE_KIND, it is neither None nor a state.
        """
        if result is None:
            return state
        if isinstance(result, (type(state), self.state_type)):
            return result
        raise wrong_return(method, result)


def note_applier(error: Exception, method: Method, type_url: str) -> None:
    """Note on what an applier raised which applier it was, and of which event."""
    note(error, f"raised by {method}, applying {type_name_from_url(type_url)}")


def snapshot_of(book: EventBook) -> Snapshot | None:
    """The book's snapshot, if it has one that holds a state."""
    if not has_field(book, "snapshot"):
        return None
    snapshot = book.snapshot
    if not has_field(snapshot, "state") or not (snapshot.state.type_url or snapshot.state.value):
        return None
    return snapshot


def _at_or_below(page: EventPage, floor: int | None) -> bool:
    if floor is None:
        return False
    sequence = explicit_sequence(page)
    return sequence is not None and sequence <= floor


def explicit_sequence(page: EventPage) -> int | None:
    """The page's own sequence; None when it has none yet or a deferred one."""
    header = page.__dict__.get("header")
    sequence: int | None = None if header is None else header.__dict__.get("sequence")
    return sequence


def rebuild(handler_class: type, book: EventBook, *, factory: Callable[[], Any] | None = None) -> Any:
    """The state a command handler or process manager has after a book of events.

    Args:
        handler_class: the decorated class.
        book: its events, with or without a snapshot.
        factory: makes the instance whose appliers are called; by default the class without arguments.

    Raises:
        BuildError: HANDLER_UNKNOWN_KIND, the class is neither a command handler nor a process manager.
        DispatchError: ANY_TYPE_MISMATCH or ANY_DECODE_FAILED, as in dispatch.
        TypeError: the class needs arguments and no factory was given, or the factory is async.
    """
    kind = getattr(handler_class, marks.KIND, marks.UNDECORATED)
    if kind not in {"command_handler", "process_manager"}:
        raise BuildError(
            messages.HANDLER_UNKNOWN_KIND,
            code=codes.HANDLER_UNKNOWN_KIND,
            details={
                keys.HANDLER_CLASS: handler_class.__name__,
                keys.HANDLER_KIND: kind,
                keys.EXPECTED: "command_handler or process_manager",
            },
        )
    instance = (factory or handler_class)()
    if hasattr(type(instance), "__await__"):
        close = getattr(instance, "close", None)
        if close is not None:
            close()
        raise TypeError("rebuild is synchronous: pass a factory that returns the handler itself")
    return Fold(compile_handler(handler_class)).over(instance, book)


def inline_events(pages: Iterable[EventPage]) -> Iterator[PackedAny]:
    """The inline events of some pages; the others are skipped."""
    for page in pages:
        payload = any_of(page)
        if payload is not None:
            yield payload
