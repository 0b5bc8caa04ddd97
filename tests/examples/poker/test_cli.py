import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from angzarr import EmbeddedCoordinator
from examples.poker.app import app
from examples.poker.cli import main
from tests.examples.poker.replay.files import real_hand, real_hands, spoilt, write

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "poker.db"


@pytest.fixture
def run(store: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the example on a store of the test's own; gives exit code, stdout and stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = main([*map(str, arguments), "--store", str(store)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def stored_events(store: Path) -> int:
    with sqlite3.connect(store) as database:
        (count,) = database.execute("SELECT count(*) FROM events").fetchone()
    database.close()
    return int(count)


def as_json(text: str) -> Any:
    return json.loads(text)


def test_real_hands_end_as_recorded(run: Run, store: Path) -> None:
    code, out, err = run("--hands", "10")
    assert (code, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if not line.startswith("commands per"))
    assert lines["hands"] == "10"
    assert lines["commands"] == "195"
    assert lines["mismatches"] == "0 of 10"
    assert lines["rejections"] == "0"
    assert lines["database"] == str(store)


def test_json_is_one_object_with_six_keys(run: Run, store: Path) -> None:
    code, out, err = run("--hands", "3", "--in-process", "--json")
    assert (code, err) == (0, "")
    report = as_json(out)
    assert report.pop("commands_per_second") > 0
    assert report == {"hands": 3, "commands": 54, "mismatches": 0, "rejections": 0, "store": str(store)}


def test_a_second_run_changes_nothing(run: Run, store: Path) -> None:
    run("--hands", "3", "--in-process")
    before = stored_events(store)
    code, out, _ = run("--hands", "3")
    assert code == 0
    assert "3, all there already: nothing was changed" in out
    assert "0 of 3" in out
    assert stored_events(store) == before


def test_more_hands_join_those_that_are_there(run: Run) -> None:
    run("--hands", "2", "--in-process")
    _, out, _ = run("--hands", "5", "--in-process")
    assert "5, 2 there already" in out


def test_a_pot_that_was_halved_ends_as_recorded(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "split.jsonl", [real_hand("32", 23), real_hand("41b", 204)])
    code, out, _ = run("--file", file, "--in-process", "--json")
    assert (code, as_json(out)["mismatches"]) == (0, 0)


def test_an_illegal_action_is_told_and_the_rest_goes_on(run: Run, tmp_path: Path) -> None:
    file = spoilt(tmp_path / "bad.jsonl", 4, 1, lambda hand: hand["actions"].insert(8, "p5 cbr 20000"))
    code, out, _ = run("--file", file, "--concurrency", "1")
    assert code == 1
    assert (
        "rejected: session 30 hand 1, action 9 (p5 cbr 20000): BET_EXCEEDS_STACK: the seat has fewer chips, "
        "seat 5, amount 20000, maximum 10000"
    ) in out
    assert "0 of 3" in out


def test_with_json_the_rejection_is_told_on_stderr(run: Run, tmp_path: Path) -> None:
    file = spoilt(tmp_path / "bad.jsonl", 2, 0, lambda hand: hand["actions"].insert(7, "p3 f"))
    code, out, err = run("--file", file, "--in-process", "--json")
    assert (code, as_json(out)["rejections"], as_json(out)["mismatches"]) == (1, 1, 0)
    assert "rejected: session 30 hand 0, action 8 (p3 f): NOT_YOUR_TURN" in err


def test_a_hand_without_an_end_is_told(run: Run, tmp_path: Path) -> None:
    file = spoilt(tmp_path / "short.jsonl", 1, 0, lambda hand: hand["actions"].pop())
    code, out, _ = run("--file", file, "--in-process")
    assert code == 1
    assert "rejected: session 30 hand 0, no action of the file (settle): BETTING_OPEN" in out


def test_a_wrong_result_is_a_mismatch(run: Run, tmp_path: Path) -> None:
    def spoil(hand: dict[str, Any]) -> None:
        hand["finishing_stacks"][0] += 1

    code, out, _ = run("--file", spoilt(tmp_path / "wrong.jsonl", 2, 1, spoil), "--in-process")
    assert code == 1
    assert (
        "mismatch: session 30 hand 1: stacks are 10100, 9900, 10000, 10000, 10000, 10000 "
        "and were recorded as 10101, 9900, 10000, 10000, 10000, 10000"
    ) in out
    assert "1 of 2" in out


def test_a_store_with_another_course_of_a_hand_is_told(run: Run, tmp_path: Path) -> None:
    run("--hands", "2", "--in-process")

    def spoil(hand: dict[str, Any]) -> None:
        hand["actions"][6] = "p3 cbr 300"

    code, out, _ = run("--file", spoilt(tmp_path / "other.jsonl", 2, 1, spoil), "--in-process")
    assert code == 1
    assert (
        "mismatch: session 30 hand 1: the store has 'p3 f' as its step 10 where the file has 'p3 cbr 300'"
        in out
    )


def test_a_bad_line_stops_everything_before_it_starts(run: Run, tmp_path: Path, store: Path) -> None:
    file = spoilt(tmp_path / "bad.jsonl", 2, 1, lambda hand: hand["actions"].insert(0, 7))
    code, out, err = run("--file", file)
    assert (code, out) == (2, "")
    assert err == f"error: {file}, line 2: action 1: 7 is not a text\n"
    assert not store.exists()


def test_an_action_that_is_no_notation_is_a_rejection_and_the_rest_goes_on(run: Run, tmp_path: Path) -> None:
    file = spoilt(tmp_path / "bad.jsonl", 3, 1, lambda hand: hand["actions"].insert(7, "p1 dances"))
    code, out, _ = run("--file", file, "--in-process")
    assert code == 1
    assert (
        "rejected: session 30 hand 1, action 8 (p1 dances): "
        "ACTION_UNKNOWN: no action of hold'em in PHH notation\n"
    ) in out
    assert "0 of 2" in out


def test_a_missing_file_is_named(run: Run, tmp_path: Path) -> None:
    code, _, err = run("--file", tmp_path / "none.jsonl")
    assert (code, err) == (2, f"error: cannot read {tmp_path / 'none.jsonl'}: No such file or directory\n")


@pytest.mark.parametrize("value", ["0", "-1", "many"])
@pytest.mark.parametrize("option", ["--hands", "--concurrency"])
def test_a_count_is_above_zero(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([f"{option}={value}"])
    assert stopped.value.code == 2
    assert f"{value!r} is not a whole number above 0" in capsys.readouterr().err


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "exit codes:" in capsys.readouterr().out


def one_line(text: str) -> str:
    (line,) = text.splitlines()
    assert line.startswith("error: ")
    return line


def test_a_store_that_is_no_database_is_left_alone(run: Run, store: Path) -> None:
    store.write_text("dear diary")
    code, out, err = run("--hands", "1")
    assert (code, out) == (2, "")
    assert str(store) in one_line(err)
    assert store.read_text() == "dear diary"


def test_a_store_that_is_a_directory_is_told(run: Run, store: Path) -> None:
    store.mkdir()
    code, _, err = run("--hands", "1")
    assert code == 2
    assert str(store) in one_line(err)


def test_a_store_below_a_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--hands", "1", "--store", str(tmp_path / "file" / "poker.db")]) == 2
    assert str(tmp_path / "file") in one_line(capsys.readouterr().err)


def test_a_store_from_the_future_is_told(run: Run, store: Path) -> None:
    run("--hands", "1", "--in-process")
    with sqlite3.connect(store) as database:
        database.execute("PRAGMA user_version = 9999")
    database.close()
    code, _, err = run("--hands", "1")
    assert code == 2
    assert "9999" in one_line(err)


async def test_a_store_in_use_by_another_coordinator_is_told(run: Run, store: Path) -> None:
    async with EmbeddedCoordinator(app, store=store):
        code, _, err = await anyio.to_thread.run_sync(lambda: run("--hands", "1"))
    assert code == 2
    assert "in use by another coordinator" in one_line(err)


def test_memory_will_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--hands", "1", "--store", ":memory:", "--json"]) == 0
    assert as_json(capsys.readouterr().out)["store"] == ":memory:"


def test_hands_in_flight_do_not_mix(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "hands.jsonl", real_hands(12))
    code, out, _ = run("--file", file, "--concurrency", "64", "--in-process", "--json")
    assert (code, as_json(out)["hands"], as_json(out)["mismatches"]) == (0, 12, 0)


def test_without_pokerkit_it_says_what_to_install(
    run: Run, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pokerkit", None)
    code, _, err = run("--hands", "1")
    assert code == 2
    assert "pip install pokerkit" in one_line(err)
    assert not store.exists()


def test_answered_commands_are_noted_with_the_sequences_of_their_events(
    run: Run, store: Path, tmp_path: Path
) -> None:
    run("--hands", "1", "--acknowledged", tmp_path / "answered.txt")
    lines = [line.split() for line in (tmp_path / "answered.txt").read_text().splitlines()]
    noted = [int(number) for _, sequences in lines for number in sequences.split(",")]
    assert len({root for root, _ in lines}) == 1
    assert noted == list(range(stored_events(store)))
    assert len(lines) == 16


def test_a_file_of_answers_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    code, _, err = run("--hands", "1", "--acknowledged", tmp_path / "nowhere" / "answered.txt")
    assert code == 2
    assert "nowhere/answered.txt" in err
