"""A two-phase cascade ends once, for all of its pages: when the request and the reactions it caused have settled."""

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import CoordinatorConfig, EmbeddedCoordinator, ReactionConfig
from angzarr.coordinator.sending import COMMAND, pack_body
from angzarr.coordinator.store import SqliteStore
from angzarr.coordinator.store.records import PENDING, Append, Enqueue, Key, NewEvent
from angzarr.messages import (
    AngzarrDeferredSequence,
    BusinessResponse,
    CascadeErrorMode,
    CommandBook,
    CommandPage,
    CommandRequest,
    DeleteEditionEvents,
    EventBook,
    EventPage,
    MergeStrategy,
    PageHeader,
    SyncMode,
    decode,
    encode,
    new_cover,
    now,
    pack,
)
from tests.coordinator.worlds import (
    A,
    B,
    Domain,
    Saga,
    command,
    events,
    names,
    payload,
    request,
    send,
    world,
)


async def test_what_runs_on_after_a_failed_request_is_revoked_with_it() -> None:
    saga = Saga({"DoneOne": lambda _: [command("right", B, "DoBad"), command("right", B, "DoMore")]})
    right = Domain()
    right.refuse["DoBad"] = GRPCError(Status.FAILED_PRECONDITION, "no")
    async with world(handlers={"left": Domain(), "right": right}, sagas={"s": ("left", saga)}) as running:
        with pytest.raises(GRPCError, match="no"):
            await send(running, "left", A, "DoOne", cascade_id="x-1", sync_mode=SyncMode.CASCADE)
        await running.settle(20)
        assert names(await running.events("left", A)) == ["NoOp", "Revocation"]
        assert names(await running.events("right", B)) == ["NoOp", "Revocation"]


async def test_compensation_of_a_two_phase_cascade_is_revoked_with_what_it_takes_back() -> None:
    saga = Saga({"DoneOne": lambda _: [command("right", B, "DoIt"), command("right", B, "DoBad")]})
    right = Domain(compensate=lambda asked: BusinessResponse(events=events(asked, "Undone")))
    right.refuse["DoBad"] = GRPCError(Status.FAILED_PRECONDITION, "no")
    async with world(handlers={"left": Domain(), "right": right}, sagas={"s": ("left", saga)}) as running:
        mode = CascadeErrorMode.CASCADE_ERROR_COMPENSATE
        with pytest.raises(GRPCError, match="no"):
            await send(
                running,
                "left",
                A,
                "DoOne",
                cascade_id="x-1",
                sync_mode=SyncMode.CASCADE,
                cascade_error_mode=mode,
            )
        await running.settle(20)
        assert [names(one.events) for one in right.notifications] == [["DoneIt"]]
        assert names(await running.events("right", B)) == ["NoOp", "NoOp", "Revocation"]


def to_be_sent(component: str, cascade_id: str, name: str) -> Enqueue:
    """A command that an event of the left aggregate has led to."""
    meta = {"index": 0, "kind": "saga", "cause": ["", "left", A.hex(), 0], "cascade": cascade_id, "caused": 1}
    body = pack_body(meta, encode(CommandRequest(command=command("right", B, name, sequence=0))))
    return Enqueue(COMMAND, component, Key("left", "", A), 0, 0, body=body)


async def test_what_a_crash_left_to_be_sent_of_a_cascade_is_not_sent(tmp_path: Path) -> None:
    page = EventPage(
        header=PageHeader(sequence=0), created_at=now(), event=payload("DoneOne"), no_commit=True
    )
    page.cascade_id = "x-1"
    left = NewEvent(0, encode(page), 0, state=PENDING, cascade_id="x-1")
    store = SqliteStore(tmp_path / "w.db")
    await store.open()
    await store.submit(
        [
            Append(Key("left", "", A), (left,)),
            to_be_sent("s", "x-1", "DoIt"),
            to_be_sent("t", "", "DoOther"),
        ]
    )
    await store.close()
    handlers = {"left": Domain(), "right": Domain()}
    async with EmbeddedCoordinator(handlers=handlers, store=tmp_path / "w.db") as running:
        await running.settle(20)
        assert names(await running.events("left", A)) == ["NoOp", "Revocation"]
        assert names(await running.events("right", B)) == ["DoneOther"]
        assert await running.runtime.engine.store.outbox() == []


async def test_a_stale_command_is_not_shown_what_another_cascade_has_pending() -> None:
    async with world(handlers={"left": Domain()}) as running:
        running.runtime.following.two_phase.begin("x-1")
        await send(running, "left", A, "DoOne", cascade_id="x-1")
        for strategy in ("MERGE_STRICT", "MERGE_MANUAL", "MERGE_COMMUTATIVE"):
            stale = request("left", A, "DoTwo")
            stale.command.pages[0].merge_strategy = MergeStrategy.from_string(strategy)
            with pytest.raises(GRPCError, match="expects 0, aggregate at 1") as caught:
                await running.runtime.commands.handle_command(stale)
            assert isinstance(caught.value.details, bytes)
            assert names(decode(EventBook, caught.value.details)) == ["NoOp"]
        await running.runtime.following.request_done("x-1")


async def test_a_compensation_may_be_part_of_a_cascade() -> None:
    async with world(handlers={"left": Domain()}) as running:
        running.runtime.following.two_phase.begin("x-1")
        asked = request("left", A, "DoUndo", cascade_id="x-1")
        await running.runtime.commands.handle_compensation(asked)
        assert names(await running.events("left", A)) == ["NoOp"]
        await running.runtime.following.request_done("x-1", "no")
        assert names(await running.events("left", A)) == ["NoOp", "Revocation"]


async def test_a_compensation_that_is_a_cascade_of_its_own_is_confirmed() -> None:
    async with world(handlers={"left": Domain()}) as running:
        await running.runtime.commands.handle_compensation(request("left", A, "DoUndo", cascade_id="x-1"))
        await running.settle(20)
        assert names(await running.events("left", A)) == ["DoneUndo", "Confirmation"]
        with pytest.raises(GRPCError, match="cascade id"):
            await running.runtime.commands.handle_compensation(
                request("left", A, "DoIt", cascade_id="no spaces")
            )


async def test_a_command_that_is_sent_again_is_answered_with_its_pages_as_they_have_become() -> None:
    async with world(handlers={"left": Domain()}) as running:
        made = request("left", A, "DoOne", cascade_id="x-1")
        deferred = AngzarrDeferredSequence(source=new_cover("right", B), source_seq=4)
        made.command.pages[0].header = PageHeader(angzarr_deferred=deferred)
        first = await running.runtime.commands.handle_command(made)
        again = await running.runtime.commands.handle_command(made)
        assert [page.no_commit for page in first.events.pages + again.events.pages] == [True, False]
        assert names(again.events) == ["DoneOne"]


async def test_a_cascade_ends_when_what_it_waited_for_is_deleted_with_its_edition() -> None:
    saga = Saga({"DoneOne": lambda _: []}, failures=[GRPCError(Status.INTERNAL, "not yet")] * 100)
    slow = CoordinatorConfig(reactions=ReactionConfig(min_delay=600.0, max_delay=600.0))
    handlers = {"left": Domain(), "right": Domain()}
    async with world(slow, handlers=handlers, sagas={"s": ("left", saga)}) as running:
        await send(running, "right", B, "DoOther", edition="what-if", cascade_id="x-1")
        await running.settle(20)
        running.runtime.following.two_phase.begin("x-1")
        await send(running, "right", B, "DoMore", edition="what-if", cascade_id="x-1")
        await send(running, "left", A, "DoOne", edition="what-if", cascade_id="x-1")
        await running.runtime.following.request_done("x-1")
        with anyio.fail_after(30):
            while "failed" not in running.runtime.reactions.pending()[0].state:
                await anyio.lowlevel.checkpoint()
        page = CommandPage(command=pack(DeleteEditionEvents(edition="what-if", domain="left")))
        book = CommandBook(cover=new_cover("_angzarr", B), pages=[page])
        await running.runtime.commands.handle_command(CommandRequest(command=book))
        await running.settle(20)
        seen = names(await running.events("right", B, edition="what-if"))
        assert seen == ["DoneOther", "Confirmation", "DoneMore", "Confirmation"]
