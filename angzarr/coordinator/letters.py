"""Dead letters: list, replay, skip."""

import json
from typing import TYPE_CHECKING

from grpclib import GRPCError
from grpclib.const import Status

from angzarr import codec
from angzarr.coordinator import books, sending
from angzarr.coordinator.commits import ASYNC, FAIL_FAST, Origin
from angzarr.coordinator.dead_letters import DELIVERY
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.outliving import outliving
from angzarr.coordinator.projections import Projections, consumer_of
from angzarr.coordinator.reactions import Reactions
from angzarr.coordinator.services import answered
from angzarr.coordinator.steps import Item
from angzarr.coordinator.store.records import DeadLetterRow, DropDeadLetter, Enqueue, Operation, SetPosition
from angzarr.coordinator.store.writes import microseconds
from angzarr.messages import (
    AngzarrDeadLetter,
    CommandRequest,
    EventRequest,
    PageHeader,
    clone,
    has_field,
)

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

ID = "angzarr.id"
"""Key of ``AngzarrDeadLetter.metadata`` under which a listed letter carries its number in the store."""


class DeadLetters:
    """The dead letters of a running coordinator."""

    def __init__(
        self, engine: Engine, reactions: Reactions, projections: Projections, group: "TaskGroup"
    ) -> None:
        self._engine = engine
        self._group = group
        self._reactions = reactions
        self._projections = projections

    async def list(self, domain: str | None, component: str | None) -> "list[AngzarrDeadLetter]":
        """The letters, newest last."""
        rows = await self._engine.store.dead_letters(domain, component)
        return [_read(row) for row in rows]

    async def replay(self, letter: AngzarrDeadLetter) -> None:
        """Try again what failed. The letter goes when it succeeds or is on its way again.

        Raises:
            GRPCError: NOT_FOUND, the letter is not there any more; what the command is refused with.
        """
        await outliving(self._group, self._replay(letter))

    async def _replay(self, letter: AngzarrDeadLetter) -> None:
        drop = DropDeadLetter(await self._id(letter))
        if letter.source_component_type == "projector":
            await self._unpark(letter, drop, skip=False)
        elif has_field(letter, "rejected_command"):
            await self._send_again(letter, drop)
        elif any(not has_field(page.header, "sequence") for page in letter.rejected_events.pages):
            await self._inject_again(letter, drop)
        else:
            await self._react_again(letter, drop)

    async def skip(self, letter: AngzarrDeadLetter) -> None:
        """Let what failed be; what waited behind it goes on.

        Raises:
            GRPCError: NOT_FOUND, the letter is not there any more.
        """
        await outliving(self._group, self._skip(letter))

    async def _skip(self, letter: AngzarrDeadLetter) -> None:
        drop = DropDeadLetter(await self._id(letter))
        if letter.source_component_type == "projector":
            await self._unpark(letter, drop, skip=True)
        else:
            await self._engine.store.submit([drop])

    async def _id(self, letter: AngzarrDeadLetter) -> int:
        wanted = letter.metadata.get(ID)
        for row in await self._engine.store.dead_letters():
            if str(row.id) == wanted or (wanted is None and row.data == codec.encode(letter)):
                return row.id
        raise GRPCError(Status.NOT_FOUND, "No such dead letter: it was replayed or skipped already")

    async def _unpark(self, letter: AngzarrDeadLetter, drop: Operation, *, skip: bool) -> None:
        key, pages = books.key_of(letter.cover), letter.rejected_events.pages
        last = pages[-1].header.sequence
        subscription = self._projections.subscriptions.get(letter.source_component)
        if subscription is not None:
            await subscription.unpark(key, last if skip else None, drop)
            return
        # Of an application without that projector: it goes on when it is there again.
        at = last if skip else pages[0].header.sequence - 1
        consumer = consumer_of(letter.source_component)
        await self._engine.store.submit([SetPosition(consumer, key, at), drop])

    async def _send_again(self, letter: AngzarrDeadLetter, drop: Operation) -> None:
        book = clone(letter.rejected_command)
        key = books.key_of(book.cover)
        if has_field(letter, "sequence_mismatch"):
            following = await self._engine.store.next_sequence(key)
            for page in book.pages:
                page.header = PageHeader(sequence=following)
        origin = _origin(letter, drop)
        await answered(self._reactions.steps.commands.execute(CommandRequest(command=book), origin), None)

    async def _inject_again(self, letter: AngzarrDeadLetter, drop: Operation) -> None:
        book = clone(letter.rejected_events)
        book.pages = await answered(self._engine.upcast(book.cover.domain, book.pages), None)
        request = EventRequest(events=book, route_to_handler=True)
        origin = _origin(letter, drop)
        await answered(self._reactions.steps.facts.execute(request, origin), None)

    async def _react_again(self, letter: AngzarrDeadLetter, drop: Operation) -> None:
        pages = letter.rejected_events.pages
        kind = sending.SAGA if letter.source_component_type == "saga" else sending.PROCESS_MANAGER
        row = Enqueue(
            kind,
            letter.source_component,
            books.key_of(letter.rejected_events.cover),
            pages[0].header.sequence,
            pages[-1].header.sequence,
            letter.rejected_events.cover.correlation_id,
            sending.trigger_body(ASYNC, FAIL_FAST, book=letter.rejected_events, replayed=True),
        )
        results = await self._engine.store.submit([drop, row])
        (made,) = sending.rows_of([row], results[1:], microseconds())
        self._reactions.add([Item(made)])


def _read(row: DeadLetterRow) -> AngzarrDeadLetter:
    letter = codec.decode(AngzarrDeadLetter, row.data)
    letter.metadata[ID] = str(row.id)
    return letter


def _origin(letter: AngzarrDeadLetter, drop: Operation) -> Origin:
    """Who sent what a letter is about; the same as at first, so that it is done once."""
    if letter.source_component_type == "command_handler":
        return Origin(with_commit=(drop,))
    delivery = letter.metadata.get(DELIVERY)
    if delivery is None:
        return Origin(letter.source_component, with_commit=(drop,))
    return sending.origin_of(json.loads(delivery), letter.source_component, (drop,))
