"""Timelines beside the main one."""

import anyio
import anyio.lowlevel
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import CoordinatorConfig, EmbeddedCoordinator, ReactionConfig
from angzarr.messages import (
    CommandBook,
    CommandPage,
    CommandRequest,
    DeleteEditionEvents,
    DomainDivergence,
    Edition,
    PageHeader,
    Query,
    new_cover,
    pack,
)
from tests.coordinator.worlds import A, B, Domain, Saga, command, names, request, send, world


async def test_an_edition_branches_off_at_its_first_event() -> None:
    async with world(handlers={"left": Domain()}) as running:
        await send(running, "left", A, "DoOne")
        response = await send(running, "left", A, "DoTwo", edition="what-if")
        await send(running, "left", A, "DoThree")
        assert response.events.pages[0].header.sequence == 1
        assert names(await running.events("left", A, edition="what-if")) == ["DoneOne", "DoneTwo"]
        assert names(await running.events("left", A)) == ["DoneOne", "DoneThree"]


async def test_an_explicit_divergence_is_where_the_first_write_branches() -> None:
    async with world(handlers={"left": Domain()}) as running:
        for name in ("DoOne", "DoTwo", "DoThree"):
            await send(running, "left", A, name)
        made = request("left", A, "DoOther")
        made.command.cover.edition = Edition(
            name="what-if", divergences=[DomainDivergence(domain="left", sequence=1)]
        )
        response = await running.runtime.commands.handle_command(made)
        assert response.events.pages[0].header.sequence == 1
        assert names(await running.events("left", A, edition="what-if")) == ["DoneOne", "DoneOther"]
        again = await running.runtime.commands.handle_command(made)
        assert again.events.pages[0].header.sequence == 2


async def test_an_edition_without_events_is_the_main_timeline() -> None:
    async with world(handlers={"left": Domain()}) as running:
        await send(running, "left", A, "DoOne")
        book = await running.runtime.queries.get_event_book(Query(cover=new_cover("left", A, "", "other")))
        assert (names(book), book.next_sequence, book.cover.edition.name) == (["DoneOne"], 1, "other")


def deletion(edition: str) -> CommandRequest:
    page = CommandPage(
        header=PageHeader(sequence=0), command=pack(DeleteEditionEvents(edition=edition, domain="left"))
    )
    return CommandRequest(command=CommandBook(cover=new_cover("_angzarr", A), pages=[page]))


async def test_an_edition_can_be_deleted(running: EmbeddedCoordinator) -> None:
    await send(running, "left", A, "DoOne")
    await send(running, "left", A, "DoTwo", edition="what-if")
    response = await running.runtime.commands.handle_command(deletion("what-if"))
    assert response.events.pages == []
    assert names(await running.events("left", A, edition="what-if")) == ["DoneOne"]


@pytest.mark.parametrize("edition", ["", "angzarr"])
async def test_the_main_timeline_cannot_be_deleted(running: EmbeddedCoordinator, edition: str) -> None:
    with pytest.raises(GRPCError, match="main timeline") as caught:
        await running.runtime.commands.handle_command(deletion(edition))
    assert caught.value.status is Status.INVALID_ARGUMENT


async def test_other_commands_to_the_coordinator_are_refused(running: EmbeddedCoordinator) -> None:
    with pytest.raises(GRPCError, match="DeleteEditionEvents only"):
        await send(running, "_angzarr", A, "DoIt")


@pytest.fixture
async def running():  # type: ignore[no-untyped-def]
    async with world(handlers={"left": Domain()}) as made:
        yield made


async def test_nobody_reacts_any_more_to_the_events_of_a_deleted_edition() -> None:
    saga = Saga({"DoneOne": lambda _: [command("right", B, "DoIt")]})
    saga.failures = [GRPCError(Status.INTERNAL, "not yet")] * 100
    slow = CoordinatorConfig(reactions=ReactionConfig(min_delay=60.0, max_delay=60.0))
    handlers = {"left": Domain(), "right": Domain()}
    async with world(slow, handlers=handlers, sagas={"s": ("left", saga)}) as running:
        await send(running, "left", A, "DoOne", edition="what-if")
        with anyio.fail_after(30):
            while "failed" not in running.runtime.reactions.pending()[0].state:
                await anyio.lowlevel.checkpoint()
        page = CommandPage(command=pack(DeleteEditionEvents(edition="what-if", domain="left")))
        book = CommandBook(cover=new_cover("_angzarr", B), pages=[page])
        await running.runtime.commands.handle_command(CommandRequest(command=book))
        await running.settle(30)
        assert await running.dead_letters() == []
    assert len(saga.seen) == 1


async def test_a_command_that_deletes_two_editions_deletes_both_or_none(running: EmbeddedCoordinator) -> None:
    await send(running, "left", A, "DoTwo", edition="what-if")
    await send(running, "left", A, "DoTwo", edition="if-not")
    both, refused = deletion("what-if"), deletion("what-if")
    refused.command.pages += deletion("angzarr").command.pages
    with pytest.raises(GRPCError, match="main timeline"):
        await running.runtime.commands.handle_command(refused)
    assert names(await running.events("left", A, edition="what-if")) == ["DoneTwo"]
    both.command.pages += deletion("if-not").command.pages
    await running.runtime.commands.handle_command(both)
    for edition in ("what-if", "if-not"):
        assert (await running.events("left", A, edition=edition)).pages == []
