"""Telling a source that what it caused was refused, and what its answer leads to."""

import json
import urllib.request
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import books, dead_letters
from angzarr.coordinator.checks import SAGA_FAILURES_DOMAIN
from angzarr.coordinator.commands import command_type
from angzarr.coordinator.commits import Flow, Origin
from angzarr.coordinator.engine import Engine, commit_of, new_events
from angzarr.coordinator.errors import ConflictError
from angzarr.coordinator.handlers import SagaComponent
from angzarr.coordinator.sending import (
    PROCESS_MANAGER,
    REJECTION,
    SAGA,
    Sender,
    cause_of,
    deliveries,
    follow_up,
    pack_body,
    unpack_body,
)
from angzarr.coordinator.steps import Done, FailedError, Item, process_root
from angzarr.coordinator.store.records import MAIN, Dequeue, Key, Operation, Provenance
from angzarr.log import get_logger
from angzarr.messages import (
    AngzarrDeferredSequence,
    BusinessResponse,
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
    RevocationResponse,
    SagaCompensationFailed,
    SagaHandleRequest,
    has_field,
    now,
    pack,
    unpack,
)

if TYPE_CHECKING:
    from angzarr.coordinator.speculation import CompensationPipeline
    from angzarr.coordinator.stepping import Steps

_AFTER_REJECTION = 10_000
_log = get_logger(__name__)


class Rejections:
    """Delivers rejections to their sources and carries out what the sources answer."""

    def __init__(self, engine: Engine, compensation: "CompensationPipeline") -> None:
        self._engine = engine
        self._compensation = compensation

    async def tell(
        self,
        steps: "Steps",
        item: "Item",
        rejected: CommandBook,
        meta: dict[str, Any],
        flow: Flow,
    ) -> "Done":
        """Tell the source of a rejected command, which is a process manager's or an aggregate's."""
        reason, cause = meta["reason"], cause_of(meta, item.row.component)
        source = source_of(rejected, cause, item.row.correlation_id)
        notice = notification(source, rejected, reason)
        manager = steps.manager(item.row.component) if meta["kind"] == PROCESS_MANAGER else None
        if manager is not None:
            return await self._tell_manager(steps, item, manager, notice, rejected, cause)
        saga = steps.sagas.get(item.row.component)
        if saga is not None and "asked" not in meta and _rejected_key(rejected) in saga.rejected:
            return await self._tell_saga(steps, item, saga, notice, meta)
        case = Case(
            self._engine, item, rejected, reason, source, cause, flow, handled=meta.get("asked", False)
        )
        return await self._tell_aggregate(case, notice, upstream=False)

    async def _tell_saga(
        self, steps: "Steps", item: "Item", saga: SagaComponent, notice: Notification, meta: dict[str, Any]
    ) -> "Done":
        """Tell a saga that wants to hear of it; its source is told afterwards."""
        trigger = _trigger(notice, notice.cover, item.row.last_sequence)
        answer = await steps.ask(item, "Saga", saga.endpoint.handle(SagaHandleRequest(source=trigger)))
        sender = Sender(saga.name, SAGA, notice.cover, item.row.last_sequence)
        sent = deliveries(
            item.row, sender, answer.commands, answer.events, _AFTER_REJECTION * (1 + meta["index"])
        )
        _, data = unpack_body(item.row.body)
        again = follow_up(REJECTION, item.row, pack_body({**meta, "asked": bool(sent)}, data))
        return await steps.supersede(item, [again, *sent])

    async def _tell_manager(
        self,
        steps: "Steps",
        item: "Item",
        manager: Any,
        notice: Notification,
        rejected: CommandBook,
        cause: Provenance,
    ) -> "Done":
        process = Key(manager.pm_domain, item.row.key.edition, process_root(item.row.correlation_id))
        source = books.cover_of(process, item.row.correlation_id)
        trigger = _trigger(notice, source, cause.sequence)
        own_cause = cause._replace(component=f"{manager.name}!rejected")
        for _ in range(self._engine.config.commands.attempts):
            try:
                done = await steps.advance(item, manager, trigger, cause=own_cause, keep_unanswered=True)
            except ConflictError:
                continue
            if done.commit is None and not done.following:
                case = Case(self._engine, item, rejected, notice_reason(notice), source, own_cause, Flow())
                await case.emit_system_revocation("the process manager did not compensate")
            return done
        raise _writers_keep_writing(item)

    async def _tell_aggregate(self, case: "Case", notice: Notification, *, upstream: bool) -> "Done":
        try:
            answer = await self._compensation.handle(
                CommandRequest(command=compensating(case, notice)), case.origin()
            )
        except GRPCError as error:
            if error.status is Status.UNAVAILABLE:
                raise FailedError(error) from error
            await case.unanswered(error.message or error.status.name)
            return Done()
        return await self._carry_out(case, answer, upstream)

    async def _carry_out(self, case: "Case", answer: BusinessResponse, upstream: bool) -> "Done":
        if has_field(answer, "events") and answer.events.pages:
            await case.done()
        elif has_field(answer, "revocation"):
            await self._revoke(case, answer.revocation)
            if answer.revocation.abort:
                text = f"Compensation aborted the chain: {answer.revocation.reason or case.reason}"
                return Done(rejection=GRPCError(Status.ABORTED, text))
        elif has_field(answer, "notification") and not upstream:
            onward = case.forwarded(answer.notification)
            if onward is not None:
                return await self._tell_aggregate(onward, answer.notification, upstream=True)
            await case.emit_system_revocation("the notification names no aggregate to forward it to")
        else:
            await case.unanswered("the source did not compensate")
        return Done()

    async def _revoke(self, case: "Case", revocation: RevocationResponse) -> None:
        reason = revocation.reason or case.reason
        operations: list[Operation] = []
        if revocation.send_to_dead_letter_queue:
            operations.append(case.dead_letter(reason))
        if revocation.escalate:
            await self._escalate(case, reason)
        if revocation.emit_system_revocation:
            await case.emit_system_revocation(reason, operations)
        else:
            await case.done(operations)

    async def _escalate(self, case: "Case", reason: str) -> None:
        facts = {
            "component": case.item.row.component,
            "source_domain": case.source.domain,
            "source_root": case.source.root.value.hex(),
            "rejected_domain": case.rejected.cover.domain,
            "correlation_id": case.item.row.correlation_id,
            "reason": reason,
        }
        _log.error("rejection_escalated", **facts)
        url = self._engine.config.reactions.escalation_webhook
        if url:
            await anyio.to_thread.run_sync(_post, url, facts)


class Case:
    """One rejected command and what belongs to it."""

    def __init__(
        self,
        engine: Engine,
        item: "Item",
        rejected: CommandBook,
        reason: str,
        source: Cover,
        cause: Provenance,
        flow: Flow,
        *,
        handled: bool = False,
    ) -> None:
        self._engine = engine
        self._handled = handled
        self.item = item
        self.rejected = rejected
        self.reason = reason
        self.source = source
        self.cause = cause
        self.flow = flow

    def origin(self) -> Origin:
        """The compensation's own provenance, and the row that its events remove."""
        return Origin(
            f"{self.cause.component}!rejected",
            self.cause.command_index,
            self.cause._replace(component=f"{self.cause.component}!rejected"),
            (Dequeue(self.item.row.id),),
            self.flow,
        )

    def forwarded(self, notice: Notification) -> "Case | None":
        """The same case for the aggregate that a notification names; None when it names none."""
        if not notice.cover.domain or len(notice.cover.root.value) != 16:
            return None
        cause = self.cause._replace(component=f"{self.cause.component}!forwarded")
        return Case(self._engine, self.item, self.rejected, self.reason, notice.cover, cause, self.flow)

    def dead_letter(self, reason: str) -> Operation:
        """The rejected command as a dead letter."""
        return dead_letters.letter_row(
            dead_letters.of_command(
                self.rejected, self.item.row.component, "saga", reason, self.item.attempt + 1
            )
        )

    async def done(self, also: Sequence[Operation] = ()) -> None:
        """The rejection is dealt with."""
        await self._engine.store.submit([Dequeue(self.item.row.id), *also])

    async def unanswered(self, why: str) -> None:
        """The source does nothing about it: a failure, unless the saga itself has dealt with it."""
        if self._handled:
            await self.done()
        else:
            await self.emit_system_revocation(why)

    async def emit_system_revocation(self, why: str, also: Sequence[Operation] = ()) -> None:
        """Publish SagaCompensationFailed in the domain of saga failures, once."""
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
        for _ in range(self._engine.config.commands.attempts):
            try:
                return await self._publish(key, failure, rest)
            except ConflictError as error:
                if error.on == "provenance":
                    await self.done(also)
                    return None
        raise _writers_keep_writing(self.item)

    async def _publish(self, key: Key, failure: SagaCompensationFailed, rest: Sequence[Operation]) -> None:
        engine = self._engine
        async with engine.locks.hold(key):
            history = await engine.load(key, Cover())
            sequence = history.next_sequence
            page = EventPage(header=PageHeader(sequence=sequence), event=pack(failure), created_at=now())
            book = EventBook(cover=books.cover_of(key, self.item.row.correlation_id), pages=[page])
            commit = commit_of(key, book, sequence, Flow())
            rows = new_events(
                commit.stored,
                correlation_id=self.item.row.correlation_id,
                causes=(self.cause._replace(component=f"{self.cause.component}!failed"),),
            )
            await engine.store_events(history, commit, rows, None, rest)


def source_of(rejected: CommandBook, cause: Provenance, correlation_id: str) -> Cover:
    """Whose event led to a rejected command: as its header says, else as its sender does."""
    header = rejected.pages[0].header if rejected.pages else PageHeader()
    if has_field(header, "angzarr_deferred") and header.angzarr_deferred.source.domain:
        key = books.key_of(header.angzarr_deferred.source)
    else:
        key = Key(cause.domain, cause.edition, cause.root)
    return books.cover_of(key, correlation_id)


def _trigger(notice: Notification, cover: Cover, sequence: int) -> EventBook:
    page = EventPage(header=PageHeader(sequence=sequence), event=pack(notice), created_at=now())
    return EventBook(cover=cover, pages=[page], next_sequence=sequence + 1)


def _rejected_key(rejected: CommandBook) -> tuple[str, str]:
    return rejected.cover.domain, command_type(rejected).rpartition(".")[2]


def notification(source: Cover, rejected: CommandBook, reason: str) -> Notification:
    """What a source is told of a rejected command."""
    payload = pack(RejectionNotification(rejected_command=rejected, rejection_reason=reason))
    return Notification(cover=source, payload=payload, sent_at=now())


def notice_reason(notice: Notification) -> str:
    """The reason inside a rejection notification."""
    return unpack(notice.payload, RejectionNotification).rejection_reason


def compensating(case: Case, notice: Notification) -> CommandBook:
    """The command that carries a notification to the aggregate it is for."""
    deferred = AngzarrDeferredSequence(source=case.source, source_seq=case.cause.sequence)
    page = CommandPage(
        header=PageHeader(angzarr_deferred=deferred),
        merge_strategy=MergeStrategy.MERGE_COMMUTATIVE,
        command=pack(notice),
    )
    return CommandBook(cover=case.source, pages=[page])


def _writers_keep_writing(item: "Item") -> Exception:
    return FailedError(GRPCError(Status.ABORTED, f"Other writers keep writing, {item.row.component!r} waits"))


def _post(url: str, facts: dict[str, str]) -> None:
    request = urllib.request.Request(
        url, json.dumps(facts).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=10):
            return
    except OSError as error:
        _log.warning("escalation_not_posted", url=url, error=str(error))
