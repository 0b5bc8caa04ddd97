"""A handler's answer, checked and made ready to be stored."""

from collections.abc import Sequence

from angzarr import codec
from angzarr.coordinator import books
from angzarr.coordinator.commits import Commit, Flow
from angzarr.coordinator.config import CoordinatorConfig
from angzarr.coordinator.status import internal
from angzarr.coordinator.store.records import (
    COMMITTED,
    PENDING,
    History,
    Key,
    NewEvent,
    Provenance,
    StoredPage,
    StoredSnapshot,
)
from angzarr.coordinator.store.writes import microseconds
from angzarr.messages import (
    CommandBook,
    EventBook,
    EventPage,
    Snapshot,
    has_field,
    now,
    type_url_of,
)


def answered_for(key: Key, book: EventBook, correlation_id: str) -> EventBook:
    """The handler's book under the command's cover.

    Raises:
        GRPCError: INTERNAL, the handler answered for another aggregate.
    """
    if not has_field(book, "cover"):
        book.cover = books.cover_of(key, correlation_id)
        return book
    cover = book.cover
    for part, given, expected in (
        ("domain", cover.domain, key.domain),
        ("root", cover.root.value, key.root),
    ):
        if given and given != expected:
            shown = [value.hex() if isinstance(value, bytes) else value for value in (expected, given)]
            raise internal(f"Handler answered for the wrong aggregate: {part} is {shown[1]}, not {shown[0]}")
    book.cover = books.cover_of(key, cover.correlation_id or correlation_id)
    return book


def stamped(book: EventBook, actual: int, config: CoordinatorConfig) -> None:
    """Check that the handler's pages follow on the history, and fill in when they were made.

    Raises:
        GRPCError: INTERNAL, naming the page whose sequence is missing or wrong, or what there is too much of.
    """
    not_too_much(book.pages, config, "events for one command")
    for number, page in enumerate(book.pages):
        if not has_field(page, "header") or not has_field(page.header, "sequence"):
            raise internal(
                f"Page {number} of the handler's answer has no sequence, expected {actual + number}"
            )
        if page.header.sequence != actual + number:
            raise internal(
                f"Page {number} of the handler's answer has sequence {page.header.sequence},"
                f" expected {actual + number}"
            )
        created(page)


def not_too_many(count: int, limit: int, what: str) -> None:
    """Check that a handler has not run away.

    Raises:
        GRPCError: INTERNAL, with both numbers.
    """
    if count > limit:
        raise internal(f"Handler answered {count} {what}, at most {limit} are allowed")


def not_too_much(pages: Sequence[EventPage], config: CoordinatorConfig, what: str) -> None:
    """Check that events are neither too many nor so large that nobody can be told once they are stored.

    Raises:
        GRPCError: INTERNAL, with both numbers.
    """
    not_too_many(len(pages), config.commands.max_events, what)
    size = sum(len(page.event.value) for page in pages if has_field(page, "event"))
    most = config.serving.max_message_bytes
    if size > most:
        raise internal(
            f"Handler answered {size} bytes of {what}, at most {most} are allowed (ServingConfig.max_message_bytes);"
            " nothing was stored"
        )


def created(page: EventPage) -> None:
    """Say now where a page does not say when it was made."""
    if not has_field(page, "created_at") or page.created_at == books.EPOCH:
        page.created_at = now()


def mark_pending(book: EventBook, cascade_id: str) -> None:
    """Mark the pages of a two-phase command."""
    for page in book.pages:
        page.no_commit = True
        page.cascade_id = cascade_id


def new_events(
    pages: Sequence[StoredPage],
    *,
    correlation_id: str = "",
    causes: Sequence[Provenance] = (),
    external_id: str = "",
    command: CommandBook | None = None,
    received_at: int = 0,
) -> list[NewEvent]:
    """Pages as rows. With as many causes as pages each has its own, else all have the first."""
    one_each = len(causes) == len(pages)
    command_type = "" if command is None else first_command(command)
    sent = None if command is None else codec.encode(CommandBook(pages=command.pages))
    return [
        NewEvent(
            page.sequence,
            page.data,
            page.created_at,
            correlation_id,
            external_id or None,
            None if not causes else causes[number] if one_each else causes[0],
            0 if one_each and not external_id else number,
            page.state,
            page.cascade_id,
            command_type,
            received_at or microseconds(),
            command=None if number else sent,
        )
        for number, page in enumerate(pages)
    ]


def first_command(book: CommandBook) -> str:
    """The first command's type name, for the record of causes."""
    url = type_url_of(book.pages[0]) if book.pages else None
    return (url or "").rpartition("/")[2]


def commit_of(key: Key, book: EventBook, actual: int, flow: Flow) -> Commit:
    """The commit for a handler's checked answer; marks it when the flow is two-phase."""
    if flow.cascade_id:
        mark_pending(book, flow.cascade_id)
    state = PENDING if flow.cascade_id else COMMITTED
    pages = books.stored(book.pages, state=state, cascade_id=flow.cascade_id)
    book.next_sequence = actual + len(pages)
    return Commit(key, book, pages, flow)


def snapshot_of(book: EventBook, history: History) -> StoredSnapshot | None:
    """The snapshot to store with an answer, or None: there is none, or it says nothing new."""
    if not book.pages or not has_field(book, "snapshot") or not has_field(book.snapshot, "state"):
        return None
    if book.pages[0].no_commit or any(page.state == PENDING for page in history.pages):
        # It would hold what may be revoked, or leave out what may be confirmed.
        return None
    state = book.snapshot.state
    if history.snapshot is not None:
        before = codec.decode(Snapshot, history.snapshot.data).state
        if (before.type_url, before.value) == (state.type_url, state.value):
            return None
    sequence = book.pages[-1].header.sequence
    retention = book.snapshot.retention
    data = codec.encode(Snapshot(sequence=sequence, state=state, retention=retention))
    return StoredSnapshot(sequence, data, int(retention))
