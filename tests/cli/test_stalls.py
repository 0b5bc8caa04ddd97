"""Code that blocks the event loop of `angzarr dev` is named in the log."""

import time

import anyio
import anyio.lowlevel
from structlog.testing import capture_logs

from angzarr.cli.stalls import report_stalls


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
