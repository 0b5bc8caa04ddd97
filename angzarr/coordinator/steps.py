"""The pieces of work that the outbox consists of, as they are on their way."""

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator.errors import StoreError
from angzarr.coordinator.store.records import Key, OutboxRow

if TYPE_CHECKING:
    from angzarr.coordinator.commits import Commit
    from angzarr.messages import CommandBook

Lane = tuple[str, Key]

_PROCESS_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "angzarr.dev")


@dataclass(slots=True)
class Item:
    """A row on its way, with what is in memory about it.

    Attributes:
        row: the row.
        commit: what it is about, where that is still at hand.
        attempt: how often it has failed.
        spared: how many of those do not count, because a business server was away.
        started_at: when the attempt under way began, by the event loop's clock.
        failing_since: when it failed first.
        error: what it failed with last.
        fresh: whether nobody can have delivered it before.
    """

    row: OutboxRow
    commit: "Commit | None" = None
    attempt: int = 0
    spared: int = 0
    started_at: float | None = None
    failing_since: float | None = None
    error: str = ""
    fresh: bool = False

    @property
    def lane(self) -> Lane:
        """Rows of one component for one aggregate stay in order."""
        return (self.row.component, self.row.key)


@dataclass(slots=True)
class Done:
    """What a step came to: the steps that take its place, and the commit it made.

    ``unanswered``: nothing came of it, and it is still there to be done.
    """

    following: list[Item] = field(default_factory=list)
    commit: "Commit | None" = None
    command: "CommandBook | None" = None
    rejection: GRPCError | None = None
    answer: object = None
    unanswered: bool = False


class FailedError(Exception):
    """A step failed and left everything as it was.

    Attributes:
        error: what it failed with.
        hopeless: whether another attempt cannot help.
        patient: whether it is the store that failed, so that attempts do not count.
    """

    def __init__(self, error: GRPCError, *, hopeless: bool = False, patient: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.hopeless = hopeless
        self.patient = patient


_TRANSIENT = frozenset({Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED})


def is_the_stores(error: GRPCError) -> bool:
    """Whether it was the store that failed."""
    return isinstance(error.__cause__, StoreError)


def may_pass(error: GRPCError) -> bool:
    """Whether another attempt may succeed, so that this is no answer yet."""
    return error.status in _TRANSIENT or is_the_stores(error)


def process_root(correlation_id: str) -> bytes:
    """The root of the process that a correlation id belongs to."""
    try:
        return uuid.UUID(correlation_id).bytes
    except ValueError:
        return uuid.uuid5(_PROCESS_NAMESPACE, correlation_id).bytes
