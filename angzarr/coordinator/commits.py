"""What was, or is about to be, stored for one command or fact."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from angzarr.messages import CascadeErrorMode, CommandBook, EventBook, Projection, SyncMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from angzarr.coordinator.cascade import Cascade
    from angzarr.coordinator.steps import Item
    from angzarr.coordinator.store.records import Key, Operation, Provenance, StoredPage


ASYNC = SyncMode.try_value(SyncMode.ASYNC)
FAIL_FAST = CascadeErrorMode.try_value(CascadeErrorMode.CASCADE_ERROR_FAIL_FAST)


@dataclass(frozen=True, slots=True)
class Flow:
    """In what manner a command or fact runs, handed on to what it causes.

    Attributes:
        mode: what the caller waits for.
        errors: what a failing reaction means under CASCADE.
        depth: how many commands led here.
        chain: their names, for the error when there are too many.
        cascade_id: two-phase marking, or ``""``.
        cascade: what is known of the CASCADE this belongs to; None outside of one.
        caused: how many reactions in a row led here, in any mode.
    """

    mode: SyncMode = ASYNC
    errors: CascadeErrorMode = FAIL_FAST
    depth: int = 0
    chain: tuple[str, ...] = ()
    cascade_id: str = ""
    cascade: "Cascade | None" = None
    caused: int = 0


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sent a command, when it was not a client.

    Attributes:
        component: the saga or process manager.
        command_index: which of its commands this is, over all pages of its answer.
        cause: what caused it, for pages whose header does not say, or says ``stamped``.
        with_commit: what is to be stored in the same transaction as the command's events.
        flow: how it runs; None for the request's own.
        fresh: whether it is sent for the first time, so that only a conflict makes looking for an earlier delivery
            worth while.
        stamped: what the headers say that were filled in for the sender.
    """

    component: str = ""
    command_index: int = 0
    cause: "Provenance | None" = None
    with_commit: "tuple[Operation, ...]" = ()
    flow: Flow | None = None
    fresh: bool = False
    stamped: "Provenance | None" = None

    def caused(self, said: "Provenance | None", index: int) -> "Provenance | None":
        """What caused a page, given what its header says.

        Args:
            said: what the header says, or None.
            index: number of the page among all that the sender sent.
        """
        ours = said is None or (self.stamped is not None and said[:4] == self.stamped[:4])
        return self.cause._replace(command_index=index) if ours and self.cause is not None else said


CLIENT = Origin()


@dataclass(slots=True)
class Commit:
    """The new pages of one command or fact.

    Attributes:
        key: the aggregate.
        book: the pages with cover, snapshot and next sequence, as answered.
        stored: the same pages as bytes.
        flow: how the command ran.
        position: of the last page in the whole store, once it is stored.
        planned: what the fan-out stored with it.
        work: results of ``planned``, once it is stored: the ids of outbox rows.
        extra: results of the origin's ``with_commit``.
        repeat: whether these pages were stored before, and are only answered again.
        abandoned: whether the caller has gone, so that nobody will wait for what follows.
        command: the command that caused it; None for facts and the like.
        inline: steps that wait for ``finish`` to run them.
    """

    key: "Key"
    book: EventBook
    stored: "list[StoredPage]"
    flow: Flow
    position: int = 0
    planned: "Sequence[Operation]" = ()
    work: "list[int]" = field(default_factory=list)
    extra: "list[Any]" = field(default_factory=list)
    repeat: bool = False
    abandoned: bool = False
    command: "CommandBook | None" = None
    inline: "list[Item]" = field(default_factory=list)


class FanOut(Protocol):
    """What follows from a commit."""

    def plan(self, commit: Commit) -> "Sequence[Operation]":
        """What to store in the same transaction, so that a crash loses no reaction."""

    def committed(self, commit: Commit) -> None:
        """It is stored: wake whoever waits for it."""

    async def finish(self, commit: Commit) -> list[Projection]:
        """Run what the caller waits for; answers what the sync projectors said, other than of two-phase pages."""

    async def projected(self, commit: Commit) -> list[Projection]:
        """Wait for the sync projectors, if the caller does; answers what they said."""

    def begin(self, cascade_id: str) -> None:
        """A two-phase request begins."""

    async def request_done(self, cascade_id: str, failure: str = "") -> None:
        """A two-phase request has ended, with what it failed for."""

    def cascade_ended(self) -> None:
        """Pending pages are valid now, or revoked."""

    def edition_deleted(self, domain: str, edition: str) -> None:
        """An edition's events in a domain are gone."""


class NoFanOut:
    """Nothing follows."""

    def plan(self, commit: Commit) -> "Sequence[Operation]":
        """Nothing to store."""
        return ()

    def committed(self, commit: Commit) -> None:
        """Nobody to wake."""

    async def finish(self, commit: Commit) -> list[Projection]:
        """Nothing to wait for."""
        return []

    async def projected(self, commit: Commit) -> list[Projection]:
        """Nobody to wait for."""
        return []

    def begin(self, cascade_id: str) -> None:
        """Nothing to keep."""

    async def request_done(self, cascade_id: str, failure: str = "") -> None:
        """Nothing to end."""

    def cascade_ended(self) -> None:
        """Nobody to tell."""

    def edition_deleted(self, domain: str, edition: str) -> None:
        """Nobody to tell."""
