"""Telling a source that what it caused was refused, and what its answer leads to."""

import base64
import json
import urllib.request
from typing import TYPE_CHECKING, Any, TypeVar

import anyio.to_thread
import betterproto
from grpclib import GRPCError
from grpclib.const import Status

from angzarr import codec
from angzarr.coordinator import books
from angzarr.coordinator.answers import first_command
from angzarr.coordinator.cases import Case, is_for
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.errors import ConflictError
from angzarr.coordinator.handlers import ProcessManagerComponent, SagaComponent
from angzarr.coordinator.reactors import Reactors
from angzarr.coordinator.sending import (
    PROCESS_MANAGER,
    REJECTION,
    SAGA,
    Sender,
    addressed,
    deliveries,
    follow_up,
    pack_body,
    unpack_body,
)
from angzarr.coordinator.steps import Done, FailedError, Item, is_the_stores, may_pass, process_root
from angzarr.coordinator.store.records import Enqueue, Key, Operation
from angzarr.log import get_logger
from angzarr.messages import (
    BusinessResponse,
    CommandBook,
    Cover,
    EventBook,
    EventPage,
    Notification,
    PageHeader,
    ProcessManagerHandleResponse,
    RevocationResponse,
    SagaHandleRequest,
    has_field,
    now,
    pack,
)
from angzarr.router.rejections import carried

if TYPE_CHECKING:
    from angzarr.coordinator.commits import Flow
    from angzarr.coordinator.speculation import CompensationPipeline

M = TypeVar("M", bound=betterproto.Message)

_AFTER_REJECTION = 10_000
_log = get_logger(__name__)


class Rejections:
    """Delivers rejections to their sources and carries out what the sources answer.

    A rejection is a row of the outbox. What a saga or process manager says of it beside commands and events (a
    revocation, a notification for somebody else) becomes a row of its own, so that a crash in between loses none.
    """

    def __init__(self, engine: Engine, compensation: "CompensationPipeline", reactors: Reactors) -> None:
        self._engine = engine
        self._reactors = reactors
        self._compensation = compensation

    async def tell(self, item: Item, rejected: CommandBook, meta: dict[str, Any], flow: "Flow") -> Done:
        """Do one row: tell whoever is to hear of a rejected command, or carry out what it said.

        Args:
            item: the row.
            rejected: the refused command.
            meta: what the row's body says beside it.
            flow: how what it causes runs.
        """
        case = Case.of(self._engine, item, rejected, meta, flow)
        manager = self._reactors.managers.get(item.row.component) if meta["kind"] == PROCESS_MANAGER else None
        if "verdict" in meta:
            return await self._carry_out(case, _read(BusinessResponse, meta["verdict"]), manager)
        if "notice" in meta:
            return await self._forward_for_saga(case, _read(Notification, meta["notice"]))
        if manager is not None:
            return await self._tell_manager(case, manager, case.notice())
        saga = self._reactors.sagas.get(item.row.component)
        if saga is not None and "asked" not in meta and _rejected_key(rejected) in saga.rejected:
            return await self._tell_saga(case, saga, meta)
        return await self._tell_aggregate(case, case.notice())

    async def _tell_saga(self, case: Case, saga: SagaComponent, meta: dict[str, Any]) -> Done:
        """Tell a saga that wants to hear of it; its source is told afterwards, unless the saga says what to tell it."""
        item = case.item
        trigger = _trigger(case.notice(), case.source, item.row.last_sequence)
        try:
            answer = await self._reactors.ask(
                item, "Saga", saga.endpoint.handle(SagaHandleRequest(source=trigger))
            )
        except FailedError as failure:
            if may_pass(failure.error):
                raise
            _log.warning("saga_rejection_failed", component=saga.name, error=failure.error.message)
            return await self._reactors.supersede(item, [_again(item, meta, asked=False)])
        facts, verdict = carried(answer.events)
        sender = Sender(saga.name, SAGA, case.source, item.row.last_sequence)
        index = _AFTER_REJECTION * (1 + meta["index"])
        facts = [addressed(fact, case.source) for fact in facts if fact.pages]
        sent = deliveries(item.row, sender, answer.commands, facts, index, of_rejection=True)
        rows = []
        if verdict.revocation is not None:
            rows.append(_verdict(item, meta, BusinessResponse(revocation=verdict.revocation)))
        if verdict.notification is not None:
            rows.append(_again(item, meta, asked=bool(sent), notice=_text(verdict.notification)))
        if verdict.notification is None or not is_for(verdict.notification, case.source):
            rows.append(_again(item, meta, asked=bool(sent or rows)))
        return await self._reactors.supersede(item, [*rows, *sent])

    async def _tell_manager(
        self,
        case: Case,
        manager: ProcessManagerComponent,
        notice: Notification,
        *,
        upstream: bool = False,
    ) -> Done:
        item = case.item
        case = case.seen_by(_process_of(manager, item))
        meta, _ = unpack_body(item.row.body)
        trigger = _trigger(notice, case.source, case.cause.sequence)

        def verdicts(answer: ProcessManagerHandleResponse) -> list[Enqueue]:
            answer.facts, said = carried(answer.facts)
            answer.facts = [addressed(fact, case.source) for fact in answer.facts if fact.pages]
            rows = []
            if said.revocation is not None:
                rows.append(_verdict(item, meta, BusinessResponse(revocation=said.revocation)))
            if said.notification is not None and not upstream:
                rows.append(_verdict(item, meta, BusinessResponse(notification=said.notification)))
            return rows

        for _ in range(self._engine.config.commands.attempts):
            try:
                done = await self._reactors.advance(
                    item,
                    manager,
                    trigger,
                    cause=case.told,
                    verdicts=verdicts,
                    first_index=_AFTER_REJECTION * (1 + meta["index"]),
                )
            except ConflictError:
                continue
            except FailedError as failure:
                if may_pass(failure.error) or failure.patient:
                    raise
                await case.emit_system_revocation(failure.error.message or failure.error.status.name)
                return Done()
            if done.unanswered:
                await case.emit_system_revocation("the process manager did not compensate")
            return done
        raise case.crowded_out()

    async def _tell_aggregate(self, case: Case, notice: Notification, *, upstream: bool = False) -> Done:
        try:
            answer = await self._compensation.handle(case.compensating(notice), case.origin())
        except GRPCError as error:
            if may_pass(error):
                raise FailedError(error, patient=is_the_stores(error)) from error
            await case.unanswered(error.message or error.status.name)
            return Done()
        if has_field(answer, "notification") and upstream:
            await case.emit_system_revocation("the notification was forwarded once already")
            return Done()
        return await self._carry_out(case, answer, None)

    async def _carry_out(
        self,
        case: Case,
        answer: BusinessResponse,
        manager: ProcessManagerComponent | None,
    ) -> Done:
        if manager is not None:
            case = case.seen_by(_process_of(manager, case.item))
        if has_field(answer, "events") and answer.events.pages:
            await case.done()
        elif has_field(answer, "revocation"):
            await self._revoke(case, answer.revocation)
            if answer.revocation.abort:
                text = f"Compensation aborted the chain: {answer.revocation.reason or case.reason}"
                return Done(rejection=GRPCError(Status.ABORTED, text))
        elif has_field(answer, "notification"):
            return await self._forward(await case.forwarded(answer.notification), case, answer.notification)
        else:
            await case.unanswered("the source did not compensate")
        return Done()

    async def _forward_for_saga(self, case: Case, notice: Notification) -> Done:
        """A saga's notification goes to the aggregate it names, else to the saga's source."""
        onward = case if is_for(notice, case.source) else await case.forwarded(notice)
        return await self._forward(onward, case, notice)

    async def _forward(self, onward: Case | None, case: Case, notice: Notification) -> Done:
        if onward is None:
            await case.emit_system_revocation("the notification names no aggregate to forward it to")
            return Done()
        notice = onward.completed(notice)
        above = self._reactors.manager_of(onward.source.domain)
        if above is not None:
            return await self._tell_manager(onward, above, notice, upstream=True)
        return await self._tell_aggregate(onward, notice, upstream=True)

    async def _revoke(self, case: Case, revocation: RevocationResponse) -> None:
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

    async def _escalate(self, case: Case, reason: str) -> None:
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


def _process_of(manager: ProcessManagerComponent, item: Item) -> Cover:
    correlation_id = item.row.correlation_id
    key = Key(manager.pm_domain, item.row.key.edition, process_root(correlation_id))
    return books.cover_of(key, correlation_id)


def _trigger(notice: Notification, cover: Cover, sequence: int) -> EventBook:
    page = EventPage(header=PageHeader(sequence=sequence), event=pack(notice), created_at=now())
    return EventBook(cover=cover, pages=[page], next_sequence=sequence + 1)


def _rejected_key(rejected: CommandBook) -> tuple[str, str]:
    return rejected.cover.domain, first_command(rejected).rpartition(".")[2]


def _again(item: Item, meta: dict[str, Any], *, asked: bool, **more: Any) -> Enqueue:
    """The same rejection, to be told to the next in turn."""
    _, data = unpack_body(item.row.body)
    return follow_up(REJECTION, item.row, pack_body({**meta, "asked": asked, **more}, data))


def _verdict(item: Item, meta: dict[str, Any], answer: BusinessResponse) -> Enqueue:
    """What a component said of a rejection, to be carried out."""
    _, data = unpack_body(item.row.body)
    return follow_up(REJECTION, item.row, pack_body({**meta, "verdict": _text(answer)}, data))


def _text(message: betterproto.Message) -> str:
    return base64.b64encode(codec.encode(message)).decode()


def _read(cls: type[M], text: str) -> M:
    return codec.decode(cls, base64.b64decode(text))


def _post(url: str, facts: dict[str, str]) -> None:
    request = urllib.request.Request(
        url, json.dumps(facts).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=10):
            return
    except OSError as error:
        _log.warning("escalation_not_posted", url=url, error=str(error))
