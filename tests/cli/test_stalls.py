"""Code that blocks the event loop of `angzarr dev` is named in the log."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType

import anyio
import anyio.lowlevel
from structlog.testing import capture_logs

from angzarr.cli.stalls import report_blocking_calls, report_stalls
from angzarr.retry import ExponentialBackoffRetry


async def test_a_blocked_loop_is_reported_once_with_its_place() -> None:
    with capture_logs() as logs:
        async with report_stalls(limit=0.05):
            await anyio.sleep(0.02)
            _block(0.4)
            await anyio.sleep(0.02)

    (entry,) = logs
    assert entry["event"] == "event_loop_blocked"
    assert entry["at"].endswith("in _block")


def _block(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


async def test_a_loop_that_turns_is_left_alone() -> None:
    with capture_logs() as logs:
        async with report_stalls(limit=5.0):
            for _ in range(20):
                await anyio.lowlevel.checkpoint()

    assert logs == []


def users_code(tmp_path: Path) -> ModuleType:
    """A module of a user's, whose function blocks."""
    module = ModuleType("users_code")
    source = "import time\n\n\ndef handle():\n    time.sleep(0)\n"
    exec(compile(source, str(tmp_path / "users_code.py"), "exec"), module.__dict__)
    return module


async def test_a_blocking_call_of_a_handler_is_reported_once_and_let_be(tmp_path: Path) -> None:
    handle = users_code(tmp_path).handle
    with capture_logs() as logs, report_blocking_calls():
        for _ in range(2):
            await invoke_as_a_router_does(handle)

    (entry,) = logs
    assert (entry["event"], entry["call"]) == ("blocking_call", "time.sleep")
    assert entry["at"] == f"{tmp_path}/users_code.py:5 in handle"


async def invoke_as_a_router_does(function: Callable[[], None]) -> None:
    """Call through a frame of angzarr's."""
    await ExponentialBackoffRetry(max_attempts=1).execute(_answering(function))


def _answering(function: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def operation() -> None:
        function()

    return operation
