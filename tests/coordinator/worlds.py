"""Small worlds of hand-made components: sagas and process managers as functions, accounts that obey."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any as Anything

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import CommandConfig, CoordinatorConfig, EmbeddedCoordinator, ReactionConfig
from angzarr.messages import (
    Any,
    BusinessResponse,
    CommandBook,
    CommandPage,
    CommandRequest,
    CommandResponse,
    ContextualCommand,
    Cover,
    EventBook,
    EventPage,
    FactRequest,
    MergeStrategy,
    PageHeader,
    ProcessManagerHandleRequest,
    ProcessManagerHandleResponse,
    Projection,
    ReplayRequest,
    ReplayResponse,
    SagaHandleRequest,
    SagaResponse,
    framework_name,
    new_cover,
)

FAST = CoordinatorConfig(
    reactions=ReactionConfig(min_delay=0.001, max_delay=0.002, attempts=3, handler_timeout=20.0)
)
SHALLOW = CoordinatorConfig(commands=CommandConfig(cascade_depth=4), reactions=FAST.reactions)


def root(number: int) -> bytes:
    return uuid.UUID(int=number).bytes


A, B, C = root(0xA), root(0xB), root(0xC)


def payload(name: str, value: bytes = b"") -> Any:
    return Any(type_url=f"type.googleapis.com/world.{name}", value=value)


def name_of(page: EventPage) -> str:
    return framework_name(page.event.type_url) or page.event.type_url.rpartition(".")[2]


def names(book: EventBook) -> list[str]:
    return [name_of(page) for page in book.pages]


@dataclass
class Domain:
    """A handler that turns a command ``Do…`` into an event ``Done…``, unless ``refuse`` has it."""

    refuse: dict[str, GRPCError] = field(default_factory=dict)
    compensate: Callable[[ContextualCommand], BusinessResponse] | None = None
    commands: list[ContextualCommand] = field(default_factory=list)
    notifications: list[ContextualCommand] = field(default_factory=list)

    async def handle(self, request: ContextualCommand) -> BusinessResponse:
        page = request.command.pages[0]
        if framework_name(page.command.type_url) == "Notification":
            self.notifications.append(request)
            return BusinessResponse() if self.compensate is None else self.compensate(request)
        self.commands.append(request)
        name = page.command.type_url.rpartition(".")[2]
        if name in self.refuse:
            raise self.refuse[name]
        return BusinessResponse(events=events(request, name.replace("Do", "Done"), page.command.value))

    async def handle_fact(self, request: FactRequest) -> EventBook:
        raise GRPCError(Status.UNIMPLEMENTED, "no @handles_fact")

    async def replay(self, request: ReplayRequest) -> ReplayResponse:
        raise GRPCError(Status.UNIMPLEMENTED, "no supports_replay")


def events(request: ContextualCommand, name: str, value: bytes = b"") -> EventBook:
    """What a handler answers: one event that follows on the history."""
    page = EventPage(header=PageHeader(sequence=request.events.next_sequence), event=payload(name, value))
    return EventBook(cover=request.command.cover, pages=[page])


def command(domain: str, at: bytes, name: str, **header: Anything) -> CommandBook:
    page = CommandPage(command=payload(name))
    if header:
        page.header = PageHeader(**header)
    return CommandBook(cover=new_cover(domain, at), pages=[page])


@dataclass
class Saga:
    """A saga that answers, for each event of a book, what ``rules`` has for its name."""

    rules: Mapping[str, Callable[[Cover], Sequence[CommandBook | EventBook]]]
    seen: list[SagaHandleRequest] = field(default_factory=list)
    failures: list[GRPCError] = field(default_factory=list)

    async def handle(self, request: SagaHandleRequest) -> SagaResponse:
        self.seen.append(request)
        if self.failures:
            raise self.failures.pop(0)
        answer = SagaResponse()
        for page in request.source.pages:
            rule = self.rules.get(name_of(page))
            for book in rule(request.source.cover) if rule else ():
                if isinstance(book, CommandBook):
                    answer.commands.append(book)
                else:
                    answer.events.append(book)
        return answer


@dataclass
class Manager:
    """A process manager with one answer per event name, given what it knows."""

    rules: Mapping[str, Callable[[ProcessManagerHandleRequest], ProcessManagerHandleResponse]]
    seen: list[ProcessManagerHandleRequest] = field(default_factory=list)

    async def handle(self, request: ProcessManagerHandleRequest) -> ProcessManagerHandleResponse:
        self.seen.append(request)
        answer = ProcessManagerHandleResponse()
        for page in request.trigger.pages:
            rule = self.rules.get(name_of(page))
            if rule is not None:
                made = rule(request)
                answer.process_events += made.process_events
                answer.commands += made.commands
                answer.facts += made.facts
        return answer


@dataclass
class View:
    """A projector that remembers what it was given; ``failures`` are raised first."""

    books: list[EventBook] = field(default_factory=list)
    failures: list[GRPCError] = field(default_factory=list)
    answer: Any | None = None

    async def handle(self, book: EventBook) -> Projection:
        if self.failures:
            raise self.failures.pop(0)
        self.books.append(book)
        made = Projection(cover=book.cover, projector="view", sequence=book.next_sequence)
        if self.answer is not None:
            made.projection = self.answer
        return made

    async def handle_speculative(self, book: EventBook) -> Projection:
        return Projection(cover=book.cover, projector="view", sequence=book.next_sequence)

    @property
    def events(self) -> list[tuple[bytes, int, str]]:
        return [
            (book.cover.root.value, page.header.sequence, name_of(page))
            for book in self.books
            for page in book.pages
        ]


def request(
    domain: str, at: bytes, name: str, *, correlation_id: str = "", edition: str = "", **fields: Anything
) -> CommandRequest:
    page = CommandPage(
        header=PageHeader(sequence=0),
        merge_strategy=MergeStrategy.MERGE_AGGREGATE_HANDLES,
        command=payload(name),
    )
    return CommandRequest(
        command=CommandBook(cover=new_cover(domain, at, correlation_id, edition), pages=[page]), **fields
    )


async def send(
    running: EmbeddedCoordinator, domain: str, at: bytes, name: str, **fields: Anything
) -> CommandResponse:
    return await running.runtime.commands.handle_command(request(domain, at, name, **fields))


@contextlib.asynccontextmanager
async def world(
    config: CoordinatorConfig = FAST, **components: Anything
) -> AsyncIterator[EmbeddedCoordinator]:
    async with EmbeddedCoordinator(config=config, **components) as running:
        yield running
