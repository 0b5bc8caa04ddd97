"""One command book on its way through its handlers: what each has for a state, and what they have emitted."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import betterproto

from angzarr import codec
from angzarr.errors import CommandRejectedError, EncodeError
from angzarr.messages import (
    TYPE_URL_PREFIX,
    BusinessResponse,
    Snapshot,
    is_notification,
    pack,
)
from angzarr.router.calls import Method
from angzarr.router.emission import Emission
from angzarr.router.faults import explain, wrong_return
from angzarr.router.registry import Compiled, HandlerInfo
from angzarr.router.rejections import Answer, sort_answer
from angzarr.router.requests import CommandView, History
from angzarr.router.state import Fold


class Handler:
    """One registered command handler class: its tables, its fold and its factory."""

    def __init__(self, compiled: Compiled, factory: Any) -> None:
        self.compiled = compiled
        self.info: HandlerInfo = compiled.info
        self.factory = factory
        self.fold: Fold = Fold(compiled)
        self.makes_itself: bool = factory is compiled.info.cls


Route: TypeAlias = tuple[Handler, Method, type[betterproto.Message], bool]
"""Where a command goes, its class, and whether the method wants nothing but command, state and sequence."""
CommandTable: TypeAlias = dict[str, Route]


def command_tables(handlers: Sequence[Handler], *, in_thread: bool) -> dict[str, CommandTable]:
    """Domain → what a command may be called, with our prefix and bare → its handler. Notifications are no commands."""
    tables: dict[str, CommandTable] = {}
    for handler in handlers:
        table = tables.setdefault(handler.info.domain, {})
        for name, (method, *_) in handler.compiled.handles.items():
            if method.message is not None and not is_notification(name):
                plain = not (in_thread or method.asks or handler.info.snapshot_every)
                route = handler, method, method.message, plain
                table.setdefault(name, route)
                table.setdefault(TYPE_URL_PREFIX + name, route)
    return tables


class Session:
    """One command book in progress.

    Args:
        command: the book.
        history: the events before it.

    Attributes:
        last: the handler whose state was asked for last, and its instance.
        asked: the method that was called last, and the type URL of what it handled.
    """

    __slots__ = ("_emission", "_states", "asked", "command", "history", "last")

    def __init__(self, command: CommandView, history: History) -> None:
        self.command: CommandView = command
        self.history: History = history
        self.last: tuple[Handler, Any] | None = None
        self.asked: tuple[Method, str] | None = None
        self._emission: Emission | None = None
        self._states: dict[Handler, tuple[Any, int]] = {}

    @property
    def emission(self) -> Emission:
        """The events so far; made when first looked at, since a raw history knows its next sequence once folded."""
        if self._emission is None:
            self._emission = Emission(self.history.next_sequence)
        return self._emission

    def state(self, handler: Handler, instance: Any) -> Any:
        """The state after the history and the events so far."""
        self.last = (handler, instance)
        known = self._states.get(handler)
        state, applied = (self.history.fold(handler.fold, instance), 0) if known is None else known
        items = self.emission.items
        if len(items) > applied:
            state = self._applied(handler, instance, state, applied)
        self._states[handler] = (state, len(items))
        return state

    def _applied(self, handler: Handler, instance: Any, state: Any, start: int) -> Any:
        for type_url, value in self.emission.payloads(start):
            state = handler.fold.apply(instance, state, type_url, value)
        return state

    def extra(self, name: str) -> Any:
        """The value of an opt-in parameter."""
        return self.command.correlation_id if name == "correlation_id" else codec.clone(self.command.cover())

    def blame(self, error: EncodeError) -> None:
        """Note on what the answer could not be made for who was asked last."""
        if self.asked is not None:
            explain(error, *self.asked, self.command.cover())

    def snapshot(self) -> Snapshot | None:
        """A snapshot after the new events, when one is due and no handler made its own.

        It is folded from the events alone: what a handler did to the state it was given does not count.
        """
        if self.last is None:
            return None
        handler, instance = self.last
        every = handler.info.snapshot_every
        if every is None or self.emission.snapshot is not None or not self._is_due(every):
            return None
        state = self._applied(handler, instance, self.history.fold(handler.fold, instance), 0)
        return Snapshot(sequence=self.emission.next_sequence - 1, state=pack(state))

    def _is_due(self, every: int) -> bool:
        last = self.history.snapshot_sequence
        before = 0 if last is None else last + 1
        return bool(self.emission.items) and self.emission.next_sequence // every > before // every


def absorb(emission: Emission, method: Method, result: object, *, rejection: bool = False) -> Answer | None:
    """Take the events of what a handler returned; None when that was all, else the answer with its other arms.

    Raises:
        DispatchError: HANDLER_WRONG_RESPONSE_KIND, it is not what the method may return.
    """
    if emission.add_plain(result):
        return None
    answer = sort_answer(result)
    if not rejection and answer.result is None and not isinstance(result, BusinessResponse):
        raise wrong_return(method, result)
    emission.add(method, answer.result)
    for book in answer.books:
        emission.add_book(book)
    return answer


def response_of(answer: Answer | None) -> BusinessResponse | None:
    """The response of an answer that is not events; None for one that is."""
    if answer is None:
        return None
    if answer.revocation is not None:
        return BusinessResponse(revocation=answer.revocation)
    return None if answer.notification is None else BusinessResponse(notification=answer.notification)


def blame(error: BaseException, method: Method, type_url: str, command: CommandView) -> None:
    """Note on what was raised while a command was handled: on a rejection its cover, on others what was handled."""
    if not isinstance(error, CommandRejectedError):
        explain(error, method, type_url, command.cover())
    elif error.cover is None:
        error.cover = codec.clone(command.cover())


def only_events(emission: Emission, method: Method, result: object) -> None:
    """Take the events of what a fact's method returned.

    Raises:
        DispatchError: HANDLER_WRONG_RESPONSE_KIND, it is not events.
    """
    if response_of(absorb(emission, method, result)) is not None:
        raise wrong_return(method, result)
