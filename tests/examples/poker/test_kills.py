"""kill -9 during the demo at random moments: what was acknowledged is stored, nothing is half stored, the rest follows.

``ANGZARR_KILLS``, ``ANGZARR_KILL_HANDS`` and ``ANGZARR_KILL_SEED`` make it another size; ``-s`` shows how it went.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

KILLS = int(os.environ.get("ANGZARR_KILLS", "20"))
HANDS = int(os.environ.get("ANGZARR_KILL_HANDS", "943"))
SEED = int(os.environ.get("ANGZARR_KILL_SEED", "943"))

Commands = dict[str, list[tuple[int, ...]]]
"""Per hand, in order: the sequences of the events of each command."""


def demo(store: Path, *arguments: str) -> list[str]:
    answers = store.with_suffix(".txt")
    command = [sys.executable, "-m", "examples.poker", "--hands", str(HANDS), "--store", str(store)]
    return [*command, "--acknowledged", str(answers), *arguments]


def complete(store: Path) -> Any:
    done = subprocess.run(demo(store, "--json"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def acknowledged(store: Path) -> Commands:
    commands: Commands = {}
    # A line whose end is missing was being written when the process was killed.
    text = store.with_suffix(".txt").read_text()
    for line in text[: text.rfind("\n") + 1].splitlines():
        root, sequences = line.split()
        commands.setdefault(root, []).append(tuple(map(int, sequences.split(","))))
    return commands


def stored(store: Path) -> dict[str, list[tuple[int, str]]]:
    """Per hand: sequence and type of every event."""
    events: dict[str, list[tuple[int, str]]] = {}
    with closing(sqlite3.connect(store)) as database:
        if not database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            return {}
        rows = database.execute("SELECT root, sequence, command_type FROM events ORDER BY root, sequence")
        for root, sequence, kind in rows:
            events.setdefault(root.hex(), []).append((sequence, kind))
    return events


def kill_at(store: Path, answers: int, dice: random.Random) -> int:
    """Run the demo until that many more commands were answered, and a moment; gives the exit code."""
    file = store.with_suffix(".txt")
    before = file.stat().st_size
    with subprocess.Popen(demo(store), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and file.stat().st_size - before < answers * 35:
            time.sleep(0.002)
        time.sleep(dice.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
    return process.returncode


def assert_whole(store: Path, reference: Commands, whole: dict[str, list[tuple[int, str]]]) -> int:
    """What is stored is a beginning of each hand that ends with a command, and holds all that was acknowledged."""
    found = stored(store)
    for root, events in found.items():
        assert events == whole[root][: len(events)]
        assert len(events) in {0, *(sequences[-1] + 1 for sequences in reference[root])}
    answered = 0
    for root, commands in acknowledged(store).items():
        sequences = {sequence for sequence, _ in found[root]}
        assert all(sequences.issuperset(command) for command in commands)
        answered += len(commands)
    return answered


@pytest.mark.long
def test_killed_at_twenty_random_moments_the_demo_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    whole_store, store = tmp_path / "whole.db", tmp_path / "killed.db"
    report = complete(whole_store)
    reference, whole = acknowledged(whole_store), stored(whole_store)
    assert sum(map(len, reference.values())) == report["commands"]
    dice, kills, moments = random.Random(SEED), 0, []
    store.with_suffix(".txt").touch()
    for _ in range(KILLS):
        kills += (
            kill_at(store, dice.randrange(report["commands"] * 3 // (2 * KILLS)), dice) == -signal.SIGKILL
        )
        moments.append(assert_whole(store, reference, whole))
    last = complete(store)
    again = complete(store)
    sys.stdout.write(f"\n{kills} kills, answered by then: {moments}; then {last}\n")
    assert kills == KILLS
    assert (last["mismatches"], last["rejections"], again["commands"]) == (0, 0, 0)
    assert stored(store) == whole
    assert set(acknowledged(store)) == set(reference)
