"""Runs that are killed: nothing is stored twice or half, and the next run completes the rest."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.once

HANDS = 25
EVENTS = 550
"""What 25 hands come to in the store."""


def command(store: Path, *arguments: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "examples.poker",
        *("--hands", str(HANDS), "--store", str(store), "--concurrency", "4"),
        *arguments,
    ]


def stored(store: Path) -> int:
    """How many events a running replay has stored so far."""
    if not store.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(*) FROM events").fetchone()[0])
    except sqlite3.OperationalError:  # the tables are being made
        return 0


def stop_at(store: Path, events: int, how: signal.Signals) -> int:
    """Start a replay and stop it as soon as that many events are stored; gives the exit code."""
    with subprocess.Popen(command(store), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and stored(store) < events:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
        process.send_signal(how)
    return process.returncode


def finish(store: Path) -> Any:
    done = subprocess.run(command(store, "--json"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def gaps(store: Path) -> list[tuple[bytes, int, int]]:
    """Aggregates whose sequences are not 0, 1, 2, …"""
    with closing(sqlite3.connect(store)) as database:
        return database.execute(
            "SELECT root, count(*), max(sequence) FROM events GROUP BY root HAVING count(*) != max(sequence) + 1"
        ).fetchall()


def assert_complete(store: Path) -> None:
    assert gaps(store) == []
    report = finish(store)
    assert (report["hands"], report["mismatches"], report["rejections"]) == (HANDS, 0, 0)
    assert stored(store) == EVENTS
    assert gaps(store) == []


def stopped_in_the_middle(directory: Path, how: signal.Signals) -> tuple[Path, int]:
    """The store of a replay that was stopped before its end, and the exit code; on a busy machine one may get away."""
    for attempt in range(20):
        store = directory / f"{attempt}.db"
        code = stop_at(store, 200, how)
        if stored(store) < EVENTS:
            return store, code
    raise AssertionError("every replay came to its end")


def test_a_killed_run_is_completed_by_the_next(tmp_path: Path) -> None:
    store, code = stopped_in_the_middle(tmp_path, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert stored(store) >= 200
    assert_complete(store)


def test_an_interrupted_run_says_so_and_is_completed_by_the_next(tmp_path: Path) -> None:
    store, code = stopped_in_the_middle(tmp_path, signal.SIGINT)
    assert code == 130
    assert_complete(store)


@pytest.mark.long
def test_runs_killed_at_twenty_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    choose = random.Random(943)
    for run in range(20):
        store = tmp_path / f"{run}.db"
        moments = sorted(choose.sample(range(EVENTS), choose.randint(1, 3)))
        for events in moments:
            stop_at(store, events, signal.SIGKILL)
        assert_complete(store)
