"""Handing something to a router the way a coordinator does, and taking apart what comes back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any as AnyValue
from typing import Literal, TypeAlias, TypeVar

import betterproto
import grpclib
from grpclib.const import Status

from angzarr.codec import clone, decode, encode
from angzarr.destinations import Destinations
from angzarr.errors import CommandRejectedError, DispatchError, UnregisteredMessageError
from angzarr.messages import (
    Any,
    BusinessResponse,
    CommandBook,
    CommandPage,
    ContextualCommand,
    Cover,
    EventBook,
    EventPage,
    ExternalDeferredSequence,
    FactRequest,
    Notification,
    PageHeader,
    ProcessManagerHandleRequest,
    ProcessManagerHandleResponse,
    Projection,
    RejectionNotification,
    RevocationResponse,
    SagaHandleRequest,
    SagaResponse,
    Snapshot,
    UpcastRequest,
    UpcastResponse,
    any_of,
    frozen,
    has_field,
    pack,
    registered_names,
    sequence_of,
    type_url,
    unpack_any,
)
from angzarr.router import CommandHandlerRouter
from angzarr.testing.subject import Subject

M = TypeVar("M", bound=betterproto.Message)
Kind: TypeAlias = Literal["command", "fact", "rejection", "event"]
Path: TypeAlias = Literal["bytes", "messages"]
"""Which of a router's two ways is taken: ``dispatch_bytes``, as servers do, or ``dispatch``."""


@dataclass(frozen=True)
class When:
    """What happens.

    Attributes:
        kind: how it reaches the handler: as a command, a fact, the news of a rejection, or an event to react to.
        messages: the commands or events, an Any where no message encodes to the payload; of a rejection the refused
            command, if given as a message.
        cover: whose it is; None for the handler's own domain.
        sequence: of the first page; None for the history's next.
        destinations: next sequences of other domains, for sagas and process managers.
        refused: (domain, command name) of a rejection.
        reason: of a rejection.
    """

    kind: Kind
    messages: tuple[betterproto.Message, ...] = ()
    cover: Cover | None = None
    sequence: int | None = None
    destinations: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[str, str] = ("", "")
    reason: str = ""

    def packed(self) -> list[Any]:
        """The payloads, in order."""
        return [message if isinstance(message, Any) else pack(message) for message in self.messages]


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        events: pages of the handler's own aggregate: a command handler's events, a process manager's process events,
            an upcaster's result.
        commands: command books for others.
        facts: event books for others.
        projection: what a projector answered.
        snapshot: a snapshot that came with the events.
        revocation: a command handler's revocation.
        notification: a notification to be forwarded.
        error: what was raised, or None.
        state_error: what was raised when the new events were applied, or None.
        book: the events as the router returned them, with cover and next sequence.
        state: the state after history and events, of command handlers and process managers.
    """

    events: list[EventPage] = field(default_factory=list)
    commands: list[CommandBook] = field(default_factory=list)
    facts: list[EventBook] = field(default_factory=list)
    projection: Projection | None = None
    snapshot: Snapshot | None = None
    revocation: RevocationResponse | None = None
    notification: Notification | None = None
    error: Exception | None = None
    state_error: Exception | None = None
    book: EventBook = field(default_factory=EventBook)
    state: AnyValue = None

    @property
    def messages(self) -> list[betterproto.Message]:
        """The events, unpacked."""
        return unpacked(self.events)


def history_of(cover: Cover, events: Iterable[betterproto.Message | Any], at: datetime) -> EventBook:
    """A book of events, numbered from 0; an EventPage or a whole EventBook among them is taken as it is."""
    book = EventBook(cover=clone(cover))
    for event in events:
        append_event(book, event, at)
    return book


def append_event(book: EventBook, event: betterproto.Message | Any, at: datetime) -> None:
    """Put one more event at the end of a book."""
    if isinstance(event, EventBook):
        book.pages.extend(event.pages)
        if has_field(event, "snapshot"):
            book.snapshot = clone(event.snapshot)
        if has_field(event, "cover"):
            book.cover = clone(event.cover)
        book.next_sequence = max(event.next_sequence, book.next_sequence, *map(_after, event.pages), 0)
    elif isinstance(event, EventPage):
        book.pages.append(event)
        book.next_sequence = max(book.next_sequence, _after(event))
    else:
        payload = event if isinstance(event, Any) else pack(event)
        header = PageHeader(sequence=book.next_sequence)
        book.pages.append(EventPage(header=header, created_at=at, event=payload))
        book.next_sequence += 1


def _after(page: EventPage) -> int:
    return sequence_of(page) + 1


def extended(history: EventBook, pages: Sequence[EventPage]) -> EventBook:
    """The history with more pages at its end."""
    book = clone(history)
    book.pages.extend(clone(page) for page in pages)
    if pages:
        book.next_sequence = _after(pages[-1])
    return book


def unpacked(pages: Iterable[EventPage]) -> list[betterproto.Message]:
    """The events of pages; the Any itself where its type is not registered."""
    return [open_any(payload) for page in pages if (payload := any_of(page)) is not None]


def open_any(payload: Any) -> betterproto.Message:
    """The message in an Any; the Any itself where its type is not registered or its bytes are not of that type."""
    try:
        return unpack_any(payload)
    except (UnregisteredMessageError, ValueError):
        return payload


async def perform(
    subject: Subject, history: EventBook, when: When, at: datetime, *, path: Path = "bytes"
) -> Outcome:
    """Let something happen to a handler with a history, at a frozen time, through codec and router.

    Args:
        subject: the handler.
        history: of the aggregate or process; for a projector what it was shown before; else ignored.
        when: what happens.
        at: what ``now()`` answers meanwhile.
        path: which way through the router; what has only one (facts) goes that.
    """
    outcome = Outcome()
    with frozen(at):
        try:
            await _PERFORM[subject.info.kind](_Way(subject, path), history, when, at, outcome)
        except Exception as error:
            outcome.error = error
        try:
            if subject.folds:
                outcome.state = await subject.rebuild(extended(history, outcome.events))
        except Exception as error:
            outcome.state_error = error
    return outcome


def _over_the_wire(message: M) -> M:
    return decode(type(message), encode(message))


@dataclass(frozen=True)
class _Way:
    """A subject, and the way through its router."""

    subject: Subject
    path: Path

    async def dispatch(self, request: betterproto.Message, answer: type[M]) -> M:
        router: AnyValue = self.subject.router
        data = encode(request)
        if self.path == "bytes":
            return decode(answer, await router.dispatch_bytes(data))
        return decode(answer, encode(await router.dispatch(decode(type(request), data))))


async def _command_handler(way: _Way, history: EventBook, when: When, at: datetime, outcome: Outcome) -> None:
    router = way.subject.router
    assert isinstance(router, CommandHandlerRouter)
    cover = when.cover or history.cover
    if when.kind == "fact":
        facts = EventBook(cover=cover, pages=[_fact_page(payload, at) for payload in when.packed()])
        request = FactRequest(facts=facts, prior_events=history)
        _take_book(_over_the_wire(await router.dispatch_fact(_over_the_wire(request))), outcome)
        return
    command = command_request(history, when, cover, at)
    _take_business_response(await way.dispatch(command, BusinessResponse), outcome)


def command_request(history: EventBook, when: When, cover: Cover, at: datetime) -> ContextualCommand:
    """The request of a command or of the news of a rejection."""
    payloads = [pack(rejection_of(when, cover, at))] if when.kind == "rejection" else when.packed()
    first = history.next_sequence if when.sequence is None else when.sequence
    pages = [
        CommandPage(header=PageHeader(sequence=first + offset), command=payload)
        for offset, payload in enumerate(payloads)
    ]
    return ContextualCommand(events=history, command=CommandBook(cover=cover, pages=pages))


def _fact_page(payload: Any, at: datetime) -> EventPage:
    header = PageHeader(external_deferred=ExternalDeferredSequence(external_id="scenario"))
    return EventPage(header=header, created_at=at, event=payload)


def rejection_of(when: When, source: Cover, at: datetime) -> Notification:
    """The notification that a command, caused by an event of ``source``, was refused."""
    domain, name = when.refused
    payload = pack(when.messages[0]) if when.messages else Any(type_url=_url_of_command(name))
    header = Destinations.deferred_header(source, when.sequence or 0)
    refused = CommandBook(
        cover=Cover(domain=domain, correlation_id=source.correlation_id),
        pages=[CommandPage(header=header, command=payload)],
    )
    told = RejectionNotification(rejected_command=refused, rejection_reason=when.reason)
    return Notification(cover=clone(source), payload=pack(told), sent_at=at)


def _url_of_command(name: str) -> str:
    known = (full for full in registered_names() if full.rpartition(".")[2] == name)
    return type_url(next(known, name))


def _take_business_response(response: BusinessResponse, outcome: Outcome) -> None:
    arm = betterproto.which_one_of(response, "result")[0]
    if arm == "events":
        _take_book(response.events, outcome)
    elif arm == "revocation":
        outcome.revocation = response.revocation
    elif arm == "notification":
        outcome.notification = response.notification


def _take_book(book: EventBook, outcome: Outcome) -> None:
    outcome.book = book
    outcome.events.extend(book.pages)
    if has_field(book, "snapshot"):
        outcome.snapshot = book.snapshot


def trigger_book(when: When, cover: Cover, at: datetime, start: int = 0) -> EventBook:
    """The events that happen, as a book of their aggregate."""
    payloads = [pack(rejection_of(when, cover, at))] if when.kind == "rejection" else when.packed()
    book = EventBook(cover=clone(cover), next_sequence=start if when.sequence is None else when.sequence)
    for payload in payloads:
        append_event(book, payload, at)
    return book


async def _saga(way: _Way, history: EventBook, when: When, at: datetime, outcome: Outcome) -> None:
    request = SagaHandleRequest(
        source=trigger_book(when, when.cover or way.subject.own_cover(), at),
        destination_sequences=dict(when.destinations),
    )
    response = await way.dispatch(request, SagaResponse)
    outcome.commands.extend(response.commands)
    outcome.facts.extend(response.events)


def trigger_cover(subject: Subject, when: When) -> Cover:
    """Whose event a process manager or projector is shown."""
    if when.cover is not None:
        return when.cover
    cover = subject.own_cover()
    cover.domain = subject.trigger_domain()
    return cover


async def _process_manager(way: _Way, history: EventBook, when: When, at: datetime, outcome: Outcome) -> None:
    request = ProcessManagerHandleRequest(
        trigger=trigger_book(when, trigger_cover(way.subject, when), at),
        process_state=history,
        destination_sequences=dict(when.destinations),
    )
    response = await way.dispatch(request, ProcessManagerHandleResponse)
    outcome.commands.extend(response.commands)
    outcome.facts.extend(response.facts)
    for book in response.process_events:
        _take_book(book, outcome)
    _stamp(outcome.events, history.next_sequence)


def _stamp(pages: Iterable[EventPage], start: int) -> None:
    """Number the unnumbered, as coordinators do with process events."""
    for offset, page in enumerate(pages):
        if not betterproto.which_one_of(page.header, "sequence_type")[0]:
            page.header.sequence = start + offset


async def _projector(way: _Way, history: EventBook, when: When, at: datetime, outcome: Outcome) -> None:
    cover = trigger_cover(way.subject, when)
    if history.pages:
        before = clone(history)
        before.cover = clone(cover)
        await way.dispatch(before, Projection)
    book = trigger_book(when, cover, at, history.next_sequence)
    outcome.projection = await way.dispatch(book, Projection)


async def _upcaster(way: _Way, history: EventBook, when: When, at: datetime, outcome: Outcome) -> None:
    pages = trigger_book(when, way.subject.own_cover(), at).pages
    request = UpcastRequest(domain=way.subject.info.domain, events=pages)
    response = await way.dispatch(request, UpcastResponse)
    outcome.events.extend(response.events)
    outcome.book = EventBook(pages=list(response.events))


_PERFORM = {
    "command_handler": _command_handler,
    "saga": _saga,
    "process_manager": _process_manager,
    "projector": _projector,
    "upcaster": _upcaster,
}


def code_of(error: BaseException) -> str:
    """The code an error carries: of a rejection, a client error or a dispatch error; ``""`` for none."""
    code = getattr(error, "error_code", None) or getattr(error, "code", "")
    return code if isinstance(code, str) else ""


def is_coded(error: BaseException) -> bool:
    """Whether an error tells the caller what is wrong; others are crashes."""
    if isinstance(error, DispatchError | grpclib.GRPCError):
        return error.status not in {Status.INTERNAL, Status.UNKNOWN}
    return isinstance(error, CommandRejectedError) or bool(code_of(error))
