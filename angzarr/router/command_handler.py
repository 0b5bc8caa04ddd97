"""Commands in, events out: the router of command handlers."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import betterproto
from grpclib.const import Status

from angzarr import codec
from angzarr.error_codes import codes, keys, messages
from angzarr.errors import CommandRejectedError, DecodeError, DispatchError
from angzarr.messages import (
    TYPE_URL_PREFIX,
    BusinessResponse,
    CommandBook,
    ContextualCommand,
    Cover,
    EventBook,
    FactRequest,
    ReplayRequest,
    ReplayResponse,
    RevocationResponse,
    Snapshot,
    any_of,
    framework_name,
    has_field,
    pack,
    type_name_from_url,
)
from angzarr.router.base import BuiltRouter
from angzarr.router.calls import Method
from angzarr.router.context import bind, bound
from angzarr.router.emission import Emission
from angzarr.router.faults import decode_payload, explain, wrong_request, wrong_return
from angzarr.router.raw.answer import business_response
from angzarr.router.raw.commands import commands_at
from angzarr.router.raw.history import RawHistory
from angzarr.router.raw.scan import split_request
from angzarr.router.registry import Compiled, Factory
from angzarr.router.rejections import Answer, read_refusal, sort_answer
from angzarr.router.requests import BookHistory, CommandView, History, require_commands
from angzarr.router.state import Fold, snapshot_of

__all__ = ["CommandHandlerRouter"]

CommandTable: TypeAlias = "dict[str, tuple[Handler, Method, type[betterproto.Message]]]"
_RESPONSES = frozenset({BusinessResponse, RevocationResponse})
_NO_COMMANDS: CommandTable = {}


class Handler:
    """One registered class: its tables, its fold and its factory."""

    def __init__(self, compiled: Compiled, factory: Any) -> None:
        self.compiled = compiled
        self.info = compiled.info
        self.factory = factory
        self.fold = Fold(compiled)


class Session:
    """One command book on its way: the state of each handler class, and the events so far."""

    def __init__(self, command: CommandView, history: History) -> None:
        self.command = command
        self.history = history
        self.last: tuple[Handler, Any] | None = None
        self._emission: Emission | None = None
        self._states: dict[int, tuple[Any, int]] = {}

    @property
    def emission(self) -> Emission:
        """The events so far. A raw history knows its next sequence once it was folded, so this comes after that."""
        if self._emission is None:
            self._emission = Emission(self.history.next_sequence)
        return self._emission

    def state(self, handler: Handler, instance: Any) -> Any:
        """The state after the history and the events so far."""
        known = self._states.get(id(handler))
        if known is None:
            state, applied = self.history.fold(handler.fold, instance), 0
        else:
            state, applied = known
        emission = self.emission
        if len(emission.items) > applied:
            for type_url, value in emission.payloads(applied):
                state = handler.fold.apply(instance, state, type_url, value)
        self._states[id(handler)] = (state, len(emission.items))
        self.last = (handler, instance)
        return state

    def folded_anew(self, handler: Handler, instance: Any) -> Any:
        """The same state from the events alone: what a handler did to the state it was given does not count."""
        state = self.history.fold(handler.fold, instance)
        for type_url, value in self.emission.payloads():
            state = handler.fold.apply(instance, state, type_url, value)
        return state

    def extra(self, name: str) -> Any:
        """The value of an opt-in parameter."""
        cover = self.command.cover()
        return cover.correlation_id if name == "correlation_id" else codec.clone(cover)


class CommandHandlerRouter(BuiltRouter):
    """Dispatches commands, facts and replays to classes decorated with ``@command_handler``.

    ``name`` is the domain of the first class.
    """

    kind: ClassVar[str] = "command_handler"
    request_type = ContextualCommand

    def __init__(
        self, factories: Sequence[Factory], *, state_cache: int | None = None, **options: Any
    ) -> None:
        super().__init__(factories, **options)
        self._handlers = tuple(Handler(compiled, factory) for compiled, factory in self._entries)
        self._commands = _command_tables(self._handlers)

    def supports_handle_fact(self) -> bool:
        """Whether some class has a ``@handles_fact`` method."""
        return any(info.facts for info in self.handlers)

    def supports_replay(self) -> bool:
        """Whether some class declares ``supports_replay=True``."""
        return any(info.supports_replay for info in self.handlers)

    async def dispatch(self, request: ContextualCommand) -> BusinessResponse:
        """Decide on a command book: rebuild the state, call the handlers, stamp what they emit.

        The pages of the book are one atomic unit, handled in order, each seeing the events of those before it.

        Args:
            request: the command and the aggregate's history.

        Returns:
            The events (perhaps none) with cover, sequences, times and next sequence; or the revocation or notification
            that a handler answered instead.

        Raises:
            DispatchError: MISSING_COMMAND_PAGE, MISSING_COMMAND_BOOK, MISSING_COMMAND_PAYLOAD: the request is
                incomplete; NO_HANDLER_REGISTERED; ANY_DECODE_FAILED, ANY_TYPE_MISMATCH: a command, event or snapshot
                cannot be decoded; HANDLER_WRONG_RESPONSE_KIND: a handler returned something else;
                HANDLER_WRONG_REQUEST_KIND: ``request`` is another message.
            CommandRejectedError: a handler refused; its ``cover`` is the command's.
        """
        if not isinstance(request, ContextualCommand):
            raise wrong_request(ContextualCommand, request)
        return await self.decide(
            request.command, BookHistory(request.events if has_field(request, "events") else None)
        )

    async def decide(self, command: CommandBook, history: History) -> BusinessResponse:
        """As ``dispatch``, over a history in any form: the embedded coordinator keeps states instead of events.

        Args:
            command: the command book.
            history: what gives the state before it.
        """
        session = Session(require_commands(command), history)
        answer = await self._decide(session)
        return BusinessResponse(events=self._book(session)) if answer is None else answer

    async def dispatch_bytes(self, data: bytes) -> bytes:
        """``dispatch`` from bytes to bytes: of the history, only events that have an applier become objects.

        Args:
            data: an encoded ContextualCommand.

        Returns:
            The encoded BusinessResponse.

        Raises:
            DecodeError: ``data`` is malformed; else as ``dispatch``.
        """
        spans = split_request(data)
        if spans is None or spans[1] is None:
            return await super().dispatch_bytes(data)
        events, (start, end) = spans[0], spans[1]
        history = BookHistory(None) if events is None else RawHistory(data, *events)
        try:
            session = Session(commands_at(data, start, end), history)
            answer = await self._decide(session)
        except Exception as error:
            if isinstance(error, DecodeError) or not history.is_read:
                codec.decode(ContextualCommand, data)
            raise
        return self._encoded(session) if answer is None else codec.encode(answer)

    async def _decide(self, session: Session) -> BusinessResponse | None:
        """Handle every page; None when there is nothing but events."""
        command = session.command
        restore = bind(command.domain, command.root, command.correlation_id)
        try:
            for type_url, value in command.payloads:
                answer = await self._handle(session, type_url, value)
                if answer is None:
                    continue
                if answer.revocation is not None:
                    return BusinessResponse(revocation=answer.revocation)
                if answer.notification is not None:
                    return BusinessResponse(notification=answer.notification)
        finally:
            restore()
        return None

    async def _handle(self, session: Session, type_url: str, value: bytes) -> Answer | None:
        """Handle one page; None when it gave nothing but events."""
        domain = session.command.domain
        table = self._commands.get(domain, _NO_COMMANDS)
        found = table.get(type_url)
        if found is None and framework_name(type_url) == "Notification":
            return await self._handle_rejection(session, type_url, value)
        found = found or table.get(type_name_from_url(type_url))
        if found is None:
            raise DispatchError(
                Status.INVALID_ARGUMENT,
                messages.NO_HANDLER_REGISTERED,
                error_code=codes.NO_HANDLER_REGISTERED,
                extras={keys.DOMAIN: domain, keys.TYPE_URL: type_url},
            )
        handler, method, message = found
        return await self._handle_command(session, handler, method, message, type_url, value)

    async def _handle_command(
        self,
        session: Session,
        handler: Handler,
        method: Method,
        message: type[betterproto.Message],
        type_url: str,
        value: bytes,
    ) -> Answer | None:
        command = decode_payload(message, type_url, value)
        try:
            instance = await self._instance(handler.factory)
            standard = (command, session.state(handler, instance), session.emission.next_sequence)
            result = await self._call(method, instance, standard, session.extra)
            return _absorb(session.emission, method, result, rejection=False)
        except CommandRejectedError as rejection:
            if rejection.cover is None:
                rejection.cover = codec.clone(session.command.cover())
            raise
        except Exception as error:
            explain(error, method, type_url, session.command.cover())
            raise

    async def _handle_rejection(self, session: Session, type_url: str, value: bytes) -> Answer:
        """Call every ``@rejected`` method of the refused command; events go before a revocation or notification."""
        refusal = read_refusal(type_url, value)
        before = len(session.emission.items)
        others = Answer()
        for handler in self._handlers:
            for method in handler.compiled.rejected.get(refusal.key, ()):
                try:
                    instance = await self._instance(handler.factory)
                    standard = (refusal.notification, session.state(handler, instance))
                    result = await self._call(method, instance, standard, session.extra)
                    answer = _absorb(session.emission, method, result, rejection=True)
                except Exception as error:
                    explain(error, method, type_url, session.command.cover())
                    raise
                if answer is None:
                    continue
                if others.revocation is None:
                    others.revocation = answer.revocation
                if others.notification is None:
                    others.notification = answer.notification
        return Answer() if len(session.emission.items) > before else others

    def _book(self, session: Session) -> EventBook:
        book = session.emission.book(session.command.cover())
        snapshot = self._snapshot(session)
        if snapshot is not None:
            book.snapshot = snapshot
        return book

    def _encoded(self, session: Session) -> bytes:
        emission = session.emission
        snapshot = self._snapshot(session) if emission.snapshot is None else emission.snapshot
        return business_response(
            emission,
            session.command.cover_bytes() if emission.cover is None else codec.encode(emission.cover),
            None if snapshot is None else codec.encode(snapshot),
        )

    def _snapshot(self, session: Session) -> Snapshot | None:
        """A snapshot after the new events, when one is due and no handler made its own."""
        if session.last is None or session.emission.snapshot is not None:
            return None
        handler, instance = session.last
        if not _snapshot_is_due(handler.info.snapshot_every, session):
            return None
        state = session.folded_anew(handler, instance)
        return Snapshot(sequence=session.emission.next_sequence - 1, state=pack(state))

    async def dispatch_fact(self, request: FactRequest) -> EventBook:
        """Hand facts to every ``@handles_fact`` method of their type; facts that nobody handles are left out.

        Args:
            request: the facts, and the aggregate's events before them.

        Returns:
            The events to store, with the facts' cover, sequences from the prior events' next, and times.

        Raises:
            DispatchError: ANY_DECODE_FAILED, ANY_TYPE_MISMATCH, HANDLER_WRONG_RESPONSE_KIND,
                HANDLER_WRONG_REQUEST_KIND, as in ``dispatch``.
        """
        if not isinstance(request, FactRequest):
            raise wrong_request(FactRequest, request)
        if not has_field(request, "facts"):
            return EventBook()
        cover = request.facts.cover if has_field(request.facts, "cover") else Cover()
        with bound(cover):
            prior = request.prior_events if has_field(request, "prior_events") else None
            emission = await self._inject(request.facts, cover, BookHistory(prior))
        return emission.book(cover if has_field(request.facts, "cover") else None)

    async def _inject(self, facts: EventBook, cover: Cover, history: History) -> Emission:
        emission = Emission(history.next_sequence)
        ready = []
        for handler in self._handlers:
            if handler.compiled.facts:
                instance = await self._instance(handler.factory)
                ready.append((handler, instance, history.fold(handler.fold, instance)))

        def extra(name: str) -> Any:
            return cover.correlation_id if name == "correlation_id" else codec.clone(cover)

        for page in facts.pages:
            payload = any_of(page)
            if payload is None:
                continue
            for handler, instance, state in ready:
                for method in handler.compiled.facts.get(type_name_from_url(payload.type_url), ()):
                    assert method.message is not None
                    fact = decode_payload(method.message, payload.type_url, payload.value)
                    try:
                        result = await self._call(method, instance, (fact, state), extra)
                        _only_events(emission, method, result)
                    except Exception as error:
                        explain(error, method, payload.type_url, cover)
                        raise
        return emission

    async def dispatch_replay(self, request: ReplayRequest) -> ReplayResponse:
        """The state after some events on top of a base snapshot, of the first class that supports replay.

        Every event given is applied, whatever the snapshot's sequence.

        Args:
            request: the base snapshot, if any, and the events.

        Returns:
            The packed state; empty when the state is not a message.

        Raises:
            DispatchError: ANY_DECODE_FAILED, ANY_TYPE_MISMATCH, HANDLER_WRONG_REQUEST_KIND, as in ``dispatch``.
        """
        if not isinstance(request, ReplayRequest):
            raise wrong_request(ReplayRequest, request)
        willing = (handler for handler in self._handlers if handler.info.supports_replay)
        handler = next(willing, self._handlers[0] if self._handlers else None)
        if handler is None or not handler.fold.is_message:
            return ReplayResponse()
        instance = await self._instance(handler.factory)
        base = snapshot_of(EventBook(snapshot=request.base_snapshot))
        state = handler.fold.fresh(instance) if base is None else handler.fold.from_snapshot(base.state)
        for page in request.events:
            payload = any_of(page)
            if payload is not None:
                state = handler.fold.apply(instance, state, payload.type_url, payload.value)
        return ReplayResponse(state=pack(state))


def _command_tables(handlers: Sequence[Handler]) -> dict[str, CommandTable]:
    """Domain → what a command may be called, with our prefix and bare → its handler. Notifications are no commands."""
    tables: dict[str, CommandTable] = {}
    for handler in handlers:
        table = tables.setdefault(handler.info.domain, {})
        for name, (method, *_) in handler.compiled.handles.items():
            if method.message is not None and framework_name(name) != "Notification":
                table.setdefault(name, (handler, method, method.message))
                table.setdefault(TYPE_URL_PREFIX + name, (handler, method, method.message))
    return tables


def _absorb(emission: Emission, method: Method, result: object, *, rejection: bool) -> Answer | None:
    """Take the events of a result; None when that was all, else the answer with its other arms."""
    if result is None or (isinstance(result, betterproto.Message) and type(result) not in _RESPONSES):
        emission.add(method, result)
        return None
    answer = sort_answer(result)
    if not rejection and answer.result is None and not isinstance(result, BusinessResponse | None):
        raise wrong_return(method, result)
    emission.add(method, answer.result)
    for book in answer.books:
        emission.add_book(book)
    return answer


def _only_events(emission: Emission, method: Method, result: object) -> None:
    answer = _absorb(emission, method, result, rejection=False)
    if answer is not None and (answer.revocation is not None or answer.notification is not None):
        raise wrong_return(method, result)


def _snapshot_is_due(every: int | None, session: Session) -> bool:
    if every is None or not session.emission.items:
        return False
    last = session.history.snapshot_sequence
    before = 0 if last is None else last + 1
    return session.emission.next_sequence // every > before // every
