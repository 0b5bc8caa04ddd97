"""Commands in, events out: the router of command handlers."""

from collections.abc import Sequence
from typing import Any, ClassVar

from grpclib.const import Status

from angzarr import codec
from angzarr.error_codes import codes, keys, messages
from angzarr.errors import CommandRejectedError, DispatchError
from angzarr.messages import (
    BusinessResponse,
    CommandBook,
    ContextualCommand,
    Cover,
    EventBook,
    FactRequest,
    ReplayRequest,
    ReplayResponse,
    any_of,
    framework_name,
    has_field,
    pack,
    type_name_from_url,
)
from angzarr.router.base import BuiltRouter
from angzarr.router.calls import Method
from angzarr.router.context import bound
from angzarr.router.emission import Emission
from angzarr.router.faults import decode_payload, explain, wrong_request, wrong_return
from angzarr.router.registry import Compiled, Factory
from angzarr.router.rejections import Answer, read_refusal, sort_answer
from angzarr.router.requests import BookHistory, CommandView, History, require_commands
from angzarr.router.state import Fold, snapshot_of

__all__ = ["CommandHandlerRouter"]


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
        self.emission = Emission(history.next_sequence)
        self.last: tuple[Handler, Any] | None = None
        self._states: dict[int, tuple[Any, int]] = {}

    def state(self, handler: Handler, instance: Any) -> Any:
        """The state after the history and the events so far."""
        known = self._states.get(id(handler))
        if known is None:
            state, applied = self.history.fold(handler.fold, instance), 0
        else:
            state, applied = known
        for type_url, value in self.emission.payloads(applied):
            state = handler.fold.apply(instance, state, type_url, value)
        self._states[id(handler)] = (state, len(self.emission.items))
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
        self._commands: dict[str, dict[str, tuple[Handler, Method]]] = {}
        for handler in self._handlers:
            table = self._commands.setdefault(handler.info.domain, {})
            for name, methods in handler.compiled.handles.items():
                table.setdefault(name, (handler, methods[0]))

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
        view = require_commands(command)
        with bound(view.cover()):
            session = Session(view, history)
            answer = await self._decide(session)
            return BusinessResponse(events=self._book(session)) if answer is None else answer

    async def _decide(self, session: Session) -> BusinessResponse | None:
        """Handle every page; None when there is nothing but events."""
        for type_url, value in session.command.payloads:
            if framework_name(type_url) == "Notification":
                answer = await self._handle_rejection(session, type_url, value)
            else:
                answer = await self._handle_command(session, type_url, value)
            if answer.revocation is not None:
                return BusinessResponse(revocation=answer.revocation)
            if answer.notification is not None:
                return BusinessResponse(notification=answer.notification)
        return None

    async def _handle_command(self, session: Session, type_url: str, value: bytes) -> Answer:
        domain = session.command.domain
        found = self._commands.get(domain, {}).get(type_name_from_url(type_url))
        if found is None or found[1].message is None:
            raise DispatchError(
                Status.INVALID_ARGUMENT,
                messages.NO_HANDLER_REGISTERED,
                error_code=codes.NO_HANDLER_REGISTERED,
                extras={keys.DOMAIN: domain, keys.TYPE_URL: type_url},
            )
        handler, method = found
        command = decode_payload(found[1].message, type_url, value)
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
                if others.revocation is None:
                    others.revocation = answer.revocation
                if others.notification is None:
                    others.notification = answer.notification
        return Answer() if len(session.emission.items) > before else others

    def _book(self, session: Session) -> EventBook:
        book = session.emission.book(session.command.cover())
        if session.last is not None and session.emission.snapshot is None:
            handler, instance = session.last
            if _snapshot_is_due(handler.info.snapshot_every, session):
                book.snapshot.sequence = session.emission.next_sequence - 1
                book.snapshot.state = pack(session.folded_anew(handler, instance))
        return book

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


def _absorb(emission: Emission, method: Method, result: object, *, rejection: bool) -> Answer:
    """Take the events of a result; what is left in the answer are the other arms."""
    answer = sort_answer(result)
    if not rejection and answer.result is None and not isinstance(result, BusinessResponse | None):
        raise wrong_return(method, result)
    emission.add(method, answer.result)
    for book in answer.books:
        emission.add_book(book)
    return answer


def _only_events(emission: Emission, method: Method, result: object) -> None:
    answer = _absorb(emission, method, result, rejection=False)
    if answer.revocation is not None or answer.notification is not None:
        raise wrong_return(method, result)


def _snapshot_is_due(every: int | None, session: Session) -> bool:
    if every is None or not session.emission.items:
        return False
    last = session.history.snapshot_sequence
    before = 0 if last is None else last + 1
    return session.emission.next_sequence // every > before // every
