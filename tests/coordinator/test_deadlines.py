"""Business servers are told how long the coordinator waits for them, and none is waited for longer."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import CommandConfig, CoordinatorConfig, EmbeddedCoordinator, ReactionConfig
from angzarr.messages import (
    CommandPage,
    EventBook,
    EventPage,
    EventRequest,
    ExternalDeferredSequence,
    PageHeader,
    SpeculateProjectorRequest,
    SyncMode,
    UpcastRequest,
    UpcastResponse,
    new_cover,
)
from tests.coordinator.foreign_business import Business, serving
from tests.coordinator.worlds import A, Domain, names, payload, request, send

PATIENT = CoordinatorConfig(
    commands=CommandConfig(handler_timeout=200.0),
    reactions=ReactionConfig(handler_timeout=70.0, min_delay=0.001, health_timeout=3.0),
)


@pytest.fixture
def business() -> Business:
    return Business()


@pytest.fixture
async def address(business: Business, tmp_path: Path) -> AsyncIterator[str]:
    where = f"unix:{tmp_path}/business.sock"
    async with serving(business, where):
        yield where


def left(business: Business, method: str, limit: float) -> bool:
    """Whether a method was told the limit, but for the time it took to get there."""
    seconds = business.seconds[method]
    return seconds is not None and 0.7 * limit < seconds <= limit + 0.01


async def test_a_command_handler_is_told_how_long_it_has(address: str, business: Business) -> None:
    async with EmbeddedCoordinator(handlers={"player": address}, config=PATIENT) as running:
        await send(running, "player", A, "Do1")
        assert left(business, "CommandHandlerService.Handle", 200)
        stale = request("player", A, "Do2")
        stale.command.pages[0] = CommandPage(header=PageHeader(sequence=0), command=payload("Do2"))
        await running.runtime.commands.handle_command(stale)
        assert left(business, "CommandHandlerService.Replay", 200)


async def test_a_fact_handler_and_an_upcaster_are_told_how_long_they_have(
    address: str, business: Business
) -> None:
    header = PageHeader(external_deferred=ExternalDeferredSequence(external_id="x"))
    facts = EventBook(
        cover=new_cover("player", A), pages=[EventPage(header=header, event=payload("Interest"))]
    )
    async with EmbeddedCoordinator(
        handlers={"player": address}, upcasters={"player": address}, config=PATIENT
    ) as running:
        await send(running, "player", A, "Do1")
        await running.runtime.commands.handle_event(EventRequest(events=facts, route_to_handler=True))
    assert left(business, "CommandHandlerService.HandleFact", 200)
    assert left(business, "UpcasterService.Upcast", 200)


async def test_reactions_are_told_how_long_they_have(address: str, business: Business) -> None:
    async with EmbeddedCoordinator(
        handlers={"player": Domain(), "table": Domain()},
        sagas={"seats": ("player", address)},
        process_managers={"flow": ("flow", ["player"], address)},
        projectors={"view": (["player"], address)},
        config=PATIENT,
    ) as running:
        response = await send(running, "player", A, "DoOne", correlation_id="c-1", sync_mode=SyncMode.SIMPLE)
        await running.settle(30)
        await running.runtime.projectors.handle_speculative(SpeculateProjectorRequest(events=response.events))
    assert left(business, "SagaService.Handle", 70)
    assert left(business, "ProcessManagerService.Handle", 70)
    assert left(business, "ProjectorService.Handle", 70)
    assert left(business, "ProjectorService.HandleSpeculative", 200)


async def test_more_than_ten_seconds_are_not_rounded_to_whole_ones(address: str, business: Business) -> None:
    config = replace(PATIENT, commands=CommandConfig(handler_timeout=12.9))
    async with EmbeddedCoordinator(handlers={"player": address}, config=config) as running:
        for _ in range(50):
            await send(running, "player", A, "DoOne")
            seconds = business.seconds["CommandHandlerService.Handle"] or 0.0
            if seconds > 12:  # a busy machine can take longer on the way than was rounded away
                break
    assert 12 < seconds <= 12.91


@pytest.mark.parametrize("limit", [0.05, 0.3])
async def test_whoever_ends_a_call_at_its_deadline_it_is_reported_as_the_coordinators(
    address: str, business: Business, limit: float
) -> None:
    config = replace(PATIENT, commands=CommandConfig(handler_timeout=limit))
    async with EmbeddedCoordinator(handlers={"player": address}, config=config) as running:
        for _ in range(3):
            with pytest.raises(GRPCError) as caught:
                await send(running, "player", A, "Slow")
            assert (caught.value.status, caught.value.message) == (
                Status.DEADLINE_EXCEEDED,
                f"The handler of 'player' did not answer within {limit:g} s; nothing was stored",
            )


class Hanging:
    """An upcaster that never answers, and a handler whose Replay does not."""

    def __init__(self) -> None:
        self.decides = Domain()

    async def upcast(self, request: UpcastRequest) -> UpcastResponse:
        await anyio.sleep_forever()
        raise AssertionError

    async def handle(self, request: Any) -> Any:
        return await self.decides.handle(request)

    async def handle_fact(self, request: Any) -> Any:
        raise NotImplementedError

    async def replay(self, request: Any) -> Any:
        await anyio.sleep_forever()


IMPATIENT = CoordinatorConfig(commands=CommandConfig(handler_timeout=0.05))


async def test_an_upcaster_that_hangs_is_not_waited_for_for_ever() -> None:
    async with EmbeddedCoordinator(
        handlers={"player": Domain()}, upcasters={"player": Hanging()}, config=IMPATIENT
    ) as running:
        await send(running, "player", A, "DoOne")
        with anyio.fail_after(30), pytest.raises(GRPCError) as caught:
            await send(running, "player", A, "DoTwo")
        assert (caught.value.status, caught.value.message) == (
            Status.INTERNAL,
            "Upcaster failed: The upcaster of 'player' did not answer within 0.05 s; nothing was stored",
        )


async def test_a_replay_that_hangs_is_not_waited_for_for_ever() -> None:
    stale = request("player", A, "DoTwo")
    stale.command.pages[0] = CommandPage(header=PageHeader(sequence=0), command=payload("DoTwo"))
    async with EmbeddedCoordinator(handlers={"player": Hanging()}, config=IMPATIENT) as running:
        await send(running, "player", A, "DoOne")
        with anyio.fail_after(30), pytest.raises(GRPCError) as caught:
            await running.runtime.commands.handle_command(stale)
        assert (caught.value.status, caught.value.message) == (
            Status.DEADLINE_EXCEEDED,
            "The handler's Replay did not answer within 0.05 s; nothing was stored",
        )
        assert names(await running.events("player", A)) == ["DoneOne"]


async def test_what_a_handler_times_out_on_itself_is_not_the_coordinators_deadline() -> None:
    class Impatient(Hanging):
        async def handle(self, request: Any) -> Any:
            raise TimeoutError("the bank does not answer")

    async with EmbeddedCoordinator(handlers={"player": Impatient()}, config=PATIENT) as running:
        with pytest.raises(GRPCError, match="The handler of 'player' raised TimeoutError") as caught:
            await send(running, "player", A, "DoOne")
        assert caught.value.status is Status.INTERNAL
