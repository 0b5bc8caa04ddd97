"""Looking after a coordinator: causes, dead letters, projectors."""

import uuid

import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import causality
from angzarr.coordinator.store.records import Key
from angzarr.messages import (
    Empty,
    EventBook,
    EventPage,
    EventRequest,
    ExternalDeferredSequence,
    PageHeader,
    encode,
    has_field,
    new_cover,
)
from angzarr.messages.admin import (
    Cause,
    DeadLetterRequest,
    ExplainRequest,
    ListDeadLettersRequest,
    RebuildProjectorRequest,
)
from tests.coordinator.worlds import A, B, Domain, Saga, View, command, names, payload, request, send, world


def lines(cause: Cause, depth: int = 0) -> list[str]:
    own = f"{'  ' * depth}{cause.event_type} by {cause.component or 'client'} for {cause.command_type}"
    return [own, *(line for caused in cause.caused for line in lines(caused, depth + 1))]


async def test_an_event_is_explained_from_its_first_cause() -> None:
    first = Saga({"DoneOne": lambda _: [command("right", B, "DoTwo")]})
    second = Saga({"DoneTwo": lambda _: [command("left", B, "DoThree"), command("left", B, "DoFour")]})
    async with world(
        handlers={"left": Domain(), "right": Domain()},
        sagas={"first": ("left", first), "second": ("right", second)},
        projectors={"view": (["left"], View())},
    ) as running:
        await send(running, "left", A, "DoOne", correlation_id="c-1")
        await running.settle(30)
        found = await running.runtime.admin.explain(ExplainRequest(cover=new_cover("left", B), sequence=1))
        assert lines(found) == [
            "world.DoneOne by client for world.DoOne",
            "  world.DoneTwo by first for world.DoTwo",
            "    world.DoneThree by second for world.DoThree",
            "    world.DoneFour by second for world.DoFour",
        ]
        assert found.received_at <= found.stored_at <= found.caused[0].stored_at
        assert found.cover.correlation_id == "c-1"
        assert [projected.projector for projected in found.projections] == ["view"]
        assert has_field(found.projections[0], "at")


async def test_the_command_that_caused_an_event_is_found_as_it_was_sent() -> None:
    async with world(handlers={"left": Domain()}) as running:
        await send(running, "left", A, "DoOne")
        await send(running, "left", A, "DoTwo", correlation_id="c-1")
        asked = ExplainRequest(cover=new_cover("left", A), sequence=1)
        found = await running.runtime.admin.find_command(asked)
        sent = request("left", A, "DoTwo", correlation_id="c-1").command
        assert encode(found.command) == encode(sent)
        assert (found.first_sequence, found.last_sequence) == (1, 1)


async def test_of_a_command_that_reaches_from_a_saga_its_header_is_kept() -> None:
    saga = Saga({"DoneOne": lambda _: [command("right", B, "DoIt")]})
    handlers = {"left": Domain(), "right": Domain()}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        asked = ExplainRequest(cover=new_cover("right", B), sequence=0)
        found = await running.runtime.admin.find_command(asked)
        assert found.command.pages[0].header.angzarr_deferred.source.domain == "left"


async def test_a_fact_was_caused_by_no_command() -> None:
    header = PageHeader(external_deferred=ExternalDeferredSequence(external_id="x"))
    facts = EventBook(cover=new_cover("left", A), pages=[EventPage(header=header, event=payload("Fact"))])
    async with world(handlers={"left": Domain()}) as running:
        await send(running, "left", A, "DoOne")
        await running.runtime.commands.handle_event(EventRequest(events=facts))
        with pytest.raises(GRPCError) as caught:
            await running.runtime.admin.find_command(ExplainRequest(cover=new_cover("left", A), sequence=1))
        assert caught.value.status is Status.NOT_FOUND


async def test_components_are_listed_with_what_is_wrong_with_them() -> None:
    async with world(handlers={"left": "127.0.0.1:1", "right": Domain()}) as running:
        listed = (await running.runtime.admin.list_components(Empty())).components
        assert {(one.kind, one.name, one.endpoint, bool(one.problem)) for one in listed} == {
            ("command_handler", "left", "127.0.0.1:1", True),
            ("command_handler", "right", "", False),
            ("store", "", "", False),
        }


async def test_an_unknown_event_is_not_found() -> None:
    async with world(handlers={"left": Domain()}) as running:
        assert await causality.tree(running.runtime.engine.store, Key("left", "", A), 0) is None
        with pytest.raises(GRPCError) as caught:
            await running.runtime.admin.explain(ExplainRequest(cover=new_cover("left", A), sequence=0))
        assert caught.value.status is Status.NOT_FOUND


async def test_dead_letters_are_listed_replayed_and_skipped_by_id() -> None:
    saga = Saga({"DoneOne": lambda _: [command("right", B, "DoIt")]})
    saga.failures = [GRPCError(Status.INVALID_ARGUMENT, "no")] * 2
    handlers = {"left": Domain(), "right": Domain()}
    async with world(handlers=handlers, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne")
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        listed = await running.runtime.admin.list_dead_letters(ListDeadLettersRequest(component="s"))
        first, second = (letter.metadata["angzarr.id"] for letter in listed.letters)
        await running.runtime.admin.replay_dead_letter(DeadLetterRequest(id=first))
        await running.runtime.admin.skip_dead_letter(DeadLetterRequest(id=second))
        await running.settle(30)
        assert names(await running.events("right", B)) == ["DoneIt"]
        assert (await running.runtime.admin.list_dead_letters(ListDeadLettersRequest())).letters == []
        with pytest.raises(GRPCError) as caught:
            await running.runtime.admin.skip_dead_letter(DeadLetterRequest(id=second))
        assert caught.value.status is Status.NOT_FOUND


async def test_projectors_are_listed_and_rebuilt() -> None:
    view = View()
    async with world(handlers={"left": Domain()}, projectors={"view": (["left"], view)}) as running:
        await send(running, "left", uuid.UUID(int=3).bytes, "DoOne")
        await running.settle(30)
        (projector,) = (await running.runtime.admin.list_projectors(Empty())).projectors
        assert (projector.name, projector.domains, projector.behind, projector.parked) == (
            "view",
            ["left"],
            0,
            0,
        )
        steps = [
            (step.done, step.total)
            async for step in running.runtime.admin.rebuild_projector(RebuildProjectorRequest(name="view"))
        ]
        assert steps[-1] == (1, 1)
        with pytest.raises(GRPCError, match="known projectors: view"):
            async for _ in running.runtime.admin.rebuild_projector(RebuildProjectorRequest(name="other")):
                pass
    assert [name for _, _, name in view.events] == ["DoneOne", "DoneOne"]
