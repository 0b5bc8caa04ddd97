"""Every coordinator service over gRPC, and business servers reached over it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.client import (
    CommandHandlerClient,
    EventStreamClient,
    ProcessManagerClient,
    ProjectorClient,
    SagaClient,
    SpeculativeClient,
)
from angzarr.coordinator import EmbeddedCoordinator
from angzarr.errors import GRPCError as ClientGRPCError
from angzarr.messages import (
    CommandBook,
    EventBook,
    EventPage,
    EventRequest,
    PageHeader,
    ProcessManagerCoordinatorRequest,
    ProcessManagerHandleRequest,
    ProcessManagerHandleResponse,
    SagaHandleRequest,
    SpeculatePmRequest,
    SpeculateProjectorRequest,
    SpeculateSagaRequest,
    new_cover,
)
from angzarr.server import GrpcServer
from tests.bank.domain import bank
from tests.bank.messages import Deposit, OpenAccount
from tests.coordinator.worlds import (
    FAST,
    A,
    B,
    Domain,
    Manager,
    Saga,
    View,
    command,
    names,
    payload,
    request,
    send,
)


def one_command(_: object) -> ProcessManagerHandleResponse:
    events = EventBook(pages=[EventPage(event=payload("Begun"))])
    return ProcessManagerHandleResponse(process_events=[events], commands=[command("right", B, "DoIt")])


@pytest.fixture
async def running() -> AsyncIterator[EmbeddedCoordinator]:
    async with EmbeddedCoordinator(
        handlers={"left": Domain(), "right": Domain()},
        sagas={"s": ("foreign", Saga({"DoneOne": lambda _: [command("right", B, "DoIt")]}))},
        process_managers={"m": ("flow", ["foreign"], Manager({"DoneOne": one_command}))},
        projectors={"view": (["left", "foreign"], View())},
        tcp="127.0.0.1:0",
        config=FAST,
    ) as made:
        yield made


def trigger(correlation_id: str = "c-1") -> EventBook:
    page = EventPage(header=PageHeader(sequence=4), event=payload("DoneOne"))
    return EventBook(cover=new_cover("foreign", A, correlation_id), pages=[page], next_sequence=5)


async def test_a_saga_is_executed_for_events_of_the_caller(running: EmbeddedCoordinator) -> None:
    async with SagaClient.connect(running.addresses[0]) as client:
        response = await client.execute(SagaHandleRequest(source=trigger()))
        assert [book.cover.domain for book in response.commands] == ["right"]
        await running.settle(30)
        await client.execute(SagaHandleRequest(source=trigger()))
        await running.settle(30)
        assert names(await running.events("right", B)) == ["DoneIt"]


async def test_a_process_manager_is_called_for_events_of_the_caller_once(
    running: EmbeddedCoordinator,
) -> None:
    async with ProcessManagerClient.connect(running.addresses[0]) as client:
        asked = ProcessManagerCoordinatorRequest(trigger=trigger())
        response = await client.handle(asked)
        assert [names(book) for book in response.process_events] == [["Begun"]]
        assert response.process_events[0].pages[0].header.sequence == 0
        again = await client.handle(asked)
        assert again.process_events == []
        await running.settle(30)
        assert names(await running.events("right", B)) == ["DoneIt"]


async def test_a_process_manager_needs_a_correlation_id(running: EmbeddedCoordinator) -> None:
    async with ProcessManagerClient.connect(running.addresses[0]) as client:
        with pytest.raises(ClientGRPCError) as caught:
            await client.handle(ProcessManagerCoordinatorRequest(trigger=trigger("")))
        assert caught.value.is_invalid_argument()


async def test_a_projector_is_given_a_book(running: EmbeddedCoordinator) -> None:
    async with ProjectorClient.connect(running.addresses[0]) as client:
        projection = await client.handle_sync(EventRequest(events=trigger()))
        assert (projection.projector, projection.sequence) == ("view", 5)
        await client.handle(trigger())


async def test_speculation_of_the_other_kinds_leaves_nothing(running: EmbeddedCoordinator) -> None:
    async with SpeculativeClient.connect(running.addresses[0]) as client:
        saga = await client.saga(SpeculateSagaRequest(request=SagaHandleRequest(source=trigger())))
        assert len(saga.commands) == 1
        manager = await client.process_manager(
            SpeculatePmRequest(request=ProcessManagerHandleRequest(trigger=trigger()))
        )
        assert len(manager.commands) == 1
        projection = await client.projector(SpeculateProjectorRequest(events=trigger()))
        assert projection.projector == "view"
    await running.settle(30)
    assert (await running.events("right", B)).pages == []


async def test_speculation_fills_in_the_destinations() -> None:
    saga, manager = Saga({}), Manager({})
    components = EmbeddedCoordinator(
        handlers={"left": Domain(), "right": Domain()},
        sagas={"s": ("left", saga)},
        process_managers={"m": ("flow", ["left"], manager)},
    ).components
    sagas = (replace(components.sagas[0], targets=("right",)),)
    managers = (replace(components.process_managers[0], targets=("right",)),)
    made = EmbeddedCoordinator(config=FAST)
    made.components = replace(components, sagas=sagas, process_managers=managers)
    async with made as running:
        await send(running, "right", A, "DoOne")
        book = EventBook(
            cover=new_cover("left", A, "c-1"),
            pages=[EventPage(header=PageHeader(sequence=0), event=payload("X"))],
        )
        asked = SpeculateSagaRequest(request=SagaHandleRequest(source=book))
        await running.runtime.sagas.execute_speculative(asked)
        process = SpeculatePmRequest(request=ProcessManagerHandleRequest(trigger=book))
        await running.runtime.process_managers.handle_speculative(process)
    assert saga.seen[0].destination_sequences == {"right": 1}
    assert manager.seen[0].destination_sequences == {"right": 1}


async def test_an_event_stream_delivers_live_books(running: EmbeddedCoordinator) -> None:
    async with EventStreamClient.connect(running.addresses[0]) as client:
        got: list[EventBook] = []

        async def listen() -> None:
            async for book in client.subscribe("c-1"):
                got.append(book)
                if len(got) == 2:
                    return

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            with anyio.fail_after(30):
                while not running.runtime.event_stream._streams._listeners:
                    await anyio.lowlevel.checkpoint()
            await send(running, "left", A, "DoOne", correlation_id="c-1")
            await send(running, "left", A, "DoOther", correlation_id="c-2")
            await send(running, "left", B, "DoTwo", correlation_id="c-1")
    assert [names(book) for book in got] == [["DoneOne"], ["DoneTwo"]]


async def test_an_event_stream_needs_a_correlation_id(running: EmbeddedCoordinator) -> None:
    async with EventStreamClient.connect(running.addresses[0]) as client:
        with pytest.raises(ClientGRPCError) as caught:
            async for _ in client.subscribe(""):
                pass
        assert caught.value.is_invalid_argument()


async def test_a_slow_listener_is_sent_away() -> None:
    from angzarr.coordinator.streams import EventStreams
    from angzarr.messages import EventStreamFilter

    async with EmbeddedCoordinator(handlers={"left": Domain()}) as made:
        streams = EventStreams(2)
        made.runtime.following._streams = streams
        stream = streams.subscribe(EventStreamFilter(correlation_id="c-1"))
        await send(made, "left", A, "DoOne", correlation_id="c-1")
        first = anyio.lowlevel.checkpoint
        await first()
        listener = anext(stream)
        async with anyio.create_task_group() as group:

            async def hear() -> None:
                assert names(await listener) == ["Done0"]

            group.start_soon(hear)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            await send(made, "left", A, "Do0", correlation_id="c-1")
        for number in range(1, 5):
            await send(made, "left", A, f"Do{number}", correlation_id="c-1")
        with pytest.raises(GRPCError) as caught:
            async for _ in stream:
                pass
        assert caught.value.status is Status.RESOURCE_EXHAUSTED


async def test_a_business_server_in_another_process_is_reached(tmp_path: Path) -> None:
    accounts, transfers, onboarding, statements, upcasters = bank()
    async with GrpcServer([accounts, transfers, onboarding, statements, upcasters]) as server:
        address = await server.listen(f"unix:{tmp_path}/business.sock")
        async with EmbeddedCoordinator(
            handlers={"account": address, "mail": Domain()},
            sagas={"transfers": ("account", address)},
            process_managers={"onboarding": ("onboarding", ["account"], address)},
            projectors={"statements": (["account"], address)},
            upcasters={"account": address},
            config=FAST,
        ) as running:
            account = running.client("account")
            await account.send(OpenAccount(owner="alice"), root=A, correlation_id="c-1")
            await account.send(Deposit(amount=5), root=A, correlation_id="c-1")
            with pytest.raises(ClientGRPCError) as caught:
                await account.send(Deposit(amount=0), root=A)
            assert caught.value.code == "VALUE_NOT_POSITIVE"
            await running.settle(30)
            assert len((await running.events("account", A)).pages) == 2


async def test_an_unreachable_business_server_is_unavailable(tmp_path: Path) -> None:
    async with EmbeddedCoordinator(handlers={"account": f"unix:{tmp_path}/nobody.sock"}) as running:
        with pytest.raises(GRPCError, match="cannot be reached") as caught:
            await running.runtime.commands.handle_command(request("account", A, "DoOne"))
        assert caught.value.status is Status.UNAVAILABLE


async def test_the_socket_of_a_domain_takes_clients(tmp_path: Path) -> None:
    async with (
        EmbeddedCoordinator(handlers={"left": Domain()}, uds_base=tmp_path),
        CommandHandlerClient.connect(f"{tmp_path}/ch-left.sock") as client,
    ):
        made: CommandBook = request("left", A, "DoOne").command
        assert made.pages
        response = await client.handle_command(request("left", A, "DoOne"))
        assert names(response.events) == ["DoneOne"]
