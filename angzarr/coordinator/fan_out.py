"""What follows from a commit: reactions, projections, event streams – waited for or not, as the sync mode says."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from grpclib import GRPCError

from angzarr.coordinator import dead_letters, wire
from angzarr.coordinator.answers import first_command
from angzarr.coordinator.cascade import Cascade, ChainStoppedError, Failure, too_deep
from angzarr.coordinator.cases import notification
from angzarr.coordinator.commits import Commit, Flow, Origin
from angzarr.coordinator.errors import Pending, SettleTimeout, StoreError
from angzarr.coordinator.outliving import outliving
from angzarr.coordinator.reactions import belonging
from angzarr.coordinator.sending import REJECTION, component_type, delivery_of, unpack_body
from angzarr.coordinator.steps import Done, FailedError, Item
from angzarr.coordinator.store.records import Dequeue, Operation
from angzarr.coordinator.two_phase import TwoPhase
from angzarr.log import get_logger
from angzarr.messages import (
    CascadeErrorMode,
    CommandBook,
    CommandPage,
    CommandRequest,
    MergeStrategy,
    PageHeader,
    Projection,
    SyncMode,
    pack,
)

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from angzarr.coordinator.engine import Engine
    from angzarr.coordinator.projections import Projections
    from angzarr.coordinator.reactions import Reactions
    from angzarr.coordinator.speculation import CompensationPipeline
    from angzarr.coordinator.streams import EventStreams

CASCADE_ERRORS = "x-angzarr-cascade-errors"
_log = get_logger(__name__)


class Following:
    """The fan-out of a running coordinator."""

    def __init__(
        self,
        engine: "Engine",
        reactions: "Reactions",
        projections: "Projections",
        streams: "EventStreams",
        compensation: "CompensationPipeline",
        group: "TaskGroup",
    ) -> None:
        self._engine = engine
        self._group = group
        self._reactions = reactions
        self._projections = projections
        self._streams = streams
        self._compensation = compensation
        self.two_phase: TwoPhase = TwoPhase(engine, reactions.steps_of)
        reactions.finish_cascade = self._finished
        reactions.settle_cascade = self.two_phase.settle

    def begin(self, cascade_id: str) -> None:
        """See FanOut.begin."""
        self.two_phase.begin(cascade_id)

    async def request_done(self, cascade_id: str, failure: str = "") -> None:
        """See FanOut.request_done."""
        try:
            await outliving(self._group, self.two_phase.request_done(cascade_id, failure))
        except GRPCError as error:
            # The coordinator is stopping; the next start revokes what is pending.
            _log.warning("cascade_left_pending", cascade_id=cascade_id, error=error.message)

    def cascade_ended(self) -> None:
        """See FanOut.cascade_ended."""
        for subscription in self._projections.subscriptions.values():
            subscription.cascade_ended()

    def edition_deleted(self, domain: str, edition: str) -> None:
        """See FanOut.edition_deleted."""
        self._reactions.edition_deleted(domain, edition)
        for subscription in self._projections.subscriptions.values():
            subscription.edition_deleted(domain, edition)
        for cascade_id in self.two_phase.under_way:
            # What it waited for may have gone.
            self._group.start_soon(self._settle, cascade_id)

    async def _settle(self, cascade_id: str) -> None:
        try:
            await self.two_phase.settle(cascade_id)
        except StoreError as error:
            _log.error("cascade_left_pending", cascade_id=cascade_id, error=str(error))

    def plan(self, commit: Commit) -> Sequence[Operation]:
        """See FanOut.plan."""
        return self._reactions.plan(commit)

    def committed(self, commit: Commit) -> None:
        """See FanOut.committed."""
        items = self._reactions.committed(commit)
        if commit.flow.mode == SyncMode.CASCADE and not commit.abandoned:
            self._reactions.claim(items)
            commit.inline = items
        else:
            self._reactions.add(items)
        if commit.flow.mode != SyncMode.ISOLATED:
            self._projections.committed(commit)
            self._streams.committed(commit)

    async def finish(self, commit: Commit) -> list[Projection]:
        """See FanOut.finish. A CASCADE runs to its end, as its mode has it, also when the caller leaves before.

        Raises:
            GRPCError: a projector failed, or under CASCADE a reaction did and its mode says so; the text says what is
                stored.
        """
        if commit.flow.mode != SyncMode.CASCADE:
            return await self._finished(commit)
        cascade_id = commit.flow.cascade_id
        if cascade_id:
            self.two_phase.begin(cascade_id)
        return await outliving(self._group, self._whole(commit, cascade_id))

    async def _whole(self, commit: Commit, cascade_id: str) -> list[Projection]:
        failure = "the coordinator was stopped"
        try:
            projections = await self._finished(commit)
            failure = ""
            return projections
        except GRPCError as error:
            failure = error.message or error.status.name
            raise
        finally:
            if cascade_id:
                await self.two_phase.request_done(cascade_id, failure)

    async def _finished(self, commit: Commit) -> list[Projection]:
        mode = commit.flow.mode
        if mode not in {SyncMode.SIMPLE, SyncMode.CASCADE}:
            return []
        try:
            # Two-phase pages are projected when their cascade has ended, and this is part of it.
            projections = [] if commit.flow.cascade_id else await self.projected(commit)
            if mode == SyncMode.CASCADE:
                await self._cascade(commit)
            return projections
        finally:
            self._let_go(commit.inline)

    async def projected(self, commit: Commit) -> list[Projection]:
        """See FanOut.projected.

        Raises:
            GRPCError: a projector failed; the text says that the events are stored.
        """
        if commit.flow.mode not in {SyncMode.SIMPLE, SyncMode.CASCADE}:
            return []
        return await self._projections.synchronous(commit)

    def _let_go(self, items: list[Item]) -> None:
        """Steps that did not run here run when their turn comes."""
        left = [item for item in items if item.row.id in self._reactions.claimed]
        self._reactions.release(left)
        self._reactions.add(left)
        items.clear()

    async def _cascade(self, commit: Commit) -> None:
        if commit.flow.cascade is not None:
            await self._inline(commit, commit.flow.cascade)
            return
        cascade = Cascade()
        if commit.command is not None:
            cascade.succeeded.append(commit.command)
        try:
            await self._inline(commit, cascade)
        except ChainStoppedError as stopped:
            if commit.flow.errors == CascadeErrorMode.CASCADE_ERROR_COMPENSATE:
                await self._compensate(cascade, stopped.reason, commit.flow.cascade_id)
            raise stopped.reason from stopped
        if cascade.failures:
            added = wire.trailers.get()
            if added is not None:
                room = self._engine.config.serving.max_details_bytes
                added.append((CASCADE_ERRORS, cascade.as_json(room)))

    async def _inline(self, commit: Commit, cascade: Cascade) -> None:
        flow = _deeper(commit, cascade)
        queue = deque(commit.inline)
        if queue and flow.depth > self._engine.config.commands.cascade_depth:
            await self._stop_too_deep(queue, flow)
        try:
            while queue:
                item = queue.popleft()
                done = await self._step(item, flow, cascade)
                if done is not None:
                    queue.extendleft(reversed(done.following))
                    await self._after(item, done, queue, flow, cascade)
        finally:
            await self._leave(queue, flow)

    async def _leave(self, queue: "deque[Item]", flow: Flow) -> None:
        rest = [item for item in queue if item.row.id in self._reactions.claimed]
        if flow.errors == CascadeErrorMode.CASCADE_ERROR_COMPENSATE:
            # Whoever caused what was refused hears of it all the same.
            self._let_go([item for item in rest if item.row.kind == REJECTION])
            rest = [item for item in rest if item.row.kind != REJECTION]
        if rest and flow.errors == CascadeErrorMode.CASCADE_ERROR_COMPENSATE:
            # What caused them is taken back.
            self._reactions.release(rest)
            await self._engine.store.submit([Dequeue(item.row.id) for item in rest])
        else:
            self._let_go(rest)

    async def _step(self, item: Item, flow: Flow, cascade: Cascade) -> Done | None:
        try:
            done = await self._reactions.steps.step(item, flow)
        except FailedError as failure:
            await self._step_failed(item, failure.error, flow, cascade)
            return None
        self._reactions.claim(done.following)
        self._reactions.release([item])
        return done

    async def _step_failed(self, item: Item, error: GRPCError, flow: Flow, cascade: Cascade) -> None:
        item.attempt += 1
        item.started_at = None
        if flow.errors == CascadeErrorMode.CASCADE_ERROR_DEAD_LETTER:
            await self._reactions.steps.give_up(item, error)
            self._reactions.release([item])
        else:
            self._let_go([item])
        self._count(Failure(item.row.component, item.row.key.domain, error), flow, cascade)

    async def _after(
        self, item: Item, done: Done, queue: "deque[Item]", flow: Flow, cascade: Cascade
    ) -> None:
        if done.rejection is None:
            if done.command is not None:
                cascade.succeeded.append(done.command)
            if done.commit is not None:
                await self._finished(done.commit)
            return
        while queue and queue[0].row.kind == REJECTION:
            told = await self._step(queue.popleft(), flow, cascade)
            if told is None:
                continue
            if told.rejection is not None:
                await self._stop_chain(item, queue)
            queue.extendleft(reversed(told.following))
            if told.commit is not None:
                await self._finished(told.commit)
            if told.rejection is not None:
                raise ChainStoppedError(told.rejection)
        domain = item.row.key.domain if done.command is None else done.command.cover.domain
        if flow.errors == CascadeErrorMode.CASCADE_ERROR_DEAD_LETTER and done.command is not None:
            meta, _ = unpack_body(item.row.body)
            kind = component_type(meta.get("kind"))
            reason = done.rejection.message or done.rejection.status.name
            letter = dead_letters.of_command(
                done.command, item.row.component, kind, reason, 1, delivery_of(meta)
            )
            await self._engine.store.submit([dead_letters.letter_row(letter)])
        self._count(Failure(item.row.component, domain, done.rejection), flow, cascade)

    async def _stop_chain(self, item: Item, queue: "deque[Item]") -> None:
        rest = belonging(queue, item)
        self._reactions.release(rest)
        await self._reactions.drop(queue, rest)

    def _count(self, failure: Failure, flow: Flow, cascade: Cascade) -> None:
        cascade.failures.append(failure)
        _log.warning(
            "cascade_failure",
            component=failure.component,
            domain=failure.domain,
            code=failure.error.status.name,
            error=failure.error.message,
        )
        if flow.errors in {
            CascadeErrorMode.CASCADE_ERROR_FAIL_FAST,
            CascadeErrorMode.CASCADE_ERROR_COMPENSATE,
        }:
            raise ChainStoppedError(failure.error)

    async def _stop_too_deep(self, queue: "deque[Item]", flow: Flow) -> None:
        error = too_deep(flow.chain, self._engine.config.commands.cascade_depth)
        for item in queue:
            await self._reactions.steps.give_up(item, error)
        self._reactions.release(queue)
        queue.clear()
        raise ChainStoppedError(error)

    async def _compensate(self, cascade: Cascade, reason: GRPCError, cascade_id: str) -> None:
        origin = Origin(flow=Flow(cascade_id=cascade_id))
        for command in reversed(cascade.succeeded):
            try:
                taking_back = _taking_back(command, reason.message or reason.status.name)
                await self._compensation.handle(taking_back, origin)
            except GRPCError as error:
                _log.error(
                    "compensation_failed",
                    domain=command.cover.domain,
                    root=command.cover.root.value.hex(),
                    error=error.message,
                )

    def pending(self, correlation_id: str | None = None) -> list[Pending]:
        """What is not done yet."""
        rows = [*self._reactions.pending(correlation_id), *self._projections.pending(correlation_id)]
        if correlation_id is None:
            rows += (Pending(name, "*", b"", 0, 1, 0.0, "two-phase") for name in self.two_phase.under_way)
        return rows

    def _is_busy(self, correlation_id: str | None = None) -> bool:
        """Whether anything is not done yet; unlike the list of it, cheap beside much that is not."""
        if self._reactions.is_busy(correlation_id) or self._projections.is_busy(correlation_id):
            return True
        return correlation_id is None and bool(self.two_phase.under_way)

    async def settle(self, timeout: float, correlation_id: str | None = None) -> None:
        """Wait until nothing is left to be done.

        Raises:
            SettleTimeout: something still is, after ``timeout`` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while self._is_busy(correlation_id):
                    await self._something_changed()
        except TimeoutError:
            rows = self.pending(correlation_id)
            if rows:
                raise SettleTimeout(timeout, rows) from None

    async def _something_changed(self) -> None:
        events = [
            self._reactions.changed,
            self.two_phase.changed,
            *(one.changed for one in self._projections.subscriptions.values()),
        ]
        for event in events:
            event.clear()
        if not self._is_busy():
            return
        waiting = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()


def _deeper(commit: Commit, cascade: Cascade) -> Flow:
    flow = commit.flow
    name = commit.key.domain if commit.command is None else first_command(commit.command)
    return replace(flow, depth=flow.depth + 1, chain=(*flow.chain, name), cascade=cascade)


def _taking_back(command: CommandBook, reason: str) -> CommandRequest:
    page = CommandPage(
        header=PageHeader(sequence=0),
        merge_strategy=MergeStrategy.MERGE_AGGREGATE_HANDLES,
        command=pack(notification(command.cover, command, reason)),
    )
    return CommandRequest(command=CommandBook(cover=command.cover, pages=[page]))
