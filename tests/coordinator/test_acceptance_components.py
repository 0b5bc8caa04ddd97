"""coordinator-contract.md §5–§10 for sagas, process managers, projectors and streams, met from another language."""

import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.to_thread
import grpc
import pytest

from angzarr.coordinator import EmbeddedCoordinator
from angzarr.messages import EventBook, EventPage, ProcessManagerHandleResponse
from tests.coordinator.foreigner import Foreigner, Refused, cover, fact, names, page, visited
from tests.coordinator.worlds import FAST, A, B, Domain, Manager, Saga, View, command, payload
from tests.interop.protos import PACKAGE, google

Code = grpc.StatusCode
FLOW = "00000000-0000-0000-0000-00000000000f"
PROCESS = bytes(15) + b"\x0f"


def begun(_: object) -> ProcessManagerHandleResponse:
    own = EventBook(pages=[EventPage(event=payload("Begun"))])
    return ProcessManagerHandleResponse(process_events=[own], commands=[command("right", B, "DoIt")])


@pytest.fixture
async def both() -> AsyncIterator[tuple[EmbeddedCoordinator, Foreigner]]:
    async with visited(
        handlers={"left": Domain(), "right": Domain()},
        sagas={"s": ("left", Saga({"DoneOne": lambda _: [command("right", A, "DoIt")]}))},
        process_managers={"m": ("flow", ["left"], Manager({"DoneTwo": begun}))},
        projectors={"view": (["left"], View(answer=payload("Seen")))},
        config=FAST,
    ) as found:
        yield found


def trigger(name: str, correlation_id: str = FLOW, sequence: int = 0) -> Any:
    made = fact(name)
    made.header.sequence = sequence
    return google("EventBook")(
        cover=cover("left", A, correlation_id), pages=[made], next_sequence=sequence + 1
    )


async def test_a_saga_is_executed_once_for_a_callers_events(
    both: tuple[EmbeddedCoordinator, Foreigner],
) -> None:
    running, foreigner = both
    made = google("SagaHandleRequest")(source=trigger("DoneOne"))
    for _ in range(2):
        response = await foreigner("SagaCoordinatorService", "Execute", made)
        assert [book.cover.domain for book in response.commands] == ["right"]
        await running.settle(30)
    book = await foreigner.book(cover("right", A))
    assert names(book) == ["DoneIt"]


async def test_a_speculative_saga_sends_nothing(both: tuple[EmbeddedCoordinator, Foreigner]) -> None:
    running, foreigner = both
    made = google("SpeculateSagaRequest")(request=google("SagaHandleRequest")(source=trigger("DoneOne")))
    response = await foreigner("SagaCoordinatorService", "ExecuteSpeculative", made)
    assert len(response.commands) == 1
    await running.settle(30)
    assert names(await foreigner.book(cover("right", A))) == []


async def test_a_process_manager_handles_a_callers_trigger_once(
    both: tuple[EmbeddedCoordinator, Foreigner],
) -> None:
    running, foreigner = both
    made = google("ProcessManagerCoordinatorRequest")(trigger=trigger("DoneTwo"))
    service, answer = "ProcessManagerCoordinatorService", "ProcessManagerHandleResponse"
    response = await foreigner(service, "Handle", made, answer=answer)
    (own,) = response.process_events
    assert (own.cover.domain, own.cover.root.value, own.pages[0].header.sequence) == ("flow", PROCESS, 0)
    assert list((await foreigner(service, "Handle", made, answer=answer)).process_events) == []
    await running.settle(30)
    assert names(await foreigner.book(cover("right", B))) == ["DoneIt"]
    speculative = google("SpeculatePmRequest")(
        request=google("ProcessManagerHandleRequest")(trigger=trigger("DoneTwo", sequence=1))
    )
    assert len((await foreigner(service, "HandleSpeculative", speculative, answer=answer)).commands) == 1
    assert names(await foreigner.book(cover("flow", PROCESS))) == ["Begun"]


async def test_a_process_manager_needs_a_correlation_id(
    both: tuple[EmbeddedCoordinator, Foreigner],
) -> None:
    made = google("ProcessManagerCoordinatorRequest")(trigger=trigger("DoneTwo", ""))
    with pytest.raises(Refused) as caught:
        await both[1]("ProcessManagerCoordinatorService", "Handle", made, answer="Projection")
    assert caught.value.code is Code.INVALID_ARGUMENT


async def test_a_projector_is_given_a_callers_book(both: tuple[EmbeddedCoordinator, Foreigner]) -> None:
    service = "ProjectorCoordinatorService"
    asked = google("EventRequest")(events=trigger("DoneOther"))
    projection = await both[1](service, "HandleSync", asked)
    assert (projection.projector, projection.projection.type_url) == (
        "view",
        "type.googleapis.com/world.Seen",
    )
    answer = await both[1](service, "Handle", trigger("DoneOther"), answer="Projection")
    assert answer.ByteSize() == 0
    speculative = google("SpeculateProjectorRequest")(events=trigger("DoneOther"))
    assert (await both[1](service, "HandleSpeculative", speculative, answer="Projection")).projector == "view"


async def test_simple_answers_what_the_projectors_said(
    both: tuple[EmbeddedCoordinator, Foreigner],
) -> None:
    response = await both[1].send(page("DoOther"), to=cover("left", A), sync_mode=1)
    (projection,) = response.projections
    assert (projection.projector, projection.sequence) == ("view", 1)
    assert projection.projection.type_url == "type.googleapis.com/world.Seen"


async def test_reactions_carry_the_correlation_id(both: tuple[EmbeddedCoordinator, Foreigner]) -> None:
    running, foreigner = both
    await foreigner.send(page("DoTwo"), to=cover("left", A, FLOW))
    await running.settle(30, correlation_id=FLOW)
    asked = google("Query")(cover=google("Cover")(correlation_id=FLOW))
    found = await foreigner("EventQueryService", "GetEvents", asked, server_streaming=True)
    assert [(book.cover.domain, names(book)) for book in found] == [
        ("left", ["DoneTwo"]),
        ("flow", ["Begun"]),
        ("right", ["DoneIt"]),
    ]


async def test_a_subscriber_gets_live_books_of_its_correlation(
    both: tuple[EmbeddedCoordinator, Foreigner],
) -> None:
    running, foreigner = both
    listening, books = threading.Event(), list[Any]()

    def listen() -> None:
        with grpc.insecure_channel(running.addresses[0]) as channel:
            method = channel.unary_stream(f"/{PACKAGE}.EventStreamService/Subscribe")
            call = method(
                google("EventStreamFilter")(correlation_id=FLOW).SerializeToString(),
                timeout=10,
                metadata=[("x-correlation-id", FLOW)],
            )
            listening.set()
            for data in call:
                books.append(google("EventBook").FromString(data))
                if len(books) == 3:
                    return

    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, listen)
        await anyio.to_thread.run_sync(listening.wait)
        with anyio.fail_after(30):
            while not running.runtime.streams._listeners:  # noqa: ASYNC110
                await anyio.sleep(0.005)
        await foreigner.send(page("DoOther"), to=cover("left", B, "another"))
        await foreigner.send(page("DoTwo"), to=cover("left", A, FLOW))
    assert [(book.cover.domain, names(book)) for book in books] == [
        ("left", ["DoneTwo"]),
        ("flow", ["Begun"]),
        ("right", ["DoneIt"]),
    ]
