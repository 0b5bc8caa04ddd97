"""A disk that is really full: a small tmpfs, where the machine lets a test mount one."""

import os
import subprocess
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread
import pytest
from grpclib import GRPCError

from angzarr.coordinator import EmbeddedCoordinator
from angzarr.messages import sequence_of
from tests.coordinator.worlds import FAST, A, B, Domain, Saga, View, command, names, send

pytestmark = pytest.mark.once


def _mounted(directory: Path) -> bool:
    made = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(directory)]
    try:
        return subprocess.run(made, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Path]:
    directory = tmp_path / "disk"
    await anyio.Path(directory).mkdir()
    if not await anyio.to_thread.run_sync(_mounted, directory):
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield directory
    finally:
        await anyio.to_thread.run_sync(lambda: subprocess.run(["umount", str(directory)], check=True))


def _fill(path: Path, leave: int = 0) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    size = 0
    try:
        while True:
            size += os.write(descriptor, b"x" * 4096)
    except OSError:
        os.ftruncate(descriptor, max(size - leave, 0))
    finally:
        os.close(descriptor)


def application(path: Path, view: View) -> EmbeddedCoordinator:
    saga = Saga({"DoneOne": lambda _: [command("right", B, "DoIt")]})
    return EmbeddedCoordinator(
        handlers={"left": Domain(), "right": Domain()},
        sagas={"s": ("left", saga)},
        projectors={"view": (["left", "right"], view)},
        store=path,
        config=FAST,
    )


async def until_full(running: EmbeddedCoordinator) -> int:
    """How many commands succeed before there is no space."""
    stored = 0

    async def fill() -> None:
        nonlocal stored
        while stored < 1000:
            await send(running, "left", A, "DoOne")
            stored += 1

    with pytest.raises(GRPCError, match="no space left to store"):
        await fill()
    return stored


@pytest.mark.parametrize("leave", [0, 65_536, 200_000])
async def test_commands_fail_cleanly_reads_go_on_and_all_is_well_when_there_is_space(
    disk: Path, leave: int
) -> None:
    view = View()
    async with application(disk / "w.db", view) as running:
        await send(running, "left", A, "DoOne")
        await running.settle(30)
        await anyio.to_thread.run_sync(_fill, disk / "filler", leave)
        stored = 1 + await until_full(running)
        assert [sequence_of(page) for page in (await running.events("left", A)).pages] == list(range(stored))
        await anyio.Path(disk / "filler").unlink()
        await send(running, "left", A, "DoOne")
        await running.settle(20)
        assert names(await running.events("left", A)) == ["DoneOne"] * (stored + 1)
        assert names(await running.events("right", B)) == ["DoneIt"] * (stored + 1)
        assert len(view.events) >= 2 * (stored + 1)
        assert await running.dead_letters() == []


async def test_work_that_a_full_disk_left_is_done_after_a_restart(disk: Path) -> None:
    async with application(disk / "w.db", View()) as running:
        running.runtime.reactions.stop()
        await send(running, "left", A, "DoOne")
        await anyio.to_thread.run_sync(_fill, disk / "filler")
    await anyio.Path(disk / "filler").unlink()
    async with application(disk / "w.db", View()) as running:
        await running.settle(20)
        assert names(await running.events("right", uuid.UUID(bytes=B))) == ["DoneIt"]
