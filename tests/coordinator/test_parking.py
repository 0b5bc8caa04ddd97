"""Parked aggregates, rebuilt projectors, deleted editions: each step is whole, whoever leaves in the middle."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import EmbeddedCoordinator
from angzarr.coordinator.store import SqliteStore
from angzarr.coordinator.store.records import AdoptPositions, DeleteEdition, DropDeadLetter, Operation
from angzarr.messages import (
    CommandBook,
    CommandPage,
    CommandRequest,
    DeleteEditionEvents,
    EventBook,
    PageHeader,
    Projection,
    SyncMode,
    new_cover,
    pack,
)
from tests.coordinator.worlds import FAST, A, Domain, View, send, world


class Watched(SqliteStore):
    """A store that keeps what it was given and can be held up at one kind of operation."""

    def __init__(self, path: Path | str = ":memory:", at: type | None = None) -> None:
        super().__init__(path)
        self.units: list[tuple[type, ...]] = []
        self.asked = anyio.Event()
        self.released = anyio.Event()
        self.stored = anyio.Event()
        self._at = at

    def submit(self, unit: Sequence[Operation]) -> "asyncio.Future[list[Any]]":
        self.units.append(tuple(map(type, unit)))
        if self._at is None or self._at not in self.units[-1]:
            return super().submit(unit)
        return asyncio.ensure_future(self._later(unit))

    async def _later(self, unit: Sequence[Operation]) -> list[Any]:
        self.asked.set()
        await self.released.wait()
        results = await super().submit(unit)
        self.stored.set()
        return results


def boom() -> View:
    return View(failures=[GRPCError(Status.INTERNAL, "boom")] * 3)


def shown(view: View) -> list[str]:
    return [name for _, _, name in view.events]


@pytest.mark.parametrize("skip", [True, False], ids=["skip", "replay"])
async def test_a_letter_goes_in_the_same_transaction_as_its_aggregate_goes_on(skip: bool) -> None:
    store, view = Watched(), boom()
    async with EmbeddedCoordinator(
        handlers={"left": Domain()}, projectors={"view": (["left"], view)}, store=store, config=FAST
    ) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        await send(running, "left", A, "DoTwo")
        (letter,) = await running.dead_letters()
        await (running.skip(letter) if skip else running.replay(letter))
        await running.settle(30)
        (unit,) = [unit for unit in store.units if DropDeadLetter in unit]
        assert len(unit) == 2
        assert "DoneTwo" in shown(view)
        assert await running.dead_letters() == []


async def test_a_caller_that_leaves_while_a_letter_is_replayed_does_not_stop_it() -> None:
    store, view = Watched(at=DropDeadLetter), boom()
    async with EmbeddedCoordinator(
        handlers={"left": Domain()}, projectors={"view": (["left"], view)}, store=store, config=FAST
    ) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        (letter,) = await running.dead_letters()
        replaying = asyncio.ensure_future(running.replay(letter))
        await store.asked.wait()
        replaying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await replaying
        store.released.set()
        with anyio.fail_after(30):
            while not view.books:  # noqa: ASYNC110
                await anyio.sleep(0.005)
        await send(running, "left", A, "DoTwo", sync_mode=SyncMode.SIMPLE)
        assert shown(view) == ["DoneOne", "DoneTwo"]


async def test_the_letter_of_a_projector_that_is_no_more_unparks_it_for_when_it_is_back(
    tmp_path: Path,
) -> None:
    view = boom()
    async with world(
        handlers={"left": Domain()}, projectors={"view": (["left"], view)}, store=tmp_path / "w.db"
    ) as running:
        await send(running, "left", A, "DoOne")
        await send(running, "left", A, "DoTwo")
        await running.settle(30)
    async with world(handlers={"left": Domain()}, store=tmp_path / "w.db") as running:
        (letter,) = await running.dead_letters()
        await running.skip(letter)
        assert await running.dead_letters() == []
    async with world(
        handlers={"left": Domain()}, projectors={"view": (["left"], view)}, store=tmp_path / "w.db"
    ) as running:
        await send(running, "left", A, "DoThree", sync_mode=SyncMode.SIMPLE)
        assert shown(view)[-1] == "DoneThree"


async def test_a_rebuilt_projector_takes_over_although_whoever_wanted_it_leaves() -> None:
    store, live, fresh = Watched(at=AdoptPositions), View(), View()
    async with EmbeddedCoordinator(
        handlers={"left": Domain()}, projectors={"view": (["left"], live)}, store=store, config=FAST
    ) as running:
        await send(running, "left", A, "DoOne", sync_mode=SyncMode.SIMPLE)

        async def rebuild() -> None:
            async for _ in running.rebuild("view", fresh):
                pass

        rebuilding = asyncio.ensure_future(rebuild())
        await store.asked.wait()
        rebuilding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rebuilding
        store.released.set()
        await send(running, "left", A, "DoTwo", sync_mode=SyncMode.SIMPLE)
        assert (shown(live), shown(fresh)) == (["DoneOne"], ["DoneOne", "DoneTwo"])


class Reluctant(View):
    """A projector that answers when it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = anyio.Event()
        self.released = anyio.Event()

    async def handle(self, book: EventBook) -> Projection:
        self.asked.set()
        await self.released.wait()
        return await super().handle(book)


async def test_who_waits_for_a_projector_is_answered_by_the_one_that_takes_over() -> None:
    live, fresh = Reluctant(), View()
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], live)}) as running:
        waiting = asyncio.ensure_future(send(running, "left", A, "DoOne", sync_mode=SyncMode.SIMPLE))
        await live.asked.wait()
        async for _ in running.rebuild("view", fresh):
            pass
        response = await waiting
        assert len(response.projections) == 1
        live.released.set()
        await send(running, "left", A, "DoTwo", sync_mode=SyncMode.SIMPLE)
    assert shown(fresh) == ["DoneOne", "DoneTwo"]


async def test_a_projector_is_rebuilt_once_at_a_time() -> None:
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], View())}) as running:
        await send(running, "left", A, "DoOne", sync_mode=SyncMode.SIMPLE)
        first = running.rebuild("view", View())
        await anext(first)
        with pytest.raises(GRPCError, match="'view' is being rebuilt already") as caught:
            await anext(running.rebuild("view", View()))
        assert caught.value.status is Status.FAILED_PRECONDITION
        assert [step async for step in first] == [(1, 1)]
        assert [step async for step in running.rebuild("view", View())][-1] == (1, 1)


async def test_an_edition_that_is_deleted_is_forgotten_although_the_caller_leaves() -> None:
    store, view = Watched(at=DeleteEdition), View()
    async with EmbeddedCoordinator(
        handlers={"left": Domain()}, projectors={"view": (["left"], view)}, store=store, config=FAST
    ) as running:
        await send(running, "left", A, "DoOne", edition="what-if", sync_mode=SyncMode.SIMPLE)
        book = CommandBook(cover=new_cover("_angzarr", A))
        deletion = pack(DeleteEditionEvents(edition="what-if", domain="left"))
        book.pages = [CommandPage(header=PageHeader(sequence=0), command=deletion)]
        deleting = asyncio.ensure_future(
            running.runtime.commands.handle_command(CommandRequest(command=book))
        )
        await store.asked.wait()
        await send(running, "left", A, "DoTwo", edition="what-if", sync_mode=SyncMode.SIMPLE)
        deleting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await deleting
        store.released.set()
        await store.stored.wait()
        await send(running, "left", A, "DoThree", edition="what-if", sync_mode=SyncMode.SIMPLE)
        assert shown(view) == ["DoneOne", "DoneTwo", "DoneThree"]
