"""Many commands over many aggregates while the process is killed again and again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio.to_thread
import pytest

ACCOUNTS = int(os.environ.get("ANGZARR_SOAK_ACCOUNTS", "1000"))
COMMANDS = int(os.environ.get("ANGZARR_SOAK_COMMANDS", "100000"))
KILLS = int(os.environ.get("ANGZARR_SOAK_KILLS", "20"))


def start(path: Path, mode: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    command = [
        sys.executable,
        "-m",
        "tests.coordinator.crashing",
        str(path / "bank.db"),
        str(path / "view.txt"),
        mode,
    ]
    output = (path / "acknowledged.txt").open("a")
    with output:
        return subprocess.Popen(command, env=environment, stdout=output, text=True)


def soaked(path: Path) -> dict[str, object]:
    dice = random.Random(7)
    mode = f"soak:{ACCOUNTS}:{COMMANDS}"
    for _ in range(KILLS):
        process = start(path, mode)
        time.sleep(dice.uniform(1.0, 6.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start(path, mode).wait() == 0
    lines = (path / "acknowledged.txt").read_text().splitlines()
    report: dict[str, object] = json.loads(lines[-1])
    events = report["events"]
    assert isinstance(events, list)
    stored = {event.rpartition(" ")[0] for event in events}
    acknowledged = {
        line.removeprefix("ack ") for line in lines if line.startswith("ack ") and line.count(" ") == 2
    }
    report["lost"] = len({line for line in acknowledged if line.split()[1].isdigit()} - stored)
    report["projected"] = set((path / "view.txt").read_text().splitlines()) == set(events)
    return report


@pytest.mark.long
async def test_nothing_is_lost_and_nothing_is_doubled(tmp_path: Path) -> None:
    report = await anyio.to_thread.run_sync(soaked, tmp_path)
    assert (report["lost"], report["doubled"], report["missing"], report["letters"]) == (0, 0, 0, 0)
    assert report["total"] == ACCOUNTS * 1000
    assert report["projected"] is True
