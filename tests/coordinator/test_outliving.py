"""Work that goes on without whoever began it."""

import asyncio
from contextvars import ContextVar

import anyio
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import asking
from angzarr.coordinator.asking import caller_waits, guarded, seconds_left
from angzarr.coordinator.outliving import outliving, stored

LABEL: ContextVar[str] = ContextVar("LABEL", default="")


async def left() -> float:
    return await guarded("it", _left(), 1000.0)


async def _left() -> float:
    seconds = seconds_left()
    assert seconds is not None
    return seconds


async def test_it_answers_raises_and_keeps_its_context_but_for_the_callers_deadline() -> None:
    LABEL.set("mine")

    async def look() -> tuple[str, bool]:
        return LABEL.get(), await left() > 500

    async def fail() -> None:
        raise GRPCError(Status.ABORTED, "no")

    async with anyio.create_task_group() as group:
        with caller_waits(10.0):
            assert await left() <= 10
            assert await outliving(group, look()) == ("mine", True)
            assert await left() <= 10
        with pytest.raises(GRPCError, match="no"):
            await outliving(group, fail())


async def test_the_nearest_of_nested_deadlines_holds() -> None:
    with caller_waits(50.0):
        with caller_waits(500.0):
            assert await left() <= 50
        with caller_waits(5.0):
            assert await left() <= 5
        with caller_waits(None):
            assert 5 < await left() <= 50
    assert await left() > 500


async def test_an_endpoint_that_is_out_of_time_because_of_the_caller_has_not_failed() -> None:
    async def late() -> None:
        raise asking.OutOfTimeError

    with caller_waits(50.0), pytest.raises(asking.CallerLeftError, match="it did not answer before"):
        await guarded("it", late(), 1000.0)
    with caller_waits(5000.0), pytest.raises(TimeoutError):
        await guarded("it", late(), 1000.0)


async def test_it_goes_on_when_its_caller_is_cancelled() -> None:
    begun, go, done = anyio.Event(), anyio.Event(), anyio.Event()

    async def work() -> None:
        begun.set()
        await go.wait()
        done.set()
        raise GRPCError(Status.ABORTED, "nobody hears this")

    async with anyio.create_task_group() as group:
        caller = asyncio.ensure_future(outliving(group, work()))
        await begun.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        go.set()
        await done.wait()


async def test_whoever_waits_is_told_when_everything_is_stopped() -> None:
    begun = anyio.Event()

    async def work() -> None:
        begun.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        caller = asyncio.ensure_future(outliving(group, work()))
        await begun.wait()
        group.cancel_scope.cancel()
    with pytest.raises(GRPCError, match="The coordinator was stopped") as caught:
        await caller
    assert caught.value.status is Status.UNAVAILABLE
    with pytest.raises(GRPCError, match="The coordinator was stopped"):
        await outliving(group, work())


async def test_what_follows_a_write_is_done_once_whoever_is_there_to_see_it() -> None:
    seen: list[list[int]] = []
    for leaves in (False, True):
        future: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(stored(future, seen.append))
        await asyncio.sleep(0)
        if leaves:
            waiting.cancel()
        future.set_result([1])
        await asyncio.wait([waiting])
        await asyncio.sleep(0)
        assert waiting.cancelled() is leaves
    assert seen == [[1], [1]]
