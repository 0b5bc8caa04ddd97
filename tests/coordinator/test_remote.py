"""Business servers of another language, written with grpcio: what they are given, and what if they are away."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import (
    CommandConfig,
    CoordinatorConfig,
    EmbeddedCoordinator,
    ReactionConfig,
    SettleTimeout,
)
from angzarr.messages import (
    CommandPage,
    CommandRequest,
    EventBook,
    EventPage,
    EventRequest,
    ExternalDeferredSequence,
    PageHeader,
    SpeculateProjectorRequest,
    SyncMode,
    new_cover,
)
from tests.coordinator.foreign_business import Business, serving
from tests.coordinator.foreign_business import names as kinds
from tests.coordinator.worlds import A, B, Domain, Saga, command, names, payload, request, send

EAGER = CoordinatorConfig(
    commands=CommandConfig(handler_timeout=20.0),
    reactions=ReactionConfig(
        min_delay=0.001, max_delay=0.01, attempts=3, handler_timeout=20.0, health_interval=0.02
    ),
)


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/business.sock"


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.005)


def stale(name: str, expected: int) -> CommandRequest:
    made = request("player", A, name)
    made.command.pages[0] = CommandPage(header=PageHeader(sequence=expected), command=payload(name))
    return made


async def test_a_foreign_command_handler_decides(address: str) -> None:
    business = Business()
    async with (
        serving(business, address),
        EmbeddedCoordinator(handlers={"player": address}, config=EAGER) as running,
    ):
        await send(running, "player", A, "DoOne")
        response = await send(running, "player", A, "DoTwo", correlation_id="c-1")
        assert names(response.events) == ["DoneTwo"]
        assert response.events.pages[0].created_at.year > 2000
    _, second = business.seen
    assert [page.header.sequence for page in second.events.pages] == [0]
    assert (second.events.next_sequence, second.command.cover.correlation_id) == (1, "c-1")
    assert [metadata.get("x-correlation-id") for metadata in business.metadata] == [None, "c-1"]


async def test_its_refusal_reaches_the_caller_unchanged(address: str) -> None:
    async with (
        serving(Business(), address),
        EmbeddedCoordinator(handlers={"player": address}, config=EAGER) as running,
    ):
        with pytest.raises(GRPCError) as caught:
            await send(running, "player", A, "Refuse")
    refused = (caught.value.status, caught.value.message, caught.value.details)
    assert refused == (Status.FAILED_PRECONDITION, "not today", b"\x08\x09raw")


async def test_its_replay_says_whether_commands_commute(address: str) -> None:
    async with (
        serving(Business(), address),
        EmbeddedCoordinator(handlers={"player": address}, config=EAGER) as running,
    ):
        await send(running, "player", A, "Do1")
        await running.runtime.commands.handle_command(stale("Do2", 0))
        with pytest.raises(GRPCError, match="overlapping fields: command expects 1, aggregate at 2"):
            await running.runtime.commands.handle_command(stale("Do2", 1))
        assert names(await running.events("player", A)) == ["Done1", "Done2"]


async def test_its_fact_handler_makes_events_of_facts(address: str) -> None:
    header = PageHeader(external_deferred=ExternalDeferredSequence(external_id="x"))
    facts = EventBook(
        cover=new_cover("player", A), pages=[EventPage(header=header, event=payload("Interest"))]
    )
    async with (
        serving(Business(), address),
        EmbeddedCoordinator(handlers={"player": address}, config=EAGER) as running,
    ):
        await running.runtime.commands.handle_event(EventRequest(events=facts, route_to_handler=True))
        assert names(await running.events("player", A)) == ["Noticed"]


async def test_a_foreign_saga_sends_commands(address: str) -> None:
    business = Business()
    async with (
        serving(business, address),
        EmbeddedCoordinator(
            handlers={"player": Domain(), "table": Domain()},
            sagas={"seats": ("player", address)},
            config=EAGER,
        ) as running,
    ):
        await send(running, "player", A, "DoSeat", correlation_id="c-1")
        await running.settle(30)
        book = await running.events("table", A)
        assert names(book) == ["DoneJoin"]
    assert business.seen[0].source.cover.correlation_id == "c-1"


async def test_a_foreign_process_manager_keeps_its_process(address: str) -> None:
    business = Business()
    async with (
        serving(business, address),
        EmbeddedCoordinator(
            handlers={"player": Domain(), "table": Domain()},
            process_managers={"flow": ("flow", ["player"], address)},
            config=EAGER,
        ) as running,
    ):
        flow = "00000000-0000-0000-0000-00000000000f"
        for root in (A, B):
            await send(running, "player", root, "DoSeat", correlation_id=flow)
        await running.settle(30)
        assert names(await running.events("flow", flow)) == ["Begun", "Begun"]
        assert names(await running.events("table", B)) == ["DoneJoin"]
    assert [len(seen.process_state.pages) for seen in business.seen] == [0, 1]


async def test_a_foreign_projector_answers_sync_callers(address: str) -> None:
    async with (
        serving(Business(), address),
        EmbeddedCoordinator(
            handlers={"player": Domain()}, projectors={"view": (["player"], address)}, config=EAGER
        ) as running,
    ):
        response = await send(running, "player", A, "DoOne", sync_mode=SyncMode.SIMPLE)
        (projection,) = response.projections
        assert (projection.projector, projection.projection.value) == ("foreign", b"1")
        asked = SpeculateProjectorRequest(events=response.events)
        assert (await running.runtime.projectors.handle_speculative(asked)).projector == "foreign"


async def test_a_foreign_upcaster_brings_history_up_to_date(address: str) -> None:
    domain = Domain()
    async with (
        serving(Business(), address),
        EmbeddedCoordinator(
            handlers={"player": domain}, upcasters={"player": address}, config=EAGER
        ) as running,
    ):
        await send(running, "player", A, "DoOld")
        await send(running, "player", A, "DoOther")
        assert names(await running.events("player", A)) == ["DoneOld", "DoneOther"]
    assert names(domain.commands[-1].events) == ["DoneNew"]


async def test_a_handler_that_hangs_is_given_up_after_its_deadline(address: str) -> None:
    impatient = replace(EAGER, commands=CommandConfig(handler_timeout=0.05))
    async with (
        serving(Business(), address),
        EmbeddedCoordinator(handlers={"player": address}, config=impatient) as running,
    ):
        with pytest.raises(GRPCError, match=r"'player' did not answer within 0\.05 s") as caught:
            await send(running, "player", A, "Slow")
        assert caught.value.status is Status.DEADLINE_EXCEEDED


async def test_a_command_to_a_server_that_is_away_is_unavailable_and_says_what_to_do(address: str) -> None:
    async with EmbeddedCoordinator(handlers={"player": address}, config=EAGER) as running:
        with pytest.raises(GRPCError) as caught:
            await send(running, "player", A, "DoOne")
        assert caught.value.status is Status.UNAVAILABLE
        assert "CommandHandlerService at unix:" in str(caught.value.message)
        assert "cannot be reached" in str(caught.value.message)
        assert "start it, or correct the endpoint; nothing was stored" in str(caught.value.message)
        async with serving(Business(), address):
            assert names((await send(running, "player", A, "DoOne")).events) == ["DoneOne"]


@pytest.mark.parametrize("kind", ["saga", "process_manager", "projector", "command_handler"])
async def test_reactions_wait_for_a_server_that_is_away_and_go_on_when_it_is_back(
    address: str, kind: str
) -> None:
    business = Business()
    components: dict[str, Any] = {"handlers": {"player": Domain(), "table": Domain()}}
    if kind == "saga":
        components["sagas"] = {"seats": ("player", address)}
    elif kind == "process_manager":
        components["process_managers"] = {"flow": ("flow", ["player"], address)}
    elif kind == "projector":
        components["projectors"] = {"view": (["player"], address)}
    else:
        components["handlers"]["table"] = address
        components["sagas"] = {
            "seats": ("player", Saga({"DoneSeat": lambda _: [command("table", A, "DoJoin")]}))
        }
    slow = replace(EAGER, reactions=replace(EAGER.reactions, max_delay=60.0))
    async with EmbeddedCoordinator(config=slow, **components) as running:
        await send(running, "player", A, "DoSeat", correlation_id="c-1")
        await until(
            lambda: any(
                row.attempt > 5 and "failed: " in row.state for row in running.runtime.following.pending()
            )
        )
        assert await running.dead_letters() == []
        with pytest.raises(SettleTimeout, match=r"failed: \w+Service at unix:.* cannot be reached"):
            await running.settle(0)
        async with serving(business, address):
            await running.settle(30)
            assert await running.dead_letters() == []
    wanted = {"saga": "SagaHandleRequest", "process_manager": "ProcessManagerHandleRequest"}
    more = {"projector": "EventBook", "command_handler": "ContextualCommand"}
    assert list(kinds(business.seen)) == [{**wanted, **more}[kind]]


async def test_a_server_that_stays_away_ends_in_a_dead_letter_that_names_it(address: str) -> None:
    hasty = replace(EAGER, reactions=replace(EAGER.reactions, patience=0.0))
    async with EmbeddedCoordinator(
        handlers={"player": Domain()}, sagas={"seats": ("player", address)}, config=hasty
    ) as running:
        await send(running, "player", A, "DoSeat")
        await running.settle(30)
        (letter,) = await running.dead_letters()
    assert (letter.source_component, letter.event_processing_failed.retry_count) == ("seats", 3)
    assert "SagaService at unix:" in letter.rejection_reason


async def test_health_says_which_server_cannot_be_reached(address: str) -> None:
    async with EmbeddedCoordinator(
        handlers={"player": address, "table": Domain()}, sagas={"seats": ("player", address)}, config=EAGER
    ) as running:
        found = {(one.kind, one.name): one for one in await running.health()}
        assert {key for key, one in found.items() if not one.healthy} == {
            ("command_handler", "player"),
            ("saga", "seats"),
        }
        assert found["command_handler", "player"].endpoint == address
        assert "No such file" in found["command_handler", "player"].problem
        async with serving(Business(), address):
            assert all(one.healthy for one in await running.health())


async def test_a_server_may_say_itself_that_it_is_not_well(address: str) -> None:
    async with (
        serving(Business(), address) as server,
        EmbeddedCoordinator(handlers={"player": address}, config=EAGER) as running,
    ):
        server.say(health_pb2.HealthCheckResponse.NOT_SERVING)
        (one,) = [one for one in await running.health() if not one.healthy]
        assert (one.name, one.problem) == ("player", "its health service says NOT_SERVING")


async def test_a_server_without_a_health_service_is_well_when_it_can_be_reached(address: str) -> None:
    async with (
        serving(Business(), address, with_health=False),
        EmbeddedCoordinator(handlers={"player": address}, config=EAGER) as running,
    ):
        assert all(one.healthy for one in await running.health())


async def test_the_health_service_knows_every_domain_and_component(address: str) -> None:
    async with EmbeddedCoordinator(
        handlers={"player": address, "table": Domain()},
        sagas={"seats": ("player", Saga({}))},
        tcp="127.0.0.1:0",
        config=EAGER,
    ) as running:

        def ask(*services: str) -> list[str]:
            with grpc.insecure_channel(running.addresses[0]) as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                answers = [
                    stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=30).status
                    for name in services
                ]
            return [health_pb2.HealthCheckResponse.ServingStatus.Name(answer) for answer in answers]

        await running.health()
        said = await anyio.to_thread.run_sync(ask, "", "player", "table", "seats")
        assert said == ["SERVING", "NOT_SERVING", "SERVING", "SERVING"]
        async with serving(Business(), address):
            await running.health()
            assert await anyio.to_thread.run_sync(ask, "player") == ["SERVING"]


async def test_a_watcher_hears_that_a_server_has_come_up(address: str) -> None:
    async with EmbeddedCoordinator(handlers={"player": address}, tcp="127.0.0.1:0", config=EAGER) as running:
        await running.health()
        heard: list[int] = []

        def watch() -> None:
            with grpc.insecure_channel(running.addresses[0]) as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                for answer in stub.Watch(health_pb2.HealthCheckRequest(service="player"), timeout=30):
                    heard.append(answer.status)
                    if len(heard) == 2:
                        return

        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, watch)
            await until(lambda: len(heard) == 1)
            async with serving(Business(), address):
                await until(lambda: len(heard) == 2)
    assert heard == [health_pb2.HealthCheckResponse.NOT_SERVING, health_pb2.HealthCheckResponse.SERVING]
