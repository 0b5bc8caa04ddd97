"""Reactions that cause one another for ever: bounded in every mode, and nothing is lost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import CoordinatorConfig, EmbeddedCoordinator, SettleTimeout
from angzarr.messages import (
    EventBook,
    EventPage,
    ExternalDeferredSequence,
    PageHeader,
    ProcessManagerHandleResponse,
    SyncMode,
    new_cover,
)
from tests.coordinator.worlds import FAST, A, B, Domain, Manager, Saga, command, names, payload, send


def shallow(depth: int) -> CoordinatorConfig:
    return replace(FAST, reactions=replace(FAST.reactions, depth=depth))


def players(**more: Any) -> dict[str, Any]:
    """Two sagas that answer each other."""
    return {
        "handlers": {"left": Domain(), "right": Domain(), **more},
        "sagas": {
            "there": ("left", Saga({"DonePing": lambda _: [command("right", A, "DoPong")]})),
            "back": ("right", Saga({"DonePong": lambda _: [command("left", A, "DoPing")]})),
        },
    }


async def hits(running: EmbeddedCoordinator) -> tuple[int, int]:
    return len(names(await running.events("left", A))), len(names(await running.events("right", A)))


async def test_two_sagas_that_answer_each_other_end_in_a_dead_letter_that_names_the_loop() -> None:
    async with EmbeddedCoordinator(config=shallow(6), **players()) as running:
        await send(running, "left", A, "DoPing", correlation_id="c-1")
        await running.settle(30)
        assert await hits(running) == (4, 3)
        (letter,) = await running.dead_letters()
        assert (letter.source_component, letter.source_component_type) == ("there", "saga")
        assert (letter.rejected_command.cover.domain, letter.cover.correlation_id) == ("right", "c-1")
        assert letter.rejection_reason == (
            "there: 6 reactions in a row led here: left → there → right → back → left → there → right → back"
            " → left → there; when that is no loop, replay this letter to go on,"
            " or allow more with ReactionConfig.depth"
        )
        # What has nothing to do with it goes on as ever.
        await send(running, "right", B, "DoOther")
        await running.settle(30)
        assert names(await running.events("right", B)) == ["DoneOther"]


async def test_a_replayed_letter_goes_on_where_it_was_stopped() -> None:
    async with EmbeddedCoordinator(config=shallow(6), **players()) as running:
        await send(running, "left", A, "DoPing")
        await running.settle(30)
        (letter,) = await running.dead_letters()
        await running.replay(letter)
        await running.settle(30)
        assert await hits(running) == (7, 7)
        (letter,) = await running.dead_letters()
        assert letter.source_component == "back"


async def test_a_chain_that_ends_by_itself_is_let_be() -> None:
    async with EmbeddedCoordinator(
        handlers={name: Domain() for name in "abcd"},
        sagas={
            f"from-{one}": (one, Saga({"DoneX": lambda _, to=to: [command(to, A, "DoX")]}))  # type: ignore[misc]
            for one, to in ("ab", "bc", "cd")
        },
        config=shallow(3),
    ) as running:
        for _ in range(5):
            await send(running, "a", A, "DoX")
        await running.settle(30)
        assert names(await running.events("d", A)) == ["DoneX"] * 5
        assert await running.dead_letters() == []


async def test_how_long_a_chain_is_outlives_the_process(tmp_path: Path) -> None:
    away = Domain(refuse={"DoPong": GRPCError(Status.UNAVAILABLE, "away")})
    path = tmp_path / "loop.db"
    patient = replace(FAST, reactions=replace(FAST.reactions, depth=6, min_delay=60.0, max_delay=60.0))
    async with EmbeddedCoordinator(store=path, config=patient, **players(right=away)) as running:
        await send(running, "left", A, "DoPing")
        with anyio.fail_after(30):
            while not any("away" in row.state for row in running.runtime.following.pending()):
                await anyio.lowlevel.checkpoint()
        with pytest.raises(SettleTimeout, match="away"):
            await running.settle(0)
    async with EmbeddedCoordinator(store=path, config=shallow(6), **players()) as running:
        await running.settle(30)
        assert await hits(running) == (4, 3)
        assert len(await running.dead_letters()) == 1


async def test_facts_that_cause_one_another_are_bounded_too() -> None:
    made: list[int] = []

    def fact(domain: str) -> list[EventBook]:
        made.append(1)
        header = PageHeader(external_deferred=ExternalDeferredSequence(external_id=f"x-{len(made)}"))
        page = EventPage(header=header, event=payload("Noticed"))
        return [EventBook(cover=new_cover(domain, A), pages=[page])]

    async with EmbeddedCoordinator(
        handlers={"left": Domain()},
        sagas={"echo": ("left", Saga({"DoneX": lambda _: fact("left"), "Noticed": lambda _: fact("left")}))},
        config=shallow(4),
    ) as running:
        await send(running, "left", A, "DoX")
        await running.settle(30)
        assert names(await running.events("left", A)) == ["DoneX"] + ["Noticed"] * 4
        (letter,) = await running.dead_letters()
        assert (letter.source_component, len(letter.rejected_events.pages)) == ("echo", 1)


async def test_a_process_that_reacts_to_itself_is_bounded_too() -> None:
    def again(_: object) -> ProcessManagerHandleResponse:
        book = EventBook(pages=[EventPage(event=payload("Ticked"))])
        return ProcessManagerHandleResponse(process_events=[book])

    async with EmbeddedCoordinator(
        handlers={"left": Domain()},
        process_managers={"clock": ("clock", ["left", "clock"], Manager({"DoneX": again, "Ticked": again}))},
        config=shallow(4),
    ) as running:
        process = "00000000-0000-0000-0000-00000000000f"
        await send(running, "left", A, "DoX", correlation_id=process)
        await running.settle(30)
        assert names(await running.events("clock", process)) == ["Ticked"] * 5
        (letter,) = await running.dead_letters()
        assert (letter.source_component, letter.source_component_type) == ("clock", "process_manager")


async def test_a_source_that_tries_again_whenever_it_is_refused_is_bounded_too() -> None:
    def again(request: Any) -> Any:
        from angzarr.messages import BusinessResponse
        from tests.coordinator.worlds import events

        return BusinessResponse(events=events(request, "DonePing"))

    stubborn = Domain(compensate=again)
    refusing = Domain(refuse={"DoPong": GRPCError(Status.FAILED_PRECONDITION, "no")})
    async with EmbeddedCoordinator(config=shallow(5), **players(left=stubborn, right=refusing)) as running:
        await send(running, "left", A, "DoPing")
        await running.settle(30)
        assert names(await running.events("left", A)) == ["DonePing"] * 6
        (letter,) = await running.dead_letters()
        assert letter.source_component == "there"


async def test_a_cascade_has_its_own_depth_and_ends_with_it() -> None:
    async with EmbeddedCoordinator(config=shallow(1000), **players()) as running:
        with pytest.raises(GRPCError, match="Cascade is deeper than 32 commands"):
            await send(running, "left", A, "DoPing", sync_mode=SyncMode.CASCADE)
        await running.settle(30)
        assert len(await running.dead_letters()) == 1
