"""Sync modes: what the caller waits for, and what a failing cascade does."""

import json
from collections.abc import Callable

import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import EmbeddedCoordinator, wire
from angzarr.messages import (
    CascadeErrorMode,
    CommandBook,
    Cover,
    Notification,
    ProcessManagerHandleResponse,
    RejectionNotification,
    SyncMode,
    unpack,
)
from tests.coordinator.worlds import (
    SHALLOW,
    A,
    B,
    C,
    Domain,
    Manager,
    Saga,
    View,
    command,
    names,
    payload,
    send,
    world,
)

Rule = Callable[[Cover], list[CommandBook]]


def chain() -> dict[str, Rule]:
    """left/A: DoOne → middle/B: DoTwo → right/C: DoThree."""
    return {"DoneOne": lambda _: [command("middle", B, "DoTwo"), command("middle", B, "DoTwoMore")]}


class Chain:
    def __init__(self) -> None:
        self.left, self.middle, self.right = Domain(), Domain(), Domain()
        self.first = Saga(dict(chain()))
        self.second = Saga({"DoneTwo": lambda _: [command("right", C, "DoThree")]})
        self.view = View()

    def world(self, **more: object):  # type: ignore[no-untyped-def]
        return world(
            handlers={"left": self.left, "middle": self.middle, "right": self.right},
            sagas={"first": ("left", self.first), "second": ("middle", self.second)},
            projectors={"view": (["left", "middle", "right"], self.view)},
            **more,  # type: ignore[arg-type]
        )


def refusal(text: str = "no") -> GRPCError:
    return GRPCError(Status.FAILED_PRECONDITION, text)


async def state(running: EmbeddedCoordinator) -> list[list[str]]:
    return [
        names(await running.events("left", A)),
        names(await running.events("middle", B)),
        names(await running.events("right", C)),
    ]


async def cascade(running: EmbeddedCoordinator, errors: CascadeErrorMode | int = 0):  # type: ignore[no-untyped-def]
    return await send(
        running,
        "left",
        A,
        "DoOne",
        sync_mode=SyncMode.CASCADE,
        cascade_error_mode=CascadeErrorMode.try_value(int(errors)),
    )


async def test_a_cascade_is_done_when_it_is_answered() -> None:
    made = Chain()
    async with made.world() as running:
        await cascade(running)
        assert await state(running) == [["DoneOne"], ["DoneTwo", "DoneTwoMore"], ["DoneThree"]]
        await running.settle(30)
        assert await state(running) == [["DoneOne"], ["DoneTwo", "DoneTwoMore"], ["DoneThree"]]
    assert (len(made.first.seen), len(made.second.seen)) == (1, 2)


async def test_a_cascade_waits_for_projectors_too() -> None:
    made = Chain()
    async with made.world() as running:
        response = await cascade(running)
        assert [projection.projector for projection in response.projections] == ["view"]
        assert sorted(name for _, _, name in made.view.events) == [
            "DoneOne",
            "DoneThree",
            "DoneTwo",
            "DoneTwoMore",
        ]


@pytest.mark.parametrize("mode", [SyncMode.ASYNC, SyncMode.DECISION, SyncMode.SIMPLE])
async def test_the_other_modes_react_afterwards(mode: SyncMode) -> None:
    made = Chain()
    async with made.world() as running:
        response = await send(running, "left", A, "DoOne", sync_mode=mode)
        assert len(response.projections) == (1 if mode == SyncMode.SIMPLE else 0)
        await running.settle(30)
        assert (await state(running))[2] == ["DoneThree"]


async def test_fail_fast_fails_with_the_reason_and_tells_the_source() -> None:
    made = Chain()
    made.middle.refuse["DoTwo"] = refusal("middle says no")
    async with made.world() as running:
        with pytest.raises(GRPCError, match="middle says no") as caught:
            await cascade(running)
        assert caught.value.status is Status.FAILED_PRECONDITION
        assert len(made.left.notifications) == 1
        assert names(await running.events("left", A)) == ["DoneOne"]
        await running.settle(30)
        # What had not been run inline is not lost.
        assert names(await running.events("middle", B)) == ["DoneTwoMore"]


async def test_a_failure_deep_down_fails_the_request() -> None:
    made = Chain()
    made.right.refuse["DoThree"] = refusal("right says no")
    async with made.world() as running:
        with pytest.raises(GRPCError, match="right says no"):
            await cascade(running)
        assert len(made.middle.notifications) == 1


async def test_continue_runs_everything_and_tells_in_the_trailers() -> None:
    made = Chain()
    made.middle.refuse["DoTwo"] = refusal("middle says no")
    trailers: list[tuple[str, str]] = []
    wire.trailers.set(trailers)
    async with made.world() as running:
        await cascade(running, CascadeErrorMode.CASCADE_ERROR_CONTINUE)
        assert names(await running.events("middle", B)) == ["DoneTwoMore"]
    ((key, value),) = trailers
    assert key == "x-angzarr-cascade-errors"
    assert json.loads(value) == [
        {"component": "first", "domain": "middle", "code": "FAILED_PRECONDITION", "message": "middle says no"}
    ]


async def test_compensate_takes_back_what_had_succeeded_newest_first() -> None:
    made = Chain()
    made.middle.refuse["DoTwoMore"] = refusal("enough")
    async with made.world() as running:
        with pytest.raises(GRPCError, match="enough"):
            await cascade(running, CascadeErrorMode.CASCADE_ERROR_COMPENSATE)
        await running.settle(30)
    refused = []
    for domain in (made.right, made.middle, made.left):
        for told in domain.notifications:
            notice = unpack(told.command.pages[0].command, Notification)
            rejection = unpack(notice.payload, RejectionNotification)
            refused.append(
                (
                    told.command.cover.domain,
                    rejection.rejected_command.cover.domain,
                    rejection.rejection_reason,
                )
            )
    assert ("right", "right", "enough") in refused
    assert ("middle", "middle", "enough") in refused
    assert ("left", "left", "enough") in refused


async def test_dead_letter_keeps_each_failure_and_succeeds() -> None:
    made = Chain()
    made.middle.refuse["DoTwo"] = refusal("middle says no")
    async with made.world() as running:
        await cascade(running, CascadeErrorMode.CASCADE_ERROR_DEAD_LETTER)
        (letter,) = await running.dead_letters()
        assert (letter.cover.domain, letter.source_component) == ("middle", "first")
        assert names(await running.events("middle", B)) == ["DoneTwoMore"]


async def test_an_endless_cascade_ends_and_names_its_chain() -> None:
    ping = Saga({"DonePing": lambda _: [command("right", B, "DoPong")]})
    pong = Saga({"DonePong": lambda _: [command("left", A, "DoPing")]})
    async with world(
        SHALLOW,
        handlers={"left": Domain(), "right": Domain()},
        sagas={"ping": ("left", ping), "pong": ("right", pong)},
    ) as running:
        with pytest.raises(
            GRPCError, match=r"deeper than 4 commands: world\.DoPing → world\.DoPong"
        ) as caught:
            await send(running, "left", A, "DoPing", sync_mode=SyncMode.CASCADE)
        assert caught.value.status is Status.FAILED_PRECONDITION
        await running.settle(30)
        assert len(await running.dead_letters()) == 1


async def test_a_command_of_a_process_manager_may_have_a_mode_of_its_own() -> None:
    def answer(_: object) -> ProcessManagerHandleResponse:
        return ProcessManagerHandleResponse(
            commands=[command("right", B, "DoIt", sync_mode=SyncMode.ISOLATED)],
        )

    after = Saga({})
    async with world(
        handlers={"left": Domain(), "right": Domain()},
        process_managers={"m": ("flow", ["left"], Manager({"DoneOne": answer}))},
        sagas={"after": ("right", after)},
    ) as running:
        await send(running, "left", A, "DoOne", correlation_id="c-1", sync_mode=SyncMode.CASCADE)
        await running.settle(30)
        assert names(await running.events("right", B)) == ["DoneIt"]
    assert after.seen == []


async def test_isolated_reaches_no_projector() -> None:
    made = Chain()
    async with made.world() as running:
        await send(running, "left", A, "DoOne", sync_mode=SyncMode.ISOLATED)
        await running.settle(30)
    assert (made.view.books, made.first.seen) == ([], [])


async def test_a_failing_projector_fails_a_simple_request_which_is_stored() -> None:
    made = Chain()
    made.view.failures = [GRPCError(Status.INTERNAL, "disk on fire")]
    async with made.world() as running:
        with pytest.raises(GRPCError, match="disk on fire; the events are stored") as caught:
            await send(running, "left", A, "DoOne", sync_mode=SyncMode.SIMPLE)
        assert caught.value.status is Status.INTERNAL
        await running.settle(30)
        assert names(await running.events("left", A)) == ["DoneOne"]
    assert "DoneOne" in [name for _, _, name in made.view.events]


async def test_a_projection_payload_is_what_a_sync_caller_gets() -> None:
    made = Chain()
    made.view.answer = payload("Standing", b"7")
    async with made.world() as running:
        response = await send(running, "left", A, "DoOne", sync_mode=SyncMode.SIMPLE)
    assert response.projections[0].projection.value == b"7"
