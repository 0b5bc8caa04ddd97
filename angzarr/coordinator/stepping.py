"""One step of the outbox at a time: call a component, deliver what it sends, tell a source of a rejection."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grpclib import GRPCError
from grpclib.const import Status

from angzarr import codec
from angzarr.coordinator import dead_letters, faults
from angzarr.coordinator.commits import Flow, Origin
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.errors import StoreError
from angzarr.coordinator.loops import too_many
from angzarr.coordinator.reactors import Reactors
from angzarr.coordinator.sending import (
    COMMAND,
    FACT,
    PROCESS_MANAGER,
    REJECTION,
    SAGA,
    caused_of,
    component_type,
    delivery_of,
    follow_up,
    origin_of,
    pack_body,
    unpack_body,
)
from angzarr.coordinator.steps import Done, FailedError, Item, is_the_stores, may_pass
from angzarr.coordinator.store.records import Dequeue, OutboxRow
from angzarr.log import get_logger
from angzarr.messages import CommandRequest, EventRequest

if TYPE_CHECKING:
    from angzarr.coordinator.commands import CommandPipeline
    from angzarr.coordinator.facts import FactPipeline
    from angzarr.coordinator.rejections import Rejections

_log = get_logger(__name__)


class Steps:
    """Does the steps of an engine's outbox, and stores that they are done."""

    def __init__(
        self,
        engine: Engine,
        commands: "CommandPipeline",
        facts: "FactPipeline",
        rejections: "Rejections",
        reactors: Reactors,
    ) -> None:
        self._engine = engine
        self.reactors = reactors
        self.commands = commands
        self.facts = facts
        self._rejections = rejections
        self._config = engine.config.reactions

    async def step(self, item: Item, flow: Flow) -> Done:
        """Do one step, and store that it is done.

        Args:
            item: the step.
            flow: how the commands it sends run.

        Raises:
            FailedError: it could not be done; nothing has changed.
        """
        item.started_at = asyncio.get_running_loop().time()
        faults.reached("after outbox read")
        kind, caused = item.row.kind, caused_of(item.row)
        flow = replace(flow, caused=caused)
        try:
            if caused > self._config.depth and kind != REJECTION:
                error = await too_many(self._engine.store, item.row, self._config.depth)
                raise FailedError(error, hopeless=True)
            if kind == SAGA:
                return await self.reactors.call_saga(item)
            if kind == PROCESS_MANAGER:
                return await self.reactors.call_manager(item)
            if kind == COMMAND:
                return await self._deliver_command(item, flow)
            if kind == FACT:
                return await self._deliver_fact(item, flow)
            return await self._tell(item, flow)
        except StoreError as error:
            raise FailedError(GRPCError(Status.INTERNAL, str(error)), patient=True) from error
        except GRPCError as error:
            raise FailedError(error, patient=is_the_stores(error)) from error

    async def _deliver_command(self, item: Item, flow: Flow) -> Done:
        row = item.row
        meta, data = unpack_body(row.body)
        request = codec.decode(CommandRequest, data)
        origin = replace(self._origin(row, meta, flow), fresh=item.fresh and item.attempt == 0)
        try:
            commit = await self.commands.execute(request, origin)
        except GRPCError as error:
            if may_pass(error):
                raise FailedError(error, patient=is_the_stores(error)) from error
            meta["reason"] = error.message or error.status.name
            done = await self.reactors.supersede(item, [follow_up(REJECTION, row, pack_body(meta, data))])
            return replace(done, rejection=error, command=request.command)
        faults.reached("after delivery")
        return Done(commit=commit, command=request.command)

    async def _deliver_fact(self, item: Item, flow: Flow) -> Done:
        row = item.row
        meta, data = unpack_body(row.body)
        try:
            commit = await self.facts.execute(codec.decode(EventRequest, data), self._origin(row, meta, flow))
        except GRPCError as error:
            patient = is_the_stores(error)
            raise FailedError(error, hopeless=not may_pass(error), patient=patient) from error
        return Done(commit=commit)

    def _origin(self, row: OutboxRow, meta: dict[str, Any], flow: Flow) -> Origin:
        return replace(origin_of(meta, row.component, (Dequeue(row.id),)), flow=flow)

    async def _tell(self, item: Item, flow: Flow) -> Done:
        meta, data = unpack_body(item.row.body)
        rejected = codec.decode(CommandRequest, data).command
        return await self._rejections.tell(item, rejected, meta, flow)

    async def give_up(self, item: Item, error: GRPCError) -> None:
        """Put a step that cannot be done into the dead letters."""
        letter = await self._letter(item, error)
        await self._engine.store.submit([dead_letters.letter_row(letter), Dequeue(item.row.id)])
        _log.error(
            "reaction_dead_lettered",
            component=item.row.component,
            step=item.row.kind,
            domain=item.row.key.domain,
            root=item.row.key.root.hex(),
            sequence=item.row.last_sequence,
            error=error.message,
        )

    async def _letter(self, item: Item, error: GRPCError) -> Any:
        row = item.row
        reason = f"{row.component}: {error.message}"
        if row.kind in {SAGA, PROCESS_MANAGER}:
            kind = component_type(row.kind)
            return dead_letters.of_events(
                await self.reactors.book_of(item), row.component, kind, reason, item.attempt
            )
        meta, data = unpack_body(row.body)
        kind = component_type(meta.get("kind"))
        if row.kind == FACT:
            book = codec.decode(EventRequest, data).events
            return dead_letters.of_events(book, row.component, kind, reason, item.attempt, delivery_of(meta))
        command = codec.decode(CommandRequest, data).command
        return dead_letters.of_command(command, row.component, kind, reason, item.attempt, delivery_of(meta))
