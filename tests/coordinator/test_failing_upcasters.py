"""Upcasters that fail: whoever needed them is told, tries again, and gives up by name as with any other failure."""

from pathlib import Path

import anyio
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.messages import EventPage, SyncMode, UpcastRequest, UpcastResponse
from tests.coordinator.worlds import A, B, Domain, Saga, View, command, names, payload, send, world


class Upcaster:
    """Makes ``…Old`` events ``…New`` ones, unless it is broken."""

    def __init__(self, *, broken: bool = True) -> None:
        self.broken = broken

    async def upcast(self, request: UpcastRequest) -> UpcastResponse:
        if self.broken:
            raise GRPCError(Status.INTERNAL, "no such version")
        return UpcastResponse(events=[_newer(page) for page in request.events])


def _newer(page: EventPage) -> EventPage:
    name = page.event.type_url.rpartition(".")[2]
    return EventPage(
        header=page.header, created_at=page.created_at, event=payload(name.replace("Old", "New"))
    )


async def test_a_command_is_told_that_nothing_was_stored() -> None:
    upcaster = Upcaster(broken=False)
    async with world(handlers={"left": Domain()}, upcasters={"left": upcaster}) as running:
        await send(running, "left", A, "DoOld")
        upcaster.broken = True
        with pytest.raises(GRPCError) as caught:
            await send(running, "left", A, "DoMore")
        assert (caught.value.status, caught.value.message) == (
            Status.INTERNAL,
            "Upcaster failed: no such version; nothing was stored",
        )
        assert names(await running.events("left", A)) == ["DoneOld"]


async def test_whoever_waits_for_a_projector_is_told_and_its_aggregate_parked_until_it_is_replayed() -> None:
    upcaster, view = Upcaster(), View()
    async with world(
        handlers={"left": Domain()}, upcasters={"left": upcaster}, projectors={"view": (["left"], view)}
    ) as running:
        with anyio.fail_after(30), pytest.raises(GRPCError) as caught:
            await send(running, "left", A, "DoOld", sync_mode=SyncMode.SIMPLE)
        assert caught.value.message == (
            "Projector 'view' failed: Upcaster failed: no such version;"
            " the events are stored and it will be tried again"
        )
        await running.settle(30)
        (letter,) = await running.dead_letters(component="view")
        assert letter.rejection_reason == "view: Upcaster failed: no such version"
        assert names(letter.rejected_events) == ["DoneOld"]
        upcaster.broken = False
        await running.replay(letter)
        await running.settle(30)
        assert [name for _, _, name in view.events] == ["DoneNew"]


async def test_a_saga_that_a_restart_finds_without_upcaster_goes_to_the_dead_letters(tmp_path: Path) -> None:
    saga = Saga(
        {"DoneNew": lambda _: [command("right", B, "DoIt")]},
        failures=[GRPCError(Status.UNAVAILABLE, "away")] * 2,
    )
    handlers = {"left": Domain(), "right": Domain()}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}, store=tmp_path / "w.db") as running:
        await send(running, "left", A, "DoOld")
    upcaster = Upcaster()
    async with world(
        handlers=handlers,
        sagas={"s": ("left", saga)},
        upcasters={"left": upcaster},
        store=tmp_path / "w.db",
    ) as running:
        await running.settle(30)
        (letter,) = await running.dead_letters(component="s")
        assert letter.rejection_reason == "s: Upcaster failed: no such version"
        upcaster.broken = False
        saga.failures.clear()
        await running.replay(letter)
        await running.settle(30)
        assert names(await running.events("right", B)) == ["DoneIt"]
