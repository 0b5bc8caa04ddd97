"""A process manager's own events, made ready to be stored."""

from angzarr.coordinator import books
from angzarr.coordinator.answers import created
from angzarr.coordinator.status import internal
from angzarr.coordinator.store.records import Key
from angzarr.messages import (
    Cover,
    EventBook,
    PageHeader,
    ProcessManagerHandleResponse,
    clone,
    has_field,
)


def process_events(
    answer: ProcessManagerHandleResponse, process: Key, correlation_id: str, next_sequence: int
) -> EventBook:
    """A process manager's own new events as one book, addressed, stamped and dated where it left that out.

    Raises:
        GRPCError: INTERNAL, it addressed them to another aggregate.
    """
    own = EventBook(cover=books.cover_of(process, correlation_id))
    for book in answer.process_events:
        _its_own(book.cover, process)
        own.pages += (clone(page) for page in book.pages)
        if has_field(book, "snapshot"):
            own.snapshot = book.snapshot
    for number, page in enumerate(own.pages):
        if not has_field(page.header, "sequence"):
            page.header = PageHeader(sequence=next_sequence + number)
        created(page)
    return own


def _its_own(cover: Cover, process: Key) -> None:
    for part, given, expected in (
        ("domain", cover.domain, process.domain),
        ("root", cover.root.value.hex(), process.root.hex()),
    ):
        if given and given != expected:
            raise internal(
                f"Process events for the wrong aggregate: {part} is {given}, the process's is {expected};"
                " leave their cover out, and send facts to other aggregates"
            )
