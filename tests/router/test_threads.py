"""Worker threads of synchronous handlers."""

import asyncio
import threading
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from angzarr.router.threads import LIMIT, in_thread
from tests.server.peers import until


async def test_what_the_function_returns_or_raises_arrives() -> None:
    def broken() -> None:
        raise ValueError("no")

    assert await in_thread(lambda: 5, "five") == 5
    with pytest.raises(ValueError, match="no"):
        await in_thread(broken, "broken")


async def test_stop_iteration_arrives_as_an_error_that_a_future_can_hold() -> None:
    with pytest.raises(RuntimeError, match=r"Handler\.open raised StopIteration"):
        await in_thread(lambda: next(iter(())), "Handler.open")


async def test_threads_are_used_again_and_hold_no_process() -> None:
    first, second = [await in_thread(threading.current_thread, "who") for _ in range(2)]
    assert first is second
    assert first.daemon


async def test_a_caller_that_is_cancelled_does_not_wait() -> None:
    release, ended = threading.Event(), threading.Event()

    def stuck() -> None:
        release.wait(10)
        ended.set()

    with capture_logs() as logged:
        with anyio.move_on_after(0.01) as scope:
            await in_thread(stuck, "Handler.stuck")
        assert scope.cancelled_caught
        assert not ended.is_set()
    assert logged == [{"event": "handler_left_in_thread", "handler": "Handler.stuck", "log_level": "warning"}]
    release.set()
    await until(ended.is_set)


async def test_no_more_than_the_limit_run_at_a_time() -> None:
    release = threading.Event()
    running: list[int] = []

    def count() -> None:
        running.append(1)
        release.wait(10)

    async with asyncio.TaskGroup() as group:
        for _ in range(LIMIT + 5):
            group.create_task(in_thread(count, "count"))
        await until(lambda: len(running) == LIMIT)
        release.set()
    assert len(running) == LIMIT + 5


def test_a_loop_that_ended_does_not_disturb_the_thread() -> None:
    release, ended = threading.Event(), threading.Event()
    failures: list[Any] = []
    threading.excepthook, before = failures.append, threading.excepthook

    def job() -> None:
        release.wait(10)
        ended.set()

    async def main() -> None:
        with anyio.move_on_after(0.01):
            await in_thread(job, "job")

    try:
        asyncio.run(main())
        release.set()
        assert ended.wait(10)
        assert asyncio.run(in_thread(lambda: 7, "seven")) == 7
    finally:
        threading.excepthook = before
    assert failures == []
