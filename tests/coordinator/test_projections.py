"""Projectors: order, positions, gaps, parking, rebuild."""

import asyncio
from pathlib import Path

import anyio
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import CoordinatorConfig, EmbeddedCoordinator, ReactionConfig, SettleTimeout
from angzarr.coordinator.handlers import ProjectorComponent
from angzarr.coordinator.store import SqliteStore
from angzarr.coordinator.walking import EVERYTHING
from angzarr.messages import (
    CommandBook,
    CommandPage,
    CommandRequest,
    DeleteEditionEvents,
    EventBook,
    Projection,
    SyncMode,
    new_cover,
    pack,
)
from tests.coordinator.worlds import FAST, A, B, Domain, View, names, root, send, world


class Held(View):
    """Takes nothing in before its gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def handle(self, book: EventBook) -> Projection:
        await self.gate.wait()
        return await super().handle(book)


def coordinator(view: View, path: Path) -> EmbeddedCoordinator:
    return EmbeddedCoordinator(
        handlers={"left": Domain()}, projectors={"view": (["left"], view)}, store=path, config=FAST
    )


async def test_books_come_in_order_per_aggregate() -> None:
    view = View()
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], view)}) as running:
        for number in range(10):
            await send(running, "left", A, f"Do{number}")
            await send(running, "left", B, f"Do{number}")
        await running.settle(30)
    for one in (A, B):
        assert [sequence for at, sequence, _ in view.events if at == one] == list(range(10))


async def test_a_restart_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first, second = View(), View()
    async with coordinator(first, tmp_path / "w.db") as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
    async with coordinator(second, tmp_path / "w.db") as running:
        await send(running, "left", A, "DoTwo")
        await running.settle(30)
    assert [name for _, _, name in second.events] == ["DoneTwo"]


async def test_a_new_projector_starts_at_the_first_event(tmp_path: Path) -> None:
    view = View()
    async with EmbeddedCoordinator(handlers={"left": Domain()}, store=tmp_path / "w.db") as running:
        await send(running, "left", A, "DoOne")
        await send(running, "left", A, "DoTwo")
    async with coordinator(view, tmp_path / "w.db") as running:
        await running.settle(30)
    assert [name for _, _, name in view.events] == ["DoneOne", "DoneTwo"]


async def test_events_of_other_domains_are_not_looked_at_again_after_a_restart(tmp_path: Path) -> None:
    async with EmbeddedCoordinator(handlers={"right": Domain()}, store=tmp_path / "w.db") as running:
        for number in range(5):
            await send(running, "right", A, f"Do{number}")
    async with coordinator(View(), tmp_path / "w.db") as running:
        await running.settle(30)
    store = SqliteStore(tmp_path / "w.db")
    await store.open()
    found = await store.position("projector:view", EVERYTHING)
    await store.close()
    assert found is not None
    assert found.sequence == 5


async def test_a_projector_that_is_slow_is_not_read_ahead_of_for_ever(tmp_path: Path) -> None:
    async with EmbeddedCoordinator(handlers={"left": Domain()}, store=tmp_path / "w.db") as running:
        for number in range(30):
            await send(running, "left", root(number + 1), "Do")
    view = Held()
    config = CoordinatorConfig(reactions=ReactionConfig(concurrency=4, read_ahead=10))
    async with EmbeddedCoordinator(
        handlers={"left": Domain()},
        projectors={"view": (["left"], view)},
        store=tmp_path / "w.db",
        config=config,
    ) as running:
        subscription = running.runtime.projections.find("view")
        with pytest.raises(SettleTimeout, match="view"):
            await running.settle(0.05)
        assert len(subscription.pending()) < 30
        view.gate.set()
        await running.settle(30)
    assert {at for at, _, _ in view.events} == {root(number + 1) for number in range(30)}


async def test_a_gap_is_filled_before_a_book_is_handed_over() -> None:
    view = View()
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], view)}) as running:
        await send(running, "left", A, "DoOne", sync_mode=SyncMode.ISOLATED)
        await send(running, "left", A, "DoTwo")
        await running.settle(30)
    assert [(sequence, name) for _, sequence, name in view.events] == [(0, "DoneOne"), (1, "DoneTwo")]


async def test_a_failing_projector_is_tried_again() -> None:
    view = View(failures=[GRPCError(Status.INTERNAL, "boom")] * 2)
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], view)}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        assert await running.dead_letters() == []
    assert [name for _, _, name in view.events] == ["DoneOne"]


async def test_a_hopeless_book_parks_its_aggregate_until_it_is_replayed(tmp_path: Path) -> None:
    view = View(failures=[GRPCError(Status.INTERNAL, "boom")] * 3)
    async with coordinator(view, tmp_path / "w.db") as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        await send(running, "left", A, "DoTwo")
        await send(running, "left", B, "DoOther")
        await running.settle(30)
        assert [name for _, _, name in view.events] == ["DoneOther"]
    async with coordinator(view, tmp_path / "w.db") as running:
        await running.settle(30)
        assert [name for _, _, name in view.events] == ["DoneOther"]
        (letter,) = await running.dead_letters(component="view")
        assert letter.rejection_reason == "view: boom"
        await running.replay(letter)
        await running.settle(30)
        assert [name for _, _, name in view.events] == ["DoneOther", "DoneOne", "DoneTwo"]


async def test_a_skipped_book_lets_the_later_ones_through() -> None:
    view = View(failures=[GRPCError(Status.INTERNAL, "boom")] * 3)
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], view)}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        await send(running, "left", A, "DoTwo")
        await running.skip((await running.dead_letters())[0])
        await running.settle(30)
    assert [name for _, _, name in view.events] == ["DoneTwo"]


class Squeamish(View):
    """A projector that cannot take in one kind of event."""

    async def handle(self, book: EventBook) -> Projection:
        if "DoneBad" in names(book):
            raise GRPCError(Status.INTERNAL, "boom")
        return await super().handle(book)


async def test_of_books_that_are_handed_over_together_only_the_one_in_the_way_is_parked() -> None:
    view = Squeamish()
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], view)}) as running:
        for name in ("DoOne", "DoBad", "DoThree"):
            await send(running, "left", A, name, sync_mode=SyncMode.ISOLATED)
        await send(running, "left", A, "DoFour")
        await running.settle(30)
        assert [name for _, _, name in view.events] == ["DoneOne"]
        (letter,) = await running.dead_letters()
        assert names(letter.rejected_events) == ["DoneBad"]
        await running.skip(letter)
        await running.settle(30)
        assert [name for _, _, name in view.events] == ["DoneOne", "DoneThree", "DoneFour"]


async def test_a_parked_projector_fails_a_sync_caller_by_name() -> None:
    view = View(failures=[GRPCError(Status.INTERNAL, "boom")] * 3)
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], view)}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        with pytest.raises(GRPCError, match="'view' is parked at left/"):
            await send(running, "left", A, "DoTwo", sync_mode=SyncMode.SIMPLE)


async def test_system_domains_are_not_projected() -> None:
    everything = View()
    handlers = {"_own": Domain(), "left": Domain()}
    async with world(handlers=handlers, projectors={"view": (["*"], everything)}) as running:
        await send(running, "_own", A, "DoOne")
        await send(running, "left", A, "DoTwo")
        await running.settle(30)
    assert [name for _, _, name in everything.events] == ["DoneTwo"]


async def test_an_edition_is_projected_by_itself() -> None:
    view = View()
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], view)}) as running:
        await send(running, "left", A, "DoOne")
        await send(running, "left", A, "DoTwo", edition="what-if")
        await running.settle(30)
    assert [(book.cover.edition.name, len(book.pages)) for book in view.books] == [("", 1), ("what-if", 1)]


class Busy(View):
    """A projector during whose work something else is always written."""

    running: EmbeddedCoordinator | None = None

    async def handle(self, book: EventBook) -> Projection:
        if self.running is not None:
            await send(self.running, "left", B, "DoMore")
        return await super().handle(book)


async def test_a_rebuild_ends_although_there_is_always_more_to_take_in() -> None:
    fresh = Busy()
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], View())}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        fresh.running = running
        with anyio.fail_after(30):
            progress = [step async for step in running.rebuild("view", fresh)]
        fresh.running = None
        assert progress == sorted(progress)
        await running.settle(30)
        written = (await running.events("left", B)).next_sequence
    assert [sequence for at, sequence, _ in fresh.events if at == B] == list(range(written))


async def test_a_rebuild_feeds_everything_beside_the_live_one_and_takes_over() -> None:
    live, fresh = View(), View()
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], live)}) as running:
        for number in range(5):
            await send(running, "left", A, f"Do{number}")
        await running.settle(30)
        progress = [step async for step in running.rebuild("view", fresh)]
        assert progress[-1] == (5, 5)
        await send(running, "left", A, "DoLater")
        await running.settle(30)
    assert [name for _, _, name in fresh.events] == [*(f"Done{n}" for n in range(5)), "DoneLater"]
    assert len(live.events) == 5


async def test_read_your_writes_by_waiting_for_a_projector() -> None:
    view = View()
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], view)}) as running:
        response = await send(running, "left", A, "DoOne")
        await running.projected(response, ["view"], timeout=30)
        assert [name for _, _, name in view.events] == ["DoneOne"]


async def test_waiting_for_a_stuck_projector_names_it() -> None:
    view = View(failures=[GRPCError(Status.INTERNAL, "boom")] * 3)
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], view)}) as running:
        response = await send(running, "left", A, "DoOne")
        with pytest.raises((TimeoutError, GRPCError), match="view"):
            await running.projected(response, ["view"], timeout=0.001)


async def test_whoever_waits_is_told_when_the_coordinator_stops() -> None:
    view = View(failures=[GRPCError(Status.INTERNAL, "boom")] * 3)
    slow = CoordinatorConfig(reactions=ReactionConfig(min_delay=60, max_delay=60))
    async with world(slow, handlers={"left": Domain()}, projectors={"view": (["left"], view)}) as running:
        response = await send(running, "left", A, "DoOne")
        with pytest.raises(GRPCError, match="boom"):
            await running.projected(response, ["view"], timeout=30)
        waiting = asyncio.ensure_future(running.projected(response, ["view"], timeout=60))
        await asyncio.sleep(0)
    with pytest.raises(GRPCError, match="was stopped"):
        await waiting


def test_a_wildcard_takes_all_but_system_domains() -> None:
    projector = ProjectorComponent("view", ("*",), View())
    assert (projector.takes("left"), projector.takes("_angzarr")) == (True, False)
    assert not ProjectorComponent("view", ("_angzarr",), View()).takes("_angzarr")


def two_domains(view: View, path: Path, *domains: str) -> EmbeddedCoordinator:
    return EmbeddedCoordinator(
        handlers={"left": Domain(), "right": Domain()},
        projectors={"view": (domains, view)},
        store=path,
        config=FAST,
    )


@pytest.mark.parametrize("domains", [["left", "right"], ["*"]])
async def test_a_domain_listed_later_is_taken_in_from_its_first_event(
    tmp_path: Path, domains: list[str]
) -> None:
    views = [View() for _ in range(4)]
    for view, listed in zip(views, [["left"], domains, domains, ["left"]], strict=True):
        async with two_domains(view, tmp_path / "w.db", *listed) as running:
            await send(running, "left", A, "DoOne")
            await send(running, "right", B, "DoTwo")
            await running.settle(30)
    assert views[0].events == [(A, 0, "DoneOne")]
    assert sorted(views[1].events) == [(A, 1, "DoneOne"), (B, 0, "DoneTwo"), (B, 1, "DoneTwo")]
    assert sorted(views[2].events) == [(A, 2, "DoneOne"), (B, 2, "DoneTwo")]
    assert views[3].events == [(A, 3, "DoneOne")]


async def test_a_domain_left_out_for_a_while_is_caught_up_on(tmp_path: Path) -> None:
    views = [View() for _ in range(3)]
    for view, listed in zip(views, [["left", "right"], ["left"], ["left", "right"]], strict=True):
        async with two_domains(view, tmp_path / "w.db", *listed) as running:
            await send(running, "right", B, "DoTwo")
            await running.settle(30)
    assert [sequence for _, sequence, _ in views[0].events + views[2].events] == [0, 1, 2]


async def test_settling_waits_for_the_events_of_a_domain_listed_later(tmp_path: Path) -> None:
    held = Held()
    async with two_domains(View(), tmp_path / "w.db", "left") as running:
        await send(running, "right", B, "DoTwo")
        await running.settle(30)
    async with two_domains(held, tmp_path / "w.db", "left", "right") as running:
        with pytest.raises(SettleTimeout):
            await running.settle(0.05)
        held.gate.set()
        await running.settle(30)
    assert held.events == [(B, 0, "DoneTwo")]


async def test_a_deleted_edition_is_projected_from_the_first_event_when_it_comes_back() -> None:
    view = View()
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], view)}) as running:
        await send(running, "left", A, "DoOne", edition="what-if")
        await send(running, "left", A, "DoTwo", edition="what-if")
        await running.settle(30)
        page = CommandPage(command=pack(DeleteEditionEvents(edition="what-if", domain="left")))
        book = CommandBook(cover=new_cover("_angzarr", B), pages=[page])
        await running.runtime.commands.handle_command(CommandRequest(command=book))
        await send(running, "left", A, "DoThree", edition="what-if")
        await running.settle(30)
    assert [(sequence, name) for _, sequence, name in view.events] == [
        (0, "DoneOne"),
        (1, "DoneTwo"),
        (0, "DoneThree"),
    ]
