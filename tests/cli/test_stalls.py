"""Code that blocks the event loop of `angzarr dev` is named in the log."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType

import anyio
import anyio.lowlevel
from structlog.testing import capture_logs
from structlog.typing import EventDict

from angzarr.cli.stalls import report_blocking_calls, report_stalls
from angzarr.retry import ExponentialBackoffRetry


async def test_a_blocked_loop_is_reported_once_with_its_place() -> None:
    with capture_logs() as logs, report_stalls(limit=0.05):
        await anyio.sleep(0.02)
        _block(logs)
        await anyio.sleep(0.02)

    (entry,) = blocked(logs)
    assert entry["event"] == "event_loop_blocked"


def _block(logs: list[EventDict]) -> None:
    """Block until that is reported, and then for four times the limit."""
    until = time.monotonic() + 20
    while not blocked(logs) and time.monotonic() < until:
        pass
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        pass


def blocked(logs: list[EventDict]) -> list[EventDict]:
    """What is reported of the function here. A busy machine can keep the loop from turning elsewhere, too."""
    return [entry for entry in logs if entry["at"].endswith(("in _block", "in blocked", "in <listcomp>"))]


async def test_a_loop_that_turns_is_left_alone() -> None:
    with capture_logs() as logs, report_stalls(limit=5.0):
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
