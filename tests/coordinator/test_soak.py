"""Many commands over many aggregates while the process is killed again and again.

``ANGZARR_SOAK_COMMANDS``, ``_ACCOUNTS``, ``_KILLS`` and ``_SEED`` make it another size; ``-s`` shows how it went.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

ACCOUNTS = int(os.environ.get("ANGZARR_SOAK_ACCOUNTS", "1000"))
COMMANDS = int(os.environ.get("ANGZARR_SOAK_COMMANDS", "100000"))
KILLS = int(os.environ.get("ANGZARR_SOAK_KILLS", "40"))
SEED = int(os.environ.get("ANGZARR_SOAK_SEED", "7"))


class Soak:
    """The bank in a directory, and the processes that run it one after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.output = path / "acknowledged.txt"
        self.output.touch()
        self.kills = 0

    def start(self, mode: str) -> "subprocess.Popen[str]":
        files = [str(self.path / name) for name in ("bank.db", "view.txt")]
        with self.output.open("a") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.coordinator.crashing", *files, mode],
                env={**os.environ, "PYTHONPATH": os.getcwd()},
                stdout=output,
                text=True,
            )

    def acknowledged(self) -> set[str]:
        """Aggregate and sequence of every event that a caller was told of, from lines that are whole."""
        words = [line.split() for line in self.output.read_text().splitlines()]
        return {
            f"{line[1]} {line[2]}"
            for line in words
            if len(line) == 3 and line[0] == "ack" and len(line[1]) == 32 and line[2].isdigit()
        }

    def work_until(self, first: int, end: int, dice: random.Random) -> None:
        """Send transfers from ``first``; kill when about ``end - first`` were acknowledged."""
        size = self.output.stat().st_size
        # "ack", a root of 32 digits, a sequence of one to four.
        enough = size + (end - first) * 39
        process = self.start(f"soak:{ACCOUNTS}:{first}:{COMMANDS}")
        while process.poll() is None and self.output.stat().st_size < enough:
            time.sleep(dice.uniform(0.001, 0.02))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        assert process.wait() in {0, -signal.SIGKILL}
        self.kills += process.returncode != 0


def soaked(path: Path) -> dict[str, Any]:
    dice, soak, began = random.Random(SEED), Soak(path), time.monotonic()
    first = 0
    for end in sorted(dice.sample(range(COMMANDS), KILLS)):
        soak.work_until(first, end, dice)
        first = min(len(soak.acknowledged()), COMMANDS)
    assert soak.start(f"soak:{ACCOUNTS}:{first}:{COMMANDS}").wait() == 0
    report: dict[str, Any] = json.loads(soak.output.read_text().splitlines()[-1])
    events, acknowledged = report.pop("events"), soak.acknowledged()
    report["lost"] = len(acknowledged - {event.rpartition(" ")[0] for event in events})
    report["projected"] = set((path / "view.txt").read_text().splitlines()) == set(events)
    report["stored"] = len(events)
    report["acknowledged"] = len(acknowledged)
    report["kills"] = soak.kills
    report["seconds"] = round(time.monotonic() - began)
    return report


@pytest.mark.long
async def test_nothing_is_lost_and_nothing_is_doubled(tmp_path: Path) -> None:
    report = await anyio.to_thread.run_sync(soaked, tmp_path)
    sys.stdout.write(f"\n{report}\n")
    assert (report["lost"], report["doubled"], report["missing"], report["letters"]) == (0, 0, 0, 0)
    assert report["total"] == ACCOUNTS * 1000
    assert report["projected"] is True
    assert report["kills"] == KILLS
    assert report["acknowledged"] >= COMMANDS
