"""A caller may leave at any moment: what was begun durably is finished, and what the caller was told stays true."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import anyio
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.client import CommandHandlerClient
from angzarr.coordinator import EmbeddedCoordinator
from angzarr.coordinator.store import SqliteStore
from angzarr.coordinator.store.records import Append, Operation
from angzarr.errors import OutcomeUnknownError
from angzarr.messages import (
    BusinessResponse,
    CascadeErrorMode,
    CommandPage,
    ContextualCommand,
    EventBook,
    EventPage,
    PageHeader,
    SagaHandleRequest,
    SagaResponse,
    SyncMode,
    new_cover,
)
from tests.coordinator.worlds import FAST, A, B, Domain, Saga, command, events, names, payload, request, world

CASCADE = SyncMode.CASCADE


class Held(Domain):
    """A handler that answers ``DoSlow`` when it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = anyio.Event()
        self.released = anyio.Event()

    async def handle(self, request: ContextualCommand) -> BusinessResponse:
        if request.command.pages[0].command.type_url.endswith("DoSlow"):
            self.asked.set()
            await self.released.wait()
        return await super().handle(request)


def undone(request: ContextualCommand) -> BusinessResponse:
    return BusinessResponse(events=events(request, "Undone"))


async def left_during(asked: anyio.Event, call: Awaitable[Any]) -> None:
    """Cancel a call as soon as somebody was asked because of it."""
    task = asyncio.ensure_future(call)
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cascade_goes_on_when_its_caller_leaves() -> None:
    right = Held()
    rules = {"DoneOne": lambda _: [command("right", B, "DoSlow"), command("right", B, "DoMore")]}
    async with world(
        handlers={"left": Domain(), "right": right}, sagas={"s": ("left", Saga(rules))}
    ) as running:
        made = request("left", A, "DoOne", sync_mode=CASCADE)
        await left_during(right.asked, running.runtime.commands.handle_command(made))
        right.released.set()
        await running.settle(20)
        assert names(await running.events("left", A)) == ["DoneOne"]
        assert names(await running.events("right", B)) == ["DoneSlow", "DoneMore"]
        assert await running.dead_letters() == []


async def test_a_cascade_whose_caller_left_is_still_compensated() -> None:
    left, right = Domain(compensate=undone), Held()
    right.compensate = undone
    right.refuse["DoSlow"] = GRPCError(Status.FAILED_PRECONDITION, "no")
    rules = {"DoneOne": lambda _: [command("right", B, "DoFirst"), command("right", B, "DoSlow")]}
    async with world(handlers={"left": left, "right": right}, sagas={"s": ("left", Saga(rules))}) as running:
        mode = CascadeErrorMode.CASCADE_ERROR_COMPENSATE
        made = request("left", A, "DoOne", cascade_error_mode=mode, sync_mode=CASCADE)
        await left_during(right.asked, running.runtime.commands.handle_command(made))
        right.released.set()
        await running.settle(20)
        assert names(await running.events("right", B)) == ["DoneFirst", "Undone"]


async def test_a_two_phase_cascade_whose_caller_left_is_revoked_when_it_has_ended() -> None:
    right = Held()
    rules = {"DoneOne": lambda _: [command("right", B, "DoSlow"), command("right", B, "DoMore")]}
    async with world(
        handlers={"left": Domain(), "right": right}, sagas={"s": ("left", Saga(rules))}
    ) as running:
        made = request("left", A, "DoOne", cascade_id="x-1", sync_mode=CASCADE)
        await left_during(right.asked, running.runtime.commands.handle_command(made))
        assert names(await running.events("left", A)) == ["NoOp"]
        right.released.set()
        await running.settle(20)
        assert names(await running.events("left", A)) == ["NoOp", "Revocation"]
        assert names(await running.events("right", B)) == ["NoOp", "NoOp", "Revocation"]


class HeldSaga(Saga):
    """A saga that answers when it is released."""

    def __init__(self, rules: Any) -> None:
        super().__init__(rules)
        self.asked = anyio.Event()
        self.released = anyio.Event()

    async def handle(self, request: SagaHandleRequest) -> SagaResponse:
        self.asked.set()
        await self.released.wait()
        return await super().handle(request)


async def test_a_saga_that_was_asked_by_rpc_is_heard_out_when_the_caller_leaves() -> None:
    saga = HeldSaga({"DoneOne": lambda _: [command("right", B, "DoIt")]})
    async with world(handlers={"right": Domain()}, sagas={"s": ("left", saga)}) as running:
        page = EventPage(header=PageHeader(sequence=0), event=payload("DoneOne"))
        asked = SagaHandleRequest(source=EventBook(cover=new_cover("left", A), pages=[page]))
        await left_during(saga.asked, running.runtime.sagas.execute(asked))
        saga.released.set()
        await running.settle(20)
        assert names(await running.events("right", B)) == ["DoneIt"]
        assert len(saga.seen) == 1
        assert await running.runtime.engine.store.outbox() == []


class SlowStore(SqliteStore):
    """A store that writes events when it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = anyio.Event()
        self.released = anyio.Event()

    def submit(self, unit: Sequence[Operation]) -> "asyncio.Future[list[Any]]":
        if not any(isinstance(operation, Append) for operation in unit):
            return super().submit(unit)
        return asyncio.ensure_future(self._later(unit))

    async def _later(self, unit: Sequence[Operation]) -> list[Any]:
        self.asked.set()
        await self.released.wait()
        return await super().submit(unit)


@pytest.mark.parametrize("mode", [SyncMode.ASYNC, SyncMode.SIMPLE, SyncMode.CASCADE])
async def test_a_deadline_that_passes_while_a_command_is_stored_does_not_tear_it(mode: SyncMode) -> None:
    store, saga = SlowStore(), Saga({"DoneOne": lambda _: [command("right", B, "DoIt")]})
    async with (
        EmbeddedCoordinator(
            handlers={"left": Domain(), "right": Domain()},
            sagas={"s": ("left", saga)},
            store=store,
            tcp="127.0.0.1:0",
            config=FAST,
        ) as running,
        CommandHandlerClient.connect(running.addresses[0]) as client,
    ):
        made = request("left", A, "DoOne", sync_mode=mode)
        made.command.pages.append(CommandPage(command=payload("DoOne")))
        with pytest.raises(OutcomeUnknownError) as unknown:
            await client.handle_command(made, timeout=1.0)
        assert unknown.value.grpc_code is Status.DEADLINE_EXCEEDED
        assert store.asked.is_set()
        store.released.set()
        await client.handle_command(request("left", A, "DoOther"))
        await running.settle(20)
        assert names(await running.events("left", A)) == ["DoneOne", "DoneOther"]
        assert names(await running.events("right", B)) == ["DoneIt"]
