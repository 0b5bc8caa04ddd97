"""One rejected command, and what can be done about it in the store."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import books, dead_letters
from angzarr.coordinator.answers import commit_of, new_events
from angzarr.coordinator.checks import SAGA_FAILURES_DOMAIN
from angzarr.coordinator.commits import Flow, Origin
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.errors import ConflictError
from angzarr.coordinator.sending import (
    PROCESS_MANAGER,
    SAGA,
    cause_of,
    component_type,
    delivery_of,
    stamped_of,
    unpack_body,
)
from angzarr.coordinator.steps import FailedError, Item
from angzarr.coordinator.store.records import MAIN, Dequeue, Key, Operation, Provenance
from angzarr.messages import (
    AngzarrDeferredSequence,
    CommandBook,
    CommandPage,
    CommandRequest,
    Cover,
    EventBook,
    EventPage,
    MergeStrategy,
    Notification,
    PageHeader,
    RejectionNotification,
    SagaCompensationFailed,
    clone,
    has_field,
    now,
    pack,
)


@dataclass(frozen=True, slots=True)
class Case:
    """One rejected command and what belongs to it.

    Attributes:
        engine: whose store keeps what comes of it.
        item: the outbox row that is being dealt with.
        rejected: the refused command.
        reason: the refusing side's words.
        source: whom it concerns: whose event led to the command, or the process manager that sent it.
        cause: what led to the command.
        flow: how what comes of it runs.
        kind: SAGA or PROCESS_MANAGER, who sent it.
        handled: whether the saga itself has dealt with it, so that nobody else has to.
    """

    engine: Engine
    item: Item
    rejected: CommandBook
    reason: str
    source: Cover
    cause: Provenance
    flow: Flow
    kind: str = SAGA
    handled: bool = False

    @classmethod
    def of(
        cls, engine: Engine, item: Item, rejected: CommandBook, meta: dict[str, Any], flow: Flow
    ) -> "Case":
        """The case that an outbox row is about."""
        cause = cause_of(meta, item.row.component)
        source = source_of(rejected, cause, item.row.correlation_id)
        if meta["kind"] == PROCESS_MANAGER:
            sender = stamped_of(meta, item.row.component)
            source = books.cover_of(Key(sender.domain, sender.edition, sender.root), item.row.correlation_id)
        handled = meta.get("asked", False)
        return cls(engine, item, rejected, meta["reason"], source, cause, flow, meta["kind"], handled)

    def seen_by(self, source: Cover) -> "Case":
        """The same case, concerning somebody else."""
        return replace(self, source=source)

    def notice(self) -> Notification:
        """What the source is told."""
        return notification(self.source, self.rejected, self.reason)

    def completed(self, notice: Notification) -> Notification:
        """A notification that somebody answered, as it is forwarded: what it leaves out is as in the original."""
        copy, original = clone(notice), self.notice()
        if not has_field(copy, "payload"):
            copy.payload = original.payload
        if not has_field(copy, "sent_at"):
            copy.sent_at = original.sent_at
        copy.cover = original.cover
        return copy

    def compensating(self, notice: Notification) -> CommandRequest:
        """The command that carries a notification to the aggregate it is for."""
        deferred = AngzarrDeferredSequence(source=self.source, source_seq=self.cause.sequence)
        page = CommandPage(
            header=PageHeader(angzarr_deferred=deferred),
            merge_strategy=MergeStrategy.MERGE_COMMUTATIVE,
            command=pack(notice),
        )
        return CommandRequest(command=CommandBook(cover=self.source, pages=[page]))

    def origin(self) -> Origin:
        """The compensation's own provenance, and the row that its events remove."""
        cause = self.told
        return Origin(cause.component, cause.command_index, cause, (Dequeue(self.item.row.id),), self.flow)

    @property
    def told(self) -> Provenance:
        """The provenance of what comes of telling."""
        return self.cause._replace(component=f"{self.cause.component}!rejected")

    def dead_letter(self, reason: str) -> Operation:
        """The rejected command as a dead letter."""
        kind = component_type(self.kind)
        attempts = self.item.attempt + 1
        meta, _ = unpack_body(self.item.row.body)
        return dead_letters.letter_row(
            dead_letters.of_command(
                self.rejected, self.item.row.component, kind, reason, attempts, delivery_of(meta)
            )
        )

    async def forwarded(self, notice: Notification) -> "Case | None":
        """The same case for whom a notification names, else for whoever caused what its source did; None for nobody."""
        if names_aggregate(notice.cover) and not is_for(notice, self.source):
            cause = self.cause._replace(component=f"{self.cause.component}!forwarded")
            return replace(self, source=notice.cover, cause=cause)
        above = await self._above()
        if above is None:
            return None
        key = Key(above.domain, above.edition, above.root)
        cause = above._replace(component=f"{self.cause.component}!forwarded")
        source = books.cover_of(key, self.item.row.correlation_id)
        return replace(self, source=source, cause=cause)

    async def _above(self) -> Provenance | None:
        row = self.item.row
        if self.kind == PROCESS_MANAGER:
            return Provenance(row.key.edition, row.key.domain, row.key.root, row.last_sequence)
        source = books.key_of(self.source)
        event = await self.engine.store.event(source, self.cause.sequence)
        return None if event is None else event.provenance

    async def done(self, also: Sequence[Operation] = ()) -> None:
        """The rejection is dealt with."""
        await self.engine.store.submit([Dequeue(self.item.row.id), *also])

    async def unanswered(self, why: str) -> None:
        """The source does nothing about it: a failure, unless the saga itself has dealt with it."""
        if self.handled:
            await self.done()
        else:
            await self.emit_system_revocation(why)

    async def emit_system_revocation(self, why: str, also: Sequence[Operation] = ()) -> None:
        """Publish SagaCompensationFailed in the domain of saga failures, once.

        Raises:
            FailedError: other writers were always first.
        """
        source = books.key_of(self.source)
        key = Key(SAGA_FAILURES_DOMAIN, MAIN, source.root)
        failure = SagaCompensationFailed(
            triggering_aggregate=self.source,
            triggering_event_sequence=self.cause.sequence,
            rejection_reason=self.reason,
            compensation_failure_reason=why,
            rejected_command=self.rejected,
            occurred_at=now(),
        )
        rest = [Dequeue(self.item.row.id), *also]
        for _ in range(self.engine.config.commands.attempts):
            try:
                return await self._publish(key, failure, rest)
            except ConflictError as error:
                if error.on == "provenance":
                    return await self.done(also)
        raise self.crowded_out()

    async def _publish(self, key: Key, failure: SagaCompensationFailed, rest: Sequence[Operation]) -> None:
        engine, correlation_id = self.engine, self.item.row.correlation_id
        async with engine.locks.hold(key):
            history = await engine.load(key, Cover())
            sequence = history.next_sequence
            page = EventPage(header=PageHeader(sequence=sequence), event=pack(failure), created_at=now())
            book = EventBook(cover=books.cover_of(key, correlation_id), pages=[page])
            commit = commit_of(key, book, sequence, Flow())
            cause = self.cause._replace(component=f"{self.cause.component}!failed")
            rows = new_events(commit.stored, correlation_id=correlation_id, causes=(cause,))
            await engine.store_events(history, commit, rows, None, rest)

    def crowded_out(self) -> FailedError:
        """Other writers were always first."""
        text = f"Other writers keep writing, {self.item.row.component!r} waits"
        return FailedError(GRPCError(Status.ABORTED, text))


def source_of(rejected: CommandBook, cause: Provenance, correlation_id: str) -> Cover:
    """Whose event led to a rejected command: as its header says, else as its sender does."""
    header = rejected.pages[0].header if rejected.pages else PageHeader()
    if has_field(header, "angzarr_deferred") and header.angzarr_deferred.source.domain:
        key = books.key_of(header.angzarr_deferred.source)
    else:
        key = Key(cause.domain, cause.edition, cause.root)
    return books.cover_of(key, correlation_id)


def notification(source: Cover, rejected: CommandBook, reason: str) -> Notification:
    """What a source is told of a rejected command."""
    payload = pack(RejectionNotification(rejected_command=rejected, rejection_reason=reason))
    return Notification(cover=source, payload=payload, sent_at=now())


def names_aggregate(cover: Cover) -> bool:
    """Whether a cover says which aggregate."""
    return bool(cover.domain) and len(cover.root.value) == 16


def is_for(notice: Notification, source: Cover) -> bool:
    """Whether a notification names that aggregate, or none."""
    return not names_aggregate(notice.cover) or books.key_of(notice.cover) == books.key_of(source)
