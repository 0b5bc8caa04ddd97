"""fuzz and export-scenario: tests that come from the shell."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from angzarr.cli.fuzz import Search, _found, _keep, _searches
from tests.cli.conftest import Answer, Shell

pytestmark = pytest.mark.once


def _pytest(shell: Shell, *files: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-o",
            "anyio_mode=auto",
            *map(str, files),
        ],
        cwd=shell.directory,
        env={**os.environ, "PYTHONPATH": str(shell.directory)},
        capture_output=True,
        text=True,
        check=False,
    )


# fuzz


@pytest.fixture(scope="module")
def fuzzed(
    generated: Path, zygote: "subprocess.Popen[str]", tmp_path_factory: pytest.TempPathFactory
) -> tuple[Answer, Path]:
    """A search in an application with a bug, and where it keeps what it finds."""
    kept = tmp_path_factory.mktemp("kept")
    shell = Shell(generated, kept, zygote)
    return shell(
        "fuzz", "cli_buggy:app", "--seconds", "60", "--keep", str(kept), "--seed", "1", "--json"
    ), kept


def test_a_bug_is_found_and_told(fuzzed: tuple[Answer, Path]) -> None:
    answer, _ = fuzzed

    assert answer.code == 1, answer.err
    assert answer.json["found"].startswith("Players ")
    assert "DepositFunds(" in answer.json["story"]
    assert answer.json["story"].endswith("\n    )")


def test_what_was_found_is_kept_as_a_test_that_fails(fuzzed: tuple[Answer, Path], shell: Shell) -> None:
    answer, kept = fuzzed
    file = Path(answer.json["file"])

    assert list(kept.glob("test_*.py")) == [file]
    done = _pytest(shell, file)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "replay" in done.stdout


def test_the_next_search_tries_first_what_was_found_in_the_last(
    fuzzed: tuple[Answer, Path], shell: Shell
) -> None:
    answer, kept = fuzzed

    # in so little time the search that all begin with does not end
    again = shell("fuzz", "cli_buggy:app", "--seconds", "0.1", "--keep", str(kept), "--seed", "2", "--json")

    assert (again.code, again.json["found"]) == (1, answer.json["found"])
    assert again.json["file"] == answer.json["file"]


def test_a_sound_application_gives_nothing(shell: Shell, tmp_path: Path) -> None:
    answer = shell("fuzz", "cli_players:app", "--seconds", "3", "--keep", str(tmp_path / "kept"), "--json")

    assert answer.code == 0, answer.out + answer.err
    assert answer.json["found"] is None
    assert not (tmp_path / "kept").exists()


def test_an_unknown_law_is_answered_with_the_known_ones(shell: Shell) -> None:
    answer = shell("fuzz", "cli_players:app", "--law", "gravity")

    assert answer.code == 2
    assert answer.err.startswith("error: there is no law 'gravity'\n  fix: the laws are ")


def test_an_application_with_reactions_is_tried_as_a_whole(importable: Path) -> None:
    from angzarr.cli.loading import load_app, parse_spec

    searches = list(_searches(load_app("cli_tables:app"), parse_spec("cli_tables:app"), []))
    (whole,) = [search for search in searches if search.name == "application machine"]

    whole.run(1, 0)


def test_what_has_no_test_to_paste_is_kept_as_the_same_search(tmp_path: Path) -> None:
    search = Search("application machine", lambda effort, seed: None, "seed({seed}) effort({effort})\n")
    error = ValueError("chips are missing")
    error.add_note("Falsifying example: ...")
    found = _found(search, error, 7, 20)

    assert found.story == "ValueError: chips are missing\n\nFalsifying example: ..."
    assert _keep(tmp_path, found).read_text() == (
        '"""Found by `angzarr fuzz`: application machine does not hold."""\n\nseed(7) effort(20)\n'
    )


# export-scenario


@pytest.fixture
def player(running: Shell) -> str:
    """A player with three events."""
    root = f"export-{uuid.uuid4()}"
    for message, body in (
        ("RegisterPlayer", {"name": "alice"}),
        ("DepositFunds", {"amount": 5}),
        ("DepositFunds", {"amount": 7}),
    ):
        assert running("send", "player", message, json.dumps(body), "-r", root).code == 0
    return root


@pytest.mark.parametrize(
    ("at", "given", "when"),
    [
        (0, 0, ".when(RegisterPlayer("),
        (1, 1, ".when(DepositFunds(amount=5))"),
        (2, 2, ".when(DepositFunds(amount=7))"),
    ],
)
def test_an_event_becomes_a_test_that_passes(
    running: Shell, player: str, tmp_path: Path, at: int, given: int, when: str
) -> None:
    file = tmp_path / "test_exported.py"
    answer = running(
        "export-scenario", f"player/{player}", "--at", str(at), "--app", "cli_players:app", "--out", str(file)
    )

    assert answer.code == 0, answer.err
    text = file.read_text()
    assert when in text
    assert text.count("PlayerRegistered(") + text.count("FundsDeposited(") == given + 1
    done = _pytest(running, file)
    assert done.returncode == 0, done.stdout


def test_by_default_the_last_event_is_tested_and_written_to_stdout(running: Shell, player: str) -> None:
    answer = running("export-scenario", f"player/{player}", ANGZARR_APP="cli_players:app")

    assert answer.code == 0, answer.err
    assert answer.out.startswith('"""Made by `angzarr export-scenario` from stored events."""')
    assert "_at_2():" in answer.out


def test_an_event_that_no_command_leads_to_is_held_by_its_state(running: Shell, player: str) -> None:
    answer = running("export-scenario", f"player/{player}", "--app", "cli_buggy:app", "--at", "0")

    assert answer.code == 0, answer.err
    assert ".when(" not in answer.out
    assert ".then_" in answer.out


def test_an_event_that_is_not_there_is_named(running: Shell, player: str) -> None:
    answer = running("export-scenario", f"player/{player}", "--app", "cli_players:app", "--at", "9")

    assert answer.code == 1
    assert answer.err == "error: there is no event 9\n  fix: there are 3\n"


def test_an_aggregate_without_events_is_named(running: Shell) -> None:
    answer = running("export-scenario", "player/nobody", "--app", "cli_players:app")

    assert answer.code == 1
    assert answer.err == "error: player/nobody has no events\n  fix: look for its domain and root once more\n"


def test_a_file_is_not_overwritten(running: Shell, player: str, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text("precious = 1\n")
    answer = running(
        "export-scenario",
        f"player/{player}",
        "--app",
        "cli_players:app",
        "--out",
        str(tmp_path / "test_mine.py"),
    )

    assert answer.code == 2
    assert (tmp_path / "test_mine.py").read_text() == "precious = 1\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["player", "--app", "cli_players:app"], "'player' does not name an aggregate"),
        (["player/alice"], "whose handlers?"),
        (["table/alice", "--app", "cli_players:app"], "shop has no command handler of the domain 'table'"),
    ],
)
def test_what_cannot_be_exported_is_named(running: Shell, arguments: list[str], complaint: str) -> None:
    answer = running("export-scenario", *arguments)

    assert answer.code == 2
    assert complaint in answer.err
