"""What a saga or process manager answers, made ready to be sent: addressed, stamped, numbered."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from angzarr import codec
from angzarr.coordinator import books
from angzarr.coordinator.commits import Origin
from angzarr.coordinator.store.records import Enqueue, Operation, OutboxRow, Provenance
from angzarr.messages import (
    AngzarrDeferredSequence,
    CascadeErrorMode,
    CommandBook,
    CommandRequest,
    Cover,
    Edition,
    EventBook,
    EventRequest,
    PageHeader,
    SyncMode,
    clone,
    has_field,
)

SAGA, PROCESS_MANAGER, COMMAND, FACT, REJECTION = "saga", "pm", "command", "fact", "rejection"


def component_type(kind: str | None) -> str:
    """What dead letters call the kind of who sends: SAGA or PROCESS_MANAGER."""
    return "saga" if kind == SAGA else "process_manager"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, and because of what.

    Attributes:
        name: of the saga or process manager.
        kind: SAGA or PROCESS_MANAGER.
        source: cover that rejections go back to.
        source_seq: sequence of the triggering event.
        known_by: the provenance of what is sent, where source and sequence would not tell it apart.
    """

    name: str
    kind: str
    source: Cover
    source_seq: int
    known_by: Provenance | None = None

    @property
    def stamped(self) -> Provenance:
        """What the deferred headers that are filled in say."""
        key = books.key_of(self.source)
        return Provenance(key.edition, key.domain, key.root, self.source_seq, self.name)

    @property
    def cause(self) -> Provenance:
        """The provenance of what is sent."""
        return self.stamped if self.known_by is None else self.known_by._replace(component=self.name)


def prepared_command(book: CommandBook, sender: Sender, correlation_id: str) -> CommandBook:
    """A copy of a command as it is sent: edition and correlation id of the source, every page with its cause."""
    copy = clone(book)
    _address(copy.cover, sender.source, correlation_id)
    for page in copy.pages:
        page.header = _header(page.header, sender)
    return copy


def prepared_fact(book: EventBook, sender: Sender, correlation_id: str) -> EventBook:
    """A copy of a fact as it is sent."""
    copy = clone(book)
    _address(copy.cover, sender.source, correlation_id)
    for page in copy.pages:
        if not has_field(page.header, "external_deferred"):
            page.header = _header(PageHeader() if has_field(page.header, "sequence") else page.header, sender)
    return copy


def _address(cover: Cover, source: Cover, correlation_id: str) -> None:
    cover.edition = Edition(name=source.edition.name, divergences=list(source.edition.divergences))
    if not cover.correlation_id:
        cover.correlation_id = correlation_id


def addressed(book: EventBook, source: Cover) -> EventBook:
    """A fact that answers a rejection without saying whom it is for: it is for the source."""
    if not has_field(book, "cover") or not book.cover.domain:
        book = clone(book)
        book.cover = clone(source)
    return book


def _header(header: PageHeader, sender: Sender) -> PageHeader:
    if has_field(header, "sequence"):
        return header
    if has_field(header, "angzarr_deferred") and has_field(header.angzarr_deferred, "source"):
        return header
    deferred = AngzarrDeferredSequence(source=sender.source, source_seq=sender.source_seq)
    return PageHeader(angzarr_deferred=deferred, sync_mode=header.sync_mode)


def deliveries(
    trigger: OutboxRow,
    sender: Sender,
    commands: Sequence[CommandBook],
    facts: Sequence[EventBook],
    first_index: int = 0,
    *,
    of_rejection: bool = False,
) -> list[Enqueue]:
    """The work that remains after an answer: its commands in order, then its facts.

    Args:
        trigger: the row that was answered.
        sender: who answered.
        commands: its commands.
        facts: its facts.
        first_index: number of the first of them.
        of_rejection: whether a rejection was answered, so that an abort of the reaction leaves them be.
    """
    index = first_index
    rows = []
    for command in commands:
        book = prepared_command(command, sender, trigger.correlation_id)
        data = codec.encode(CommandRequest(command=book))
        rows.append(_delivery(COMMAND, trigger, sender, index, data, of_rejection))
        index += max(len(book.pages), 1)
    for fact in facts:
        request = EventRequest(
            events=prepared_fact(fact, sender, trigger.correlation_id), route_to_handler=True
        )
        rows.append(_delivery(FACT, trigger, sender, index, codec.encode(request), of_rejection))
        index += 1
    return rows


def _delivery(
    kind: str, trigger: OutboxRow, sender: Sender, index: int, data: bytes, of_rejection: bool
) -> Enqueue:
    meta: dict[str, Any] = {
        "index": index,
        "kind": sender.kind,
        "cause": _cause(sender.cause),
        "cascade": cascade_id_of(trigger),
        "caused": caused_of(trigger) + 1,
    }
    if sender.known_by is not None:
        meta["stamped"] = _cause(sender.stamped)
    if of_rejection:
        meta["of_rejection"] = True
    return follow_up(kind, trigger, pack_body(meta, data))


def follow_up(kind: str, row: OutboxRow, body: bytes) -> Enqueue:
    """Work that takes the place of other work, in the same lane."""
    return Enqueue(kind, row.component, row.key, row.sequence, row.last_sequence, row.correlation_id, body)


def _cause(cause: Provenance) -> list[Any]:
    return [cause.edition, cause.domain, cause.root.hex(), cause.sequence]


def delivery_of(meta: dict[str, Any]) -> str:
    """How something was sent, for its dead letter."""
    kept = {name: meta[name] for name in ("index", "kind", "cause", "stamped") if name in meta}
    return json.dumps(kept)


def origin_of(meta: dict[str, Any], component: str, with_commit: tuple[Operation, ...]) -> Origin:
    """Who sends something again, or for the first time."""
    return Origin(
        component,
        meta["index"],
        cause_of(meta, component),
        with_commit,
        stamped=stamped_of(meta, component),
    )


def cause_of(meta: dict[str, Any], component: str) -> Provenance:
    """The provenance that a delivery's body carries."""
    return _provenance(meta["cause"], component, meta["index"])


def stamped_of(meta: dict[str, Any], component: str) -> Provenance:
    """What the headers of a delivery say of its cause, where they were filled in."""
    return _provenance(meta.get("stamped", meta["cause"]), component, meta["index"])


def _provenance(cause: list[Any], component: str, index: int) -> Provenance:
    edition, domain, root, sequence = cause
    return Provenance(edition, domain, bytes.fromhex(root), sequence, component, index)


def pack_body(meta: dict[str, Any], data: bytes = b"") -> bytes:
    """An outbox row's body: some JSON, and a message."""
    return json.dumps(meta).encode() + b"\n" + data


def unpack_body(body: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON and the message's bytes."""
    head, _, data = body.partition(b"\n")
    return json.loads(head), data


def trigger_body(
    mode: SyncMode,
    errors: CascadeErrorMode,
    cascade_id: str = "",
    book: EventBook | None = None,
    *,
    caused: int = 0,
    replayed: bool = False,
) -> bytes:
    """What a reaction must know of the command that triggered it.

    Args:
        mode: what the caller waits for.
        errors: what a failing reaction means under CASCADE.
        cascade_id: two-phase marking, or ``""``.
        book: the events, where the store does not have them.
        caused: how many reactions in a row led to the command.
        replayed: whether it comes from the dead letters.
    """
    meta = {"mode": int(mode), "errors": int(errors), "cascade": cascade_id, "caused": caused}
    if replayed:
        meta["replayed"] = True
    return pack_body(meta, b"" if book is None else codec.encode(book))


def cascade_id_of(row: OutboxRow) -> str:
    """The two-phase cascade that a step belongs to, or ``""``."""
    cascade_id: str = unpack_body(row.body)[0].get("cascade", "")
    return cascade_id


def caused_of(row: OutboxRow) -> int:
    """How many reactions in a row led to a step; none to those that earlier versions left."""
    caused: int = unpack_body(row.body)[0].get("caused", 0)
    return caused


def rows_of(planned: Iterable[Any], ids: Sequence[Any], now: int) -> list[OutboxRow]:
    """The outbox rows that some operations made, by the results they gave."""
    return [
        OutboxRow(
            row_id,
            row.kind,
            row.component,
            row.key,
            row.sequence,
            row.last_sequence,
            row.correlation_id,
            row.body,
            row.attempt,
            row.due_at,
            now,
        )
        for row, row_id in zip(planned, ids, strict=True)
        if isinstance(row, Enqueue)
    ]
