"""A caller that waits less long than the coordinator would: business servers hear of it, and nothing is torn by it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.client import CommandHandlerClient
from angzarr.coordinator import CommandConfig, CoordinatorConfig, EmbeddedCoordinator, ReactionConfig
from angzarr.errors import OutcomeUnknownError
from angzarr.messages import (
    CommandPage,
    CommandRequest,
    EventBook,
    EventPage,
    EventRequest,
    ExternalDeferredSequence,
    PageHeader,
    SpeculateCommandHandlerRequest,
    SpeculateProjectorRequest,
    SyncMode,
    TemporalQuery,
    new_cover,
)
from tests.coordinator.foreign_business import Business, serving
from tests.coordinator.worlds import A, Domain, names, payload, request, send

CONFIG = CoordinatorConfig(
    commands=CommandConfig(handler_timeout=200.0),
    reactions=ReactionConfig(handler_timeout=120.0, min_delay=0.001, health_timeout=3.0),
)
HANDLE = "CommandHandlerService.Handle"


@pytest.fixture
def business() -> Business:
    return Business()


@pytest.fixture
async def address(business: Business, tmp_path: Path) -> AsyncIterator[str]:
    where = f"unix:{tmp_path}/business.sock"
    async with serving(business, where):
        yield where


def told(business: Business, method: str, limit: float) -> bool:
    """Whether a method was told the limit, but for the time it took to get there, when it was called last."""
    seconds = business.seconds.pop(method)
    return seconds is not None and 0.7 * limit < seconds <= limit + 0.01


def stale(name: str) -> CommandRequest:
    made = request("player", A, name)
    made.command.pages[0] = CommandPage(header=PageHeader(sequence=0), command=payload(name))
    return made


def facts() -> EventRequest:
    header = PageHeader(external_deferred=ExternalDeferredSequence(external_id="x"))
    page = EventPage(header=header, event=payload("Interest"))
    return EventRequest(events=EventBook(cover=new_cover("player", A), pages=[page]), route_to_handler=True)


async def test_a_business_server_is_told_the_deadline_of_a_caller_in_this_process(
    address: str, business: Business
) -> None:
    async with EmbeddedCoordinator(
        handlers={"player": address}, upcasters={"player": address}, config=CONFIG
    ) as running:
        commands = running.runtime.commands
        await commands.handle_command(request("player", A, "Do1"), timeout=60.0)
        assert told(business, HANDLE, 60)
        await commands.handle_command(stale("Do2"), timeout=70.0)
        assert told(business, HANDLE, 70)
        assert told(business, "UpcasterService.Upcast", 70)
        assert told(business, "CommandHandlerService.Replay", 70)
        await commands.handle_event(facts(), timeout=80.0)
        assert told(business, "CommandHandlerService.HandleFact", 80)


async def test_speculation_and_compensation_are_asked_on_behalf_of_their_caller(
    address: str, business: Business
) -> None:
    async with EmbeddedCoordinator(
        handlers={"player": address}, projectors={"view": (["player"], address)}, config=CONFIG
    ) as running:
        made = request("player", A, "Do1")
        await running.runtime.commands.handle_compensation(made, timeout=60.0)
        assert told(business, HANDLE, 60)
        asked = SpeculateCommandHandlerRequest(command=made.command)
        asked.point_in_time = TemporalQuery(as_of_sequence=0)
        response = await running.runtime.commands.handle_sync_speculative(asked, timeout=70.0)
        assert told(business, HANDLE, 70)
        shown = SpeculateProjectorRequest(events=response.events)
        await running.runtime.projectors.handle_speculative(shown, timeout=80.0)
        assert told(business, "ProjectorService.HandleSpeculative", 80)


async def test_a_business_server_is_told_the_deadline_of_a_caller_on_the_wire(
    address: str, business: Business
) -> None:
    async with (
        EmbeddedCoordinator(handlers={"player": address}, tcp="127.0.0.1:0", config=CONFIG) as running,
        CommandHandlerClient.connect(running.addresses[0]) as client,
    ):
        await client.handle_command(request("player", A, "Do1"), timeout=60.0)
        assert told(business, HANDLE, 60)
        await client.handle_event(facts(), timeout=70.0)
        assert told(business, "CommandHandlerService.HandleFact", 70)


async def test_a_caller_that_waits_longer_or_for_ever_changes_nothing(
    address: str, business: Business
) -> None:
    async with (
        EmbeddedCoordinator(handlers={"player": address}, tcp="127.0.0.1:0", config=CONFIG) as running,
        CommandHandlerClient.connect(running.addresses[0]) as client,
    ):
        await client.handle_command(request("player", A, "Do1"), timeout=500.0)
        assert told(business, HANDLE, 200)
        await client.handle_command(request("player", A, "Do2"))
        assert told(business, HANDLE, 200)


@pytest.mark.parametrize("mode", [SyncMode.ASYNC, SyncMode.SIMPLE, SyncMode.CASCADE])
async def test_reactions_outlive_the_caller_and_have_their_own_time(
    address: str, business: Business, mode: SyncMode
) -> None:
    async with EmbeddedCoordinator(
        handlers={"player": Domain(), "table": address},
        sagas={"seats": ("player", address)},
        process_managers={"flow": ("flow", ["player"], address)},
        projectors={"view": (["player"], address)},
        config=CONFIG,
    ) as running:
        made = request("player", A, "DoSeat", correlation_id="c-1", sync_mode=mode)
        await running.runtime.commands.handle_command(made, timeout=60.0)
        await running.settle(60)
    assert told(business, "SagaService.Handle", 120)
    assert told(business, "ProcessManagerService.Handle", 120)
    assert told(business, "ProjectorService.Handle", 120)
    assert told(business, HANDLE, 200)


async def test_a_server_that_ends_the_call_at_the_callers_deadline_is_not_blamed(
    address: str, business: Business
) -> None:
    async with (
        EmbeddedCoordinator(handlers={"player": address}, tcp="127.0.0.1:0", config=CONFIG) as running,
        CommandHandlerClient.connect(running.addresses[0]) as client,
    ):
        for _ in range(3):
            with pytest.raises(GRPCError) as caught:
                await running.runtime.commands.handle_command(request("player", A, "Slow"), timeout=0.3)
            assert (caught.value.status, caught.value.message) == (
                Status.DEADLINE_EXCEEDED,
                "no answer within 0.3 s",
            )
            with pytest.raises(OutcomeUnknownError) as unknown:
                await client.handle_command(request("player", A, "Slow"), timeout=0.3)
            assert unknown.value.grpc_code is Status.DEADLINE_EXCEEDED
        assert (await running.events("player", A)).pages == []
        await send(running, "player", A, "Do1")


async def test_an_upcaster_that_ends_the_call_at_the_callers_deadline_has_not_failed(
    address: str, business: Business
) -> None:
    async with EmbeddedCoordinator(
        handlers={"player": Domain()}, upcasters={"player": address}, config=CONFIG
    ) as running:
        await send(running, "player", A, "Do1")
        business.slow_upcasts = True
        with pytest.raises(GRPCError) as caught:
            await running.runtime.commands.handle_command(request("player", A, "Do2"), timeout=0.1)
        assert caught.value.status is Status.DEADLINE_EXCEEDED


async def test_a_handler_that_asks_the_coordinator_has_no_more_time_than_its_caller(
    address: str, business: Business
) -> None:
    class Asking(Domain):
        async def handle(self, request_: Any) -> Any:
            await send(running, "player", A, "Do1")
            return await super().handle(request_)

    async with EmbeddedCoordinator(handlers={"player": address, "table": Asking()}, config=CONFIG) as running:
        await running.runtime.commands.handle_command(request("table", A, "DoOne"), timeout=60.0)
        assert names(await running.events("player", A)) == ["Done1"]
    assert told(business, HANDLE, 60)


async def test_the_deadline_of_one_call_is_not_that_of_the_next(address: str, business: Business) -> None:
    async with EmbeddedCoordinator(handlers={"player": address}, config=CONFIG) as running:
        await running.runtime.commands.handle_command(request("player", A, "Do1"), timeout=60.0)
        await running.runtime.commands.handle_command(request("player", A, "Do2"))
        assert told(business, HANDLE, 200)
        short = replace(CONFIG, commands=CommandConfig(handler_timeout=30.0))
        async with EmbeddedCoordinator(handlers={"player": address}, config=short) as other:
            await other.runtime.commands.handle_command(request("player", A, "Do1"), timeout=60.0)
        assert told(business, HANDLE, 30)
