"""A process manager's own events, made ready to be stored."""

from angzarr.coordinator import books
from angzarr.coordinator.answers import created
from angzarr.coordinator.store.records import Key
from angzarr.messages import (
    EventBook,
    PageHeader,
    ProcessManagerHandleResponse,
    clone,
    has_field,
)


def process_events(
    answer: ProcessManagerHandleResponse, process: Key, correlation_id: str, next_sequence: int
) -> EventBook:
    """A process manager's own new events as one book, addressed, stamped and dated where it left that out."""
    own = EventBook(cover=books.cover_of(process, correlation_id))
    for book in answer.process_events:
        own.pages += (clone(page) for page in book.pages)
        if has_field(book, "snapshot"):
            own.snapshot = book.snapshot
    for number, page in enumerate(own.pages):
        if not has_field(page.header, "sequence"):
            page.header = PageHeader(sequence=next_sequence + number)
        created(page)
    return own
