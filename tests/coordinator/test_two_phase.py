"""Two-phase pages: pending while their cascade runs, then confirmed or revoked."""

from pathlib import Path

import anyio
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import EmbeddedCoordinator
from angzarr.coordinator.store import SqliteStore
from angzarr.coordinator.store.records import PENDING, Append, Key, NewEvent
from angzarr.messages import EventPage, NoOp, PageHeader, Revocation, SyncMode, encode, now, unpack
from tests.coordinator.worlds import A, B, Domain, Saga, View, command, names, payload, send, world


async def test_pages_are_confirmed_when_the_request_has_succeeded() -> None:
    async with world(handlers={"left": Domain()}) as running:
        response = await send(running, "left", A, "DoOne", cascade_id="x-1")
        assert (response.events.pages[0].no_commit, response.events.pages[0].cascade_id) == (True, "x-1")
        await running.settle(30)
        book = await running.events("left", A)
        assert names(book) == ["DoneOne", "Confirmation"]
        assert book.pages[0].no_commit is False


async def test_the_reactions_belong_to_the_cascade() -> None:
    saga = Saga({"DoneOne": lambda _: [command("right", B, "DoIt")]})
    handlers = {"left": Domain(), "right": Domain()}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne", cascade_id="x-1")
        await running.settle(30)
        assert names(await running.events("left", A)) == ["DoneOne", "Confirmation"]
        assert names(await running.events("right", B)) == ["DoneIt", "Confirmation"]


async def test_a_failing_cascade_is_revoked_everywhere() -> None:
    saga = Saga({"DoneOne": lambda _: [command("right", B, "DoIt"), command("right", B, "DoMore")]})
    right = Domain()
    right.refuse["DoMore"] = GRPCError(Status.FAILED_PRECONDITION, "no")
    async with world(handlers={"left": Domain(), "right": right}, sagas={"s": ("left", saga)}) as running:
        with pytest.raises(GRPCError, match="no"):
            await send(running, "left", A, "DoOne", cascade_id="x-1", sync_mode=SyncMode.CASCADE)
        await running.settle(30)
        book = await running.events("left", A)
        assert names(book) == ["NoOp", "Revocation"]
        assert unpack(book.pages[0].event, NoOp).reason == "revoked"
        revoked = unpack(book.pages[1].event, Revocation)
        assert (list(revoked.sequences), revoked.cascade_id, revoked.reason) == ([0], "x-1", "no")
        assert names(await running.events("right", B)) == ["NoOp", "Revocation"]


async def test_others_see_no_op_pages_and_projectors_wait() -> None:
    view, left = View(), Domain()
    async with world(handlers={"left": left}, projectors={"view": (["left"], view)}) as running:
        running.runtime.following.two_phase.begin("x-1")
        await send(running, "left", A, "DoOne", cascade_id="x-1")
        await send(running, "left", A, "DoTwo")
        assert names(left.commands[-1].events) == ["NoOp"]
        await send(running, "left", A, "DoMine", cascade_id="x-1")
        assert names(left.commands[-1].events) == ["DoneOne", "DoneTwo"]
        assert names(await running.events("left", A)) == ["NoOp", "DoneTwo", "NoOp"]
        await running.runtime.following.two_phase.request_done("x-1")
        await running.settle(30)
        assert [name for _, _, name in view.events] == ["DoneOne", "DoneTwo", "DoneMine", "Confirmation"]


async def test_what_a_crash_left_pending_is_revoked_at_the_next_start(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "w.db")
    await store.open()
    page = EventPage(
        header=PageHeader(sequence=0), created_at=now(), event=payload("DoneOne"), no_commit=True
    )
    page.cascade_id = "x-1"
    left = NewEvent(0, encode(page), 0, state=PENDING, cascade_id="x-1")
    await store.submit([Append(Key("left", "", A), (left,))])
    await store.close()
    async with EmbeddedCoordinator(handlers={"left": Domain()}, store=tmp_path / "w.db") as running:
        assert names(await running.events("left", A)) == ["NoOp", "Revocation"]


async def test_a_malformed_cascade_id_is_refused() -> None:
    async with world(handlers={"left": Domain()}) as running:
        with pytest.raises(GRPCError, match="cascade id"):
            await send(running, "left", A, "DoOne", cascade_id="no spaces")


@pytest.mark.parametrize("mode", [SyncMode.SIMPLE, SyncMode.CASCADE])
async def test_sync_projectors_take_two_phase_pages_in_once_the_cascade_has_ended(mode: SyncMode) -> None:
    view = View()
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], view)}) as running:
        with anyio.fail_after(30):
            response = await send(running, "left", A, "DoOne", cascade_id="x-1", sync_mode=mode)
        assert [one.projector for one in response.projections] == ["view"]
        assert [name for _, _, name in view.events][:1] == ["DoneOne"]


async def test_sync_projectors_do_not_hold_up_a_cascade_that_fails() -> None:
    saga, right = Saga({"DoneOne": lambda _: [command("right", B, "DoIt")]}), Domain()
    right.refuse["DoIt"] = GRPCError(Status.FAILED_PRECONDITION, "no")
    handlers, projectors = {"left": Domain(), "right": right}, {"view": (["left"], View())}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}, projectors=projectors) as running:
        with anyio.fail_after(30), pytest.raises(GRPCError, match="no"):
            await send(running, "left", A, "DoOne", cascade_id="x-1", sync_mode=SyncMode.CASCADE)
        await running.settle(30)
        assert names(await running.events("left", A)) == ["NoOp", "Revocation"]


async def test_what_a_failed_request_left_to_be_done_is_revoked_with_it() -> None:
    """FAIL_FAST stops at the first saga; what the second does afterwards belongs to the same cascade."""
    first = Saga({"DoneOne": lambda _: [command("right", B, "DoIt")]})
    second = Saga({"DoneOne": lambda _: [command("other", B, "DoIt")]})
    right = Domain()
    right.refuse["DoIt"] = GRPCError(Status.FAILED_PRECONDITION, "no")
    handlers = {"left": Domain(), "right": right, "other": Domain()}
    sagas = {"s": ("left", first), "t": ("left", second)}
    async with world(handlers=handlers, sagas=sagas) as running:
        with pytest.raises(GRPCError, match="no"):
            await send(running, "left", A, "DoOne", cascade_id="x-1", sync_mode=SyncMode.CASCADE)
        await running.settle(30)
        assert names(await running.events("left", A)) == ["NoOp", "Revocation"]
        assert names(await running.events("other", B)) == ["NoOp", "Revocation"]


async def test_a_cascade_asked_to_end_twice_at_once_ends_once() -> None:
    async with world(handlers={"left": Domain()}) as running:
        two_phase = running.runtime.following.two_phase
        two_phase.begin("x-1")
        await send(running, "left", A, "DoOne", cascade_id="x-1")
        async with anyio.create_task_group() as group:
            group.start_soon(two_phase.request_done, "x-1", "it failed")
            for _ in range(3):
                group.start_soon(two_phase.settle, "x-1")
        assert names(await running.events("left", A)) == ["NoOp", "Revocation"]
