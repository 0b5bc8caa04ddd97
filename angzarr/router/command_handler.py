"""Commands in, events out: the router of command handlers."""

from collections.abc import Sequence
from typing import Any, ClassVar

import betterproto
from grpclib.const import Status

from angzarr import codec
from angzarr.error_codes import codes, keys, messages
from angzarr.errors import DecodeError, DispatchError, EncodeError
from angzarr.messages import (
    BusinessResponse,
    CommandBook,
    ContextualCommand,
    Cover,
    EventBook,
    FactRequest,
    ReplayRequest,
    ReplayResponse,
    full_name,
    has_field,
    is_notification,
    pack,
    type_name_from_url,
)
from angzarr.router.base import BuiltRouter
from angzarr.router.calls import start
from angzarr.router.context import bind, bound, restore
from angzarr.router.emission import Emission
from angzarr.router.faults import decode_payload, explain, wrong_request
from angzarr.router.raw.answer import business_response
from angzarr.router.raw.cache import StateCache
from angzarr.router.raw.commands import read_request
from angzarr.router.raw.history import history_at
from angzarr.router.raw.plain import answer_plainly, is_plain
from angzarr.router.registry import Factory
from angzarr.router.rejections import Answer, read_refusal
from angzarr.router.requests import BookHistory, History, field_of, require_commands
from angzarr.router.session import (
    CommandTable,
    Handler,
    Route,
    Session,
    absorb,
    blame,
    command_tables,
    only_events,
    response_of,
)
from angzarr.router.state import inline_events, snapshot_of

__all__ = ["CommandHandlerRouter"]

_NO_COMMANDS: CommandTable = {}


class CommandHandlerRouter(BuiltRouter):
    """Dispatches commands, facts and replays to classes decorated with ``@command_handler``.

    ``name`` is the domain of the first class.
    """

    kind: ClassVar[str] = "command_handler"
    request_type: ClassVar[type[betterproto.Message]] = ContextualCommand

    def __init__(
        self, factories: Sequence[Factory], *, state_cache: int | None = None, **options: Any
    ) -> None:
        super().__init__(factories, **options)
        self._options["state_cache"] = state_cache
        self._cache = None if state_cache is None else StateCache(state_cache)
        self._handlers = tuple(Handler(compiled, factory) for compiled, factory in self.entries)
        self._commands = command_tables(self._handlers, in_thread=self._in_thread)

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
            EncodeError: an event holds a value its type cannot carry, or the aggregate has no sequence left.
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
        if answer is not None:
            return answer
        try:
            return BusinessResponse(events=self._book(session))
        except EncodeError as error:
            session.blame(error)
            raise

    async def dispatch_bytes(self, data: bytes) -> bytes:
        """``dispatch`` from bytes to bytes: of the history, only events that have an applier become objects.

        Args:
            data: an encoded ContextualCommand.

        Returns:
            The encoded BusinessResponse.

        Raises:
            DecodeError: ``data`` is malformed; else as ``dispatch``.
        """
        request = read_request(data)
        if request is None:
            return await super().dispatch_bytes(data)
        (start, end), command = request
        history = history_at(data, start, end, command, self._cache)
        table = self._commands.get(command.domain, _NO_COMMANDS)
        route = table.get(command.payloads[0][0])
        try:
            if route is not None and is_plain(route, command):
                answer = answer_plainly(route, command, history)
                return answer if type(answer) is bytes else await answer  # type: ignore[misc]
            return await self._decide_on_bytes(Session(command, history))
        except Exception as error:
            if isinstance(error, DecodeError) or not history.is_read:
                codec.decode(ContextualCommand, data)
            raise

    async def _decide_on_bytes(self, session: Session) -> bytes:
        answer = await self._decide(session)
        try:
            return self._encoded(session) if answer is None else codec.encode(answer)
        except EncodeError as error:
            session.blame(error)
            raise

    async def _decide(self, session: Session) -> BusinessResponse | None:
        """Handle every page; None when there is nothing but events."""
        command = session.command
        table = self._commands.get(command.domain, _NO_COMMANDS)
        tokens = bind(command.domain, command.root, command.correlation_id)
        try:
            for type_url, value in command.payloads:
                found = table.get(type_url) or table.get(type_name_from_url(type_url))
                if found is None:
                    response = response_of(await self._handle_other(session, type_url, value))
                else:
                    response = await self._handle_command(session, found, type_url, value)
                if response is not None:
                    return response
        finally:
            restore(tokens)
        return None

    async def _handle_command(
        self, session: Session, route: Route, type_url: str, value: bytes
    ) -> BusinessResponse | None:
        handler, method, message, _ = route
        command = decode_payload(message, type_url, value)
        session.asked = method, type_url
        try:
            instance = handler.factory()
            if not handler.makes_itself and hasattr(type(instance), "__await__"):
                instance = await instance
            state = session.state(handler, instance)
            emission = session.emission
            if method.asks or self._in_thread:
                standard = (command, state, emission.next_sequence)
                result = start(method, instance, standard, session.extra, self._in_thread)
            elif method.takes == 3:
                result = getattr(instance, method.name)(command, state, emission.next_sequence)
            else:
                result = getattr(instance, method.name)(*(command, state)[: method.takes])
            if method.is_async:
                result = await result
            if emission.add_plain(result):
                return None
            if hasattr(type(result), "__await__"):
                result = await result
            return response_of(absorb(emission, method, result))
        except BaseException as error:
            blame(error, method, type_url, session.command)
            raise

    async def _handle_other(self, session: Session, type_url: str, value: bytes) -> Answer:
        if not is_notification(type_url):
            raise _nobody_handles(session.command.domain, type_url)
        return await self._handle_rejection(session, type_url, value)

    async def _handle_rejection(self, session: Session, type_url: str, value: bytes) -> Answer:
        """Call every ``@rejected`` method of the refused command; events go before a revocation or notification."""
        refusal = read_refusal(type_url, value)
        before = len(session.emission.items)
        others = Answer()
        for handler in self._handlers:
            for method in handler.compiled.rejected.get(refusal.key, ()):
                session.asked = method, type_url
                try:
                    instance = await self._instance(handler.factory)
                    standard = (refusal.notification, session.state(handler, instance))
                    result = await self._call(method, instance, standard, session.extra)
                    answer = absorb(session.emission, method, result, rejection=True)
                except BaseException as error:
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
        snapshot = session.snapshot()
        if snapshot is not None:
            book.snapshot = snapshot
        return book

    def _encoded(self, session: Session) -> bytes:
        emission = session.emission
        emission.require_room()
        snapshot = session.snapshot() if emission.snapshot is None else emission.snapshot
        return business_response(
            emission,
            session.command.cover_field() if emission.cover is None else field_of(emission.cover),
            None if snapshot is None else codec.encode(snapshot),
        )

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
        first = next((payload.type_url for payload in inline_events(facts.pages)), full_name(EventBook))
        ready = []
        for handler in self._handlers:
            if handler.compiled.facts:
                try:
                    instance = await self._instance(handler.factory)
                    ready.append((handler, instance, history.fold(handler.fold, instance)))
                except BaseException as error:
                    explain(error, handler.info.cls, first, cover)
                    raise

        def extra(name: str) -> Any:
            return cover.correlation_id if name == "correlation_id" else codec.clone(cover)

        for payload in inline_events(facts.pages):
            for handler, instance, state in ready:
                for method in handler.compiled.facts.get(type_name_from_url(payload.type_url), ()):
                    assert method.message is not None
                    fact = decode_payload(method.message, payload.type_url, payload.value)
                    try:
                        result = await self._call(method, instance, (fact, state), extra)
                        only_events(emission, method, result)
                    except BaseException as error:
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
        return ReplayResponse(state=pack(await self._replayed(handler, request)))

    async def _replayed(self, handler: Handler, request: ReplayRequest) -> Any:
        type_url = full_name(ReplayRequest)
        try:
            instance = await self._instance(handler.factory)
            base = snapshot_of(EventBook(snapshot=request.base_snapshot))
            state = handler.fold.fresh(instance) if base is None else handler.fold.from_snapshot(base.state)
            for payload in inline_events(request.events):
                type_url = payload.type_url
                state = handler.fold.apply(instance, state, type_url, payload.value)
        except BaseException as error:
            explain(error, handler.info.cls, type_url, Cover(domain=handler.info.domain))
            raise
        return state


def _nobody_handles(domain: str, type_url: str) -> DispatchError:
    return DispatchError(
        Status.INVALID_ARGUMENT,
        messages.NO_HANDLER_REGISTERED,
        error_code=codes.NO_HANDLER_REGISTERED,
        extras={keys.DOMAIN: domain, keys.TYPE_URL: type_url},
    )
