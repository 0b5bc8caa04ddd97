"""A process manager's own events: whose they are, whatever their cover says or leaves out."""

import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.messages import (
    UUID,
    Cover,
    EventBook,
    EventPage,
    PageHeader,
    ProcessManagerCoordinatorRequest,
    ProcessManagerHandleResponse,
    new_cover,
)
from tests.coordinator.worlds import A, B, Domain, Manager, command, names, payload, root, send, world

FLOW = "00000000-0000-0000-0000-00000000000f"
PROCESS = root(0xF)


def answering(*covers: Cover | None) -> Manager:
    """A process manager whose events are under those covers, and that sends a command as well."""

    def answer(_: object) -> ProcessManagerHandleResponse:
        response = ProcessManagerHandleResponse(commands=[command("right", B, "DoIt")])
        for cover in covers:
            book = EventBook(pages=[EventPage(event=payload("Begun"))])
            if cover is not None:
                book.cover = cover
            response.process_events.append(book)
        return response

    return Manager({"DoneOne": answer})


@pytest.mark.parametrize(
    "cover",
    [
        None,
        Cover(),
        Cover(domain="flow"),
        Cover(root=UUID(value=PROCESS)),
        Cover(domain="flow", root=UUID(value=PROCESS), correlation_id="other"),
    ],
    ids=["none", "empty", "domain", "root", "both"],
)
async def test_what_a_cover_leaves_out_is_filled_in(cover: Cover | None) -> None:
    handlers = {"left": Domain(), "right": Domain()}
    managers = {"m": ("flow", ["left"], answering(cover))}
    async with world(handlers=handlers, process_managers=managers) as running:
        await send(running, "left", A, "DoOne", correlation_id=FLOW)
        await running.settle(30)
        book = await running.events("flow", PROCESS)
        assert names(book) == ["Begun"]
        assert names(await running.events("right", B)) == ["DoneIt"]


@pytest.mark.parametrize(
    ("cover", "says"),
    [
        (new_cover("left", PROCESS), "domain is left, the process's is flow"),
        (new_cover("flow", A), f"root is {A.hex()}, the process's is {PROCESS.hex()}"),
    ],
    ids=["domain", "root"],
)
async def test_events_for_another_aggregate_are_refused_by_name_and_nothing_of_the_answer_is_done(
    cover: Cover, says: str
) -> None:
    manager = answering(None, cover)
    handlers = {"left": Domain(), "right": Domain()}
    managers = {"m": ("flow", ["left"], manager)}
    async with world(handlers=handlers, process_managers=managers) as running:
        await send(running, "left", A, "DoOne", correlation_id=FLOW)
        await running.settle(30)
        (letter,) = await running.dead_letters(component="m")
        assert letter.rejection_reason == (
            f"m: Process events for the wrong aggregate: {says};"
            " leave their cover out, and send facts to other aggregates"
        )
        assert (await running.events("flow", PROCESS)).pages == []
        assert (await running.events("flow", A)).pages == []
        assert names(await running.events("left", A)) == ["DoneOne"]
        assert (await running.events("right", B)).pages == []
    assert len(manager.seen) == 1


async def test_a_caller_that_has_a_process_manager_called_is_told() -> None:
    managers = {"m": ("flow", ["left"], answering(new_cover("left", A)))}
    async with world(handlers={"right": Domain()}, process_managers=managers) as running:
        page = EventPage(header=PageHeader(sequence=0), event=payload("DoneOne"))
        trigger = EventBook(cover=new_cover("left", A, FLOW), pages=[page])
        with pytest.raises(GRPCError, match="Process events for the wrong aggregate") as caught:
            await running.runtime.process_managers.handle(ProcessManagerCoordinatorRequest(trigger=trigger))
        assert caught.value.status is Status.INTERNAL
