"""The crash matrix: a real process is killed at each step of the pipeline, and the next one completes the work."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from angzarr.coordinator.store import SqliteStore, schema

pytestmark = pytest.mark.once


def run(path: Path, mode: str, fault: str = "") -> tuple[int, list[str]]:
    environment = {**os.environ, "ANGZARR_FAULT_POINT": fault, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.coordinator.crashing",
            str(path / "bank.db"),
            str(path / "view.txt"),
            mode,
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode, done.stdout.splitlines()


async def survived(path: Path) -> dict[str, Any]:
    code, lines = await anyio.to_thread.run_sync(run, path, "check")
    assert code == 0
    report: dict[str, Any] = json.loads(lines[-1])
    return report


def processes(events: list[str]) -> list[list[str]]:
    """What the process manager must have recorded for those events of accounts: the fold of a whole run."""
    steps = {"AccountOpened": ["OnboardingStarted"], "Deposited": ["OnboardingDeposit"]}
    found: dict[str, list[str]] = {}
    for root, sequence, name in map(str.split, events):
        if int(sequence) < 3:
            found.setdefault(root, []).extend(steps[name.removeprefix("bank.")])
    return sorted([*of, "OnboardingWelcomed"] if len(of) == 3 else of for of in found.values())


def assert_whole(report: dict[str, Any], view: Path, acknowledged: list[str]) -> None:
    events = report["events"]
    stored = {event.rpartition(" ")[0] for event in events}
    assert [line for line in acknowledged if line.removeprefix("ack ") not in stored] == []
    assert (report["doubled"], report["missing"], report["letters"]) == (0, 0, 0)
    deposited = sum(event.endswith("Deposited") for event in events)
    assert report["total"] == deposited * 1000
    assert report["processes"] == processes(events)
    assert report["mail"] == [["OnboardingWelcomed"]] * sum(len(steps) == 4 for steps in report["processes"])
    projected = set(view.read_text().splitlines()) if view.exists() else set()
    assert projected == set(events)


POINTS = [
    "before persist",
    "after persist",
    "after outbox read",
    "after a reaction",
    "after delivery",
    "in a projection",
]


@pytest.mark.parametrize("turn", [1, 30])
@pytest.mark.parametrize("point", POINTS)
async def test_whatever_step_it_is_killed_at_the_next_start_completes(
    tmp_path: Path, point: str, turn: int
) -> None:
    code, lines = await anyio.to_thread.run_sync(run, tmp_path, "work", f"{point}:{turn}")
    assert code == -signal.SIGKILL
    report = await survived(tmp_path)
    await anyio.to_thread.run_sync(assert_whole, report, tmp_path / "view.txt", lines)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(30))
async def test_wherever_it_is_killed_the_next_start_completes(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    point, turn = dice.choice(POINTS), dice.randrange(2, 70)
    code, lines = await anyio.to_thread.run_sync(run, tmp_path, "work", f"{point}:{turn}")
    assert code == -signal.SIGKILL
    for _ in range(dice.randrange(3)):
        again = f"{dice.choice(POINTS)}:{dice.randrange(1, 8)}"
        await anyio.to_thread.run_sync(run, tmp_path, "check", again)
    report = await survived(tmp_path)
    await anyio.to_thread.run_sync(assert_whole, report, tmp_path / "view.txt", lines)


async def test_killed_again_and_again_it_completes(tmp_path: Path) -> None:
    _, lines = await anyio.to_thread.run_sync(run, tmp_path, "work", "after persist:40")
    for point in ("after outbox read:1", "after delivery:1", "in a projection:1", "after delivery:2"):
        await anyio.to_thread.run_sync(run, tmp_path, "check", point)
    report = await survived(tmp_path)
    await anyio.to_thread.run_sync(assert_whole, report, tmp_path / "view.txt", lines)


async def test_killed_in_a_rebuild_the_live_projector_is_as_before(tmp_path: Path) -> None:
    _, lines = await anyio.to_thread.run_sync(run, tmp_path, "work")
    code, _ = await anyio.to_thread.run_sync(run, tmp_path, "rebuild", "in a rebuild")
    assert code == -signal.SIGKILL
    code, _ = await anyio.to_thread.run_sync(run, tmp_path, "rebuild")
    assert code == 0
    report = await survived(tmp_path)
    acknowledged = [line for line in lines if line.startswith("ack")]
    await anyio.to_thread.run_sync(assert_whole, report, tmp_path / "view.txt", acknowledged)


_MIGRATE = """
import sqlite3, sys
from angzarr.coordinator.store import schema
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
schema.migrate(connection, sys.argv[1], (*schema.MIGRATIONS, ("CREATE TABLE later (n INTEGER) STRICT",)))
"""


def _killed_in_a_migration(path: Path) -> None:
    environment = {**os.environ, "ANGZARR_FAULT_POINT": "in a migration"}
    done = subprocess.run([sys.executable, "-c", _MIGRATE, str(path)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    connection = sqlite3.connect(path)
    assert schema.schema_version(connection) == len(schema.MIGRATIONS)
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'later'").fetchone() == (0,)
    connection.close()
    subprocess.run([sys.executable, "-c", _MIGRATE, str(path)], check=True)
    connection = sqlite3.connect(path)
    assert schema.schema_version(connection) == len(schema.MIGRATIONS) + 1
    connection.close()


async def test_killed_in_a_migration_the_database_is_of_the_version_before(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "bank.db")
    await store.open()
    await store.close()
    await anyio.to_thread.run_sync(_killed_in_a_migration, tmp_path / "bank.db")
