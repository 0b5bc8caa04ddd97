"""Requests and books in one line each, for the router tests."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import betterproto
from hypothesis import strategies as st

from angzarr.messages import (
    UUID,
    CommandBook,
    CommandPage,
    ContextualCommand,
    Cover,
    EventBook,
    EventPage,
    Notification,
    PageHeader,
    RejectionNotification,
    Snapshot,
    pack,
    unpack_any,
)
from angzarr.router import (
    CommandHandlerRouter,
    ProcessManagerRouter,
    ProjectorRouter,
    Router,
    SagaRouter,
    UpcasterRouter,
)

R = TypeVar("R")
ROOT = bytes(range(16))
OTHER = bytes(range(16, 32))
T0 = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def cover(domain: str = "account", root: bytes = ROOT, correlation_id: str = "corr-1") -> Cover:
    return Cover(domain=domain, root=UUID(value=root), correlation_id=correlation_id)


def page(event: betterproto.Message, sequence: int | None = None, prefix: str | None = None) -> EventPage:
    packed = pack(event)
    if prefix is not None:
        packed.type_url = prefix + packed.type_url.rpartition("/")[2]
    made = EventPage(event=packed, created_at=T0)
    if sequence is not None:
        made.header = PageHeader(sequence=sequence)
    return made


def book(
    *events: betterproto.Message,
    of: Cover | None = None,
    start: int = 0,
    snapshot: Snapshot | None = None,
) -> EventBook:
    pages = [page(event, start + index) for index, event in enumerate(events)]
    made = EventBook(cover=of or cover(), pages=pages, next_sequence=start + len(pages))
    if snapshot is not None:
        made.snapshot = snapshot
    return made


def command(*messages: betterproto.Message, of: Cover | None = None) -> CommandBook:
    pages = [CommandPage(header=PageHeader(sequence=0), command=pack(message)) for message in messages]
    return CommandBook(cover=of or cover(), pages=pages)


def request(*messages: betterproto.Message, after: EventBook | None = None) -> ContextualCommand:
    made = ContextualCommand(command=command(*messages))
    if after is not None:
        made.events = after
    return made


def notification(
    refused: CommandBook | None, reason: str = "no", source: Cover | None = None
) -> Notification:
    rejection = RejectionNotification(rejection_reason=reason)
    if refused is not None:
        rejection.rejected_command = refused
    return Notification(cover=source or cover(), payload=pack(rejection), sent_at=T0)


def events_in(found: EventBook) -> list[betterproto.Message]:
    return [unpack_any(page.event) for page in found.pages]


def commands_in(books: Sequence[CommandBook]) -> list[betterproto.Message]:
    return [unpack_any(page.command) for found in books for page in found.pages]


def sequences_in(found: EventBook) -> list[int]:
    return [page.header.sequence for page in found.pages]


def _built(kind: type[R], classes: Sequence[Any], options: dict[str, Any]) -> R:
    router = Router("test", **options)
    for cls in classes:
        router.with_handler(*cls) if isinstance(cls, tuple) else router.with_handler(cls, cls)
    built = router.build()
    assert isinstance(built, kind)
    return built


def command_router(*classes: Any, **options: Any) -> CommandHandlerRouter:
    return _built(CommandHandlerRouter, classes, options)


def saga_router(*classes: Any, **options: Any) -> SagaRouter:
    return _built(SagaRouter, classes, options)


def process_router(*classes: Any, **options: Any) -> ProcessManagerRouter:
    return _built(ProcessManagerRouter, classes, options)


def projector_router(*classes: Any, **options: Any) -> ProjectorRouter:
    return _built(ProjectorRouter, classes, options)


def upcaster_router(*classes: Any, **options: Any) -> UpcasterRouter:
    return _built(UpcasterRouter, classes, options)


@st.composite
def mutated(draw: st.DrawFn, origins: st.SearchStrategy[bytes]) -> bytes:
    """Well-formed bytes of which a few are changed, left out, put in or doubled."""
    data = bytearray(draw(origins))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        change = draw(st.sampled_from(["set", "cut", "insert", "double", "end"]))
        if change == "set" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif change == "cut":
            del data[at : at + draw(st.integers(1, 3))]
        elif change == "insert":
            data[at:at] = draw(st.one_of(st.binary(min_size=1, max_size=3), st.just(b"\x98\x06\x01")))
        elif change == "double":
            data[at:at] = data[at : at + draw(st.integers(1, 40))]
        else:
            del data[at:]
    return bytes(data)
