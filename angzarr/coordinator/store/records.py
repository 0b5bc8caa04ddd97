"""What goes into the store and comes out of it. Pages and messages stay the bytes they were encoded to."""

from dataclasses import dataclass, field
from typing import NamedTuple

MAIN = ""
"""The edition of the main timeline; unset and ``angzarr`` mean the same."""

COVERED = "*"
"""The domain of positions that say which domains a consumer reads: by their edition, with sequence 1 where it does."""

PENDING, COMMITTED, REVOKED = 0, 1, 2
"""What a page is: waiting for its cascade to end, valid, or taken back."""


class Key(NamedTuple):
    """Which aggregate: ``edition`` is ``""`` on the main timeline."""

    domain: str
    edition: str
    root: bytes


class Provenance(NamedTuple):
    """What caused an event: the triggering event, who reacted to it, and which of its commands this was."""

    edition: str
    domain: str
    root: bytes
    sequence: int
    component: str = ""
    command_index: int = 0


class StoredPage(NamedTuple):
    """An event page as it was stored: ``data`` is the encoded EventPage, ``created_at`` microseconds since 1970."""

    sequence: int
    data: bytes
    created_at: int
    state: int = COMMITTED
    cascade_id: str = ""


class NewEvent(NamedTuple):
    """An event page to be stored.

    ``part`` numbers the pages that share an external id or a provenance, so that both stay unique.
    ``received_at`` is when what caused it came in, microseconds since 1970; without ``fan_out`` nobody is to react.
    ``command`` is the encoded CommandBook that caused it and those after it, without cover; None for other events.
    """

    sequence: int
    data: bytes
    created_at: int
    correlation_id: str = ""
    external_id: str | None = None
    provenance: Provenance | None = None
    part: int = 0
    state: int = COMMITTED
    cascade_id: str = ""
    command_type: str = ""
    received_at: int = 0
    fan_out: bool = True
    command: bytes | None = None


class StoredSnapshot(NamedTuple):
    """A snapshot as it was stored: ``data`` is the encoded Snapshot."""

    sequence: int
    data: bytes
    retention: int = 0


class LoggedEvent(NamedTuple):
    """An event with its place in the whole store and what is known of its cause."""

    position: int
    key: Key
    page: StoredPage
    correlation_id: str
    provenance: Provenance | None
    command_type: str
    received_at: int
    stored_at: int


class StoredCommand(NamedTuple):
    """A command as it was sent, and the events it caused; ``data`` is the encoded CommandBook, without cover."""

    data: bytes
    correlation_id: str
    first_sequence: int
    last_sequence: int
    received_at: int


@dataclass(slots=True)
class History:
    """What a handler is given: the newest snapshot, the pages after it, and the sequence the next event gets."""

    key: Key
    pages: list[StoredPage] = field(default_factory=list)
    snapshot: StoredSnapshot | None = None
    next_sequence: int = 0


class OutboxRow(NamedTuple):
    """Work that a commit left to be done. ``body`` is what its ``kind`` needs, encoded."""

    id: int
    kind: str
    component: str
    key: Key
    sequence: int
    last_sequence: int
    correlation_id: str
    body: bytes
    attempt: int
    due_at: int
    created_at: int


class DeadLetterRow(NamedTuple):
    """A dead letter: ``data`` is the encoded AngzarrDeadLetter."""

    id: int
    component: str
    domain: str
    occurred_at: int
    data: bytes


class Position(NamedTuple):
    """How far a consumer got in one aggregate; ``parked`` while a dead letter blocks it."""

    consumer: str
    key: Key
    sequence: int
    parked: bool = False


# What a unit of work consists of. All of a unit is stored, or nothing.


@dataclass(frozen=True, slots=True)
class Append:
    """Store event pages of one aggregate. Answers with the position of the last one."""

    key: Key
    events: tuple[NewEvent, ...]


@dataclass(frozen=True, slots=True)
class PutSnapshot:
    """Store a snapshot; older ones go unless they are to persist."""

    key: Key
    snapshot: StoredSnapshot


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Leave work to be done. Answers with the row's id."""

    kind: str
    component: str
    key: Key
    sequence: int
    last_sequence: int
    correlation_id: str = ""
    body: bytes = b""
    attempt: int = 0
    due_at: int = 0


@dataclass(frozen=True, slots=True)
class Dequeue:
    """That work is done. Answers with whether the row was still there."""

    id: int


@dataclass(frozen=True, slots=True)
class Reschedule:
    """That work failed and is to be tried again."""

    id: int
    attempt: int
    due_at: int


@dataclass(frozen=True, slots=True)
class SetPosition:
    """A consumer has handled an aggregate up to and including a sequence."""

    consumer: str
    key: Key
    sequence: int
    parked: bool = False


@dataclass(frozen=True, slots=True)
class ForgetPositions:
    """A consumer starts over."""

    consumer: str


@dataclass(frozen=True, slots=True)
class AdoptPositions:
    """One consumer's positions replace another's: the end of a rebuild."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class PutDeadLetter:
    """Store a dead letter. Answers with its id."""

    component: str
    domain: str
    occurred_at: int
    data: bytes


@dataclass(frozen=True, slots=True)
class DropDeadLetter:
    """A dead letter is dealt with. Answers with whether it was still there."""

    id: int


@dataclass(frozen=True, slots=True)
class DeleteEdition:
    """Remove an edition's events and snapshots in a domain. Answers with how many events went."""

    domain: str
    edition: str


@dataclass(frozen=True, slots=True)
class EndCascade:
    """The pending pages of a cascade become committed, or stay hidden for ever."""

    cascade_id: str
    confirmed: bool


Operation = (
    Append
    | PutSnapshot
    | Enqueue
    | Dequeue
    | Reschedule
    | SetPosition
    | ForgetPositions
    | AdoptPositions
    | PutDeadLetter
    | DropDeadLetter
    | DeleteEdition
    | EndCascade
)
