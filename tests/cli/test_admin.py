"""why, dead-letters and projections against a running application, process to process."""

import json
import uuid
from typing import Any

import pytest

from tests.cli.conftest import Shell


@pytest.fixture
def player() -> str:
    return f"player-{uuid.uuid4()}"


@pytest.fixture
def seated(whole: Shell, player: str) -> str:
    """A player whom the saga has seated at a table of the same name."""
    whole("send", "player", "RegisterPlayer", '{"name": "alice"}', "-r", player)
    body = json.dumps({"amount": 5, "table": player})
    sent = whole("send", "player", "ReserveFunds", body, "-r", player, "--sync-mode", "cascade")
    assert sent.code == 0, sent.err
    return player


@pytest.fixture
def letter(whole: Shell, player: str) -> dict[str, Any]:
    """A dead letter: a command that was not at its sequence, to be merged by hand."""
    whole("send", "player", "RegisterPlayer", '{"name": "alice"}', "-r", player)
    sent = whole(
        "send",
        "player",
        "RegisterPlayer",
        '{"name": "bob"}',
        "-r",
        player,
        "--sequence",
        "0",
        "--merge",
        "manual",
    )
    assert sent.code == 1
    root = whole("events", "player", "-r", player, "--json")
    assert len(root.lines) == 1
    found: dict[str, Any] = whole("dead-letters", "list", "--json").lines[-1]
    return found


def test_why_shows_the_tree_from_its_first_cause(whole: Shell, seated: str) -> None:
    answer = whole("why", f"table/{seated}/0")

    first, *rest = [line for line in answer.out.splitlines() if "projected" not in line]
    assert first.startswith("FundsReserved  player/")
    assert " ← ReserveFunds by a client  +" in first
    assert [line.partition("  table/")[0] for line in rest] == ["└─ PlayerJoined"]
    assert " ← JoinTable by seat-player  +" in rest[0]


def test_why_names_the_projectors(whole: Shell, seated: str) -> None:
    assert "projected by standings" in whole("why", f"player/{seated}/1").out


def test_why_is_json_for_machines(whole: Shell, seated: str) -> None:
    tree = whole("why", f"player/{seated}/1", "--format", "json").json

    assert (tree["event"], tree["command"], tree["component"]) == (
        "shop.player.FundsReserved",
        "shop.player.ReserveFunds",
        "",
    )
    (caused,) = tree["caused"]
    assert (caused["domain"], caused["sequence"], caused["component"]) == ("table", 0, "seat-player")
    assert caused["correlationId"] == tree["correlationId"]
    assert caused["millisecondsSinceStart"] >= tree["millisecondsSinceStart"] >= 0


def test_why_is_a_diagram_for_documents(whole: Shell, seated: str) -> None:
    lines = whole("why", f"player/{seated}/1", "--format", "mermaid").out.splitlines()

    assert lines[0] == "flowchart TD"
    assert any('-->|"seat-player JoinTable"|' in line for line in lines)


def test_an_event_that_is_not_there_is_named(whole: Shell, player: str) -> None:
    answer = whole("why", f"player/{player}/7")

    assert answer.code == 1
    assert "No event 7 of player/" in answer.err


@pytest.mark.parametrize("event", ["player", "player/alice", "player/alice/x", "/alice/3", "player//3"])
def test_what_names_no_event_is_refused(whole: Shell, event: str) -> None:
    answer = whole("why", event)

    assert answer.code == 2
    assert f"{event!r} does not name an event" in answer.err


def test_a_dead_letter_is_listed_with_its_reason(whole: Shell, letter: dict[str, Any]) -> None:
    assert letter["domain"] == "player"
    assert letter["types"] == ["shop.player.RegisterPlayer"]
    assert letter["reason"]
    assert letter["id"] in whole("dead-letters", "list").out


def test_dead_letters_are_selected(whole: Shell, letter: dict[str, Any]) -> None:
    def ids(*options: str) -> set[str]:
        return {found["id"] for found in whole("dead-letters", "list", "--json", *options).lines}

    assert letter["id"] in ids("--domain", "player", "--type", "RegisterPlayer")
    assert letter["id"] not in ids("--domain", "table")
    assert letter["id"] not in ids("--type", "JoinTable")
    assert letter["id"] in ids("--since", letter["occurredAt"], "--until", letter["occurredAt"])
    assert letter["id"] not in ids("--since", "2999-01-01T00:00:00Z")


def test_a_dead_letter_is_shown_whole(whole: Shell, letter: dict[str, Any]) -> None:
    shown = whole("dead-letters", "show", letter["id"], "--json").json

    assert shown["rejectedCommand"]["pages"][0]["command"] == {
        "@type": "type.googleapis.com/shop.player.RegisterPlayer",
        "name": "bob",
    }
    assert '"name": "bob"' in whole("dead-letters", "show", letter["id"]).out


def test_a_dry_run_of_a_replay_changes_nothing(whole: Shell, letter: dict[str, Any]) -> None:
    tried = whole("dead-letters", "replay", letter["id"], "--dry-run", "--json").json
    listed = whole("dead-letters", "list", "--json").lines

    assert tried == {"id": letter["id"], "outcome": "would cause PlayerRegistered", "ok": True}
    assert letter["id"] in [found["id"] for found in listed]


def test_a_replayed_letter_is_gone_and_done(whole: Shell, letter: dict[str, Any], player: str) -> None:
    answer = whole("dead-letters", "replay", letter["id"])

    assert answer.code == 0, answer.err
    assert letter["id"] not in [found["id"] for found in whole("dead-letters", "list", "--json").lines]
    assert [event["data"]["name"] for event in whole("events", "player", "-r", player, "--json").lines] == [
        "alice",
        "bob",
    ]


def test_a_skipped_letter_is_gone_and_not_done(whole: Shell, letter: dict[str, Any], player: str) -> None:
    answer = whole("dead-letters", "skip", letter["id"])

    assert answer.code == 0, answer.err
    assert letter["id"] not in [found["id"] for found in whole("dead-letters", "list", "--json").lines]
    assert len(whole("events", "player", "-r", player, "--json").lines) == 1


def test_a_letter_that_is_not_there_is_named(whole: Shell) -> None:
    answer = whole("dead-letters", "replay", "999999")

    assert answer.code == 1
    assert "there is no dead letter 999999" in answer.err


def test_which_letters_has_to_be_said(whole: Shell) -> None:
    answer = whole("dead-letters", "skip", "--type", "JoinTable")

    assert answer.code == 2
    assert "which letters?" in answer.err


def test_projectors_are_listed(whole: Shell, seated: str) -> None:
    (projector,) = whole("projections", "list", "--json").lines

    assert (projector["name"], projector["domains"], projector["parked"]) == (
        "standings",
        ["player", "table"],
        0,
    )


def test_a_projector_is_rebuilt_with_progress(whole: Shell, seated: str) -> None:
    progress = whole("projections", "rebuild", "standings", "--json").lines

    assert progress[-1]["done"] == progress[-1]["total"] >= 3


def test_a_projector_that_is_not_there_is_named(whole: Shell) -> None:
    answer = whole("projections", "rebuild", "standngs")

    assert answer.code == 1
    assert "standings" in answer.err


def test_without_a_socket_the_remedy_is_told(whole: Shell, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("empty")
    answer = whole("dead-letters", "list", ANGZARR_UDS_BASE=str(empty))

    assert answer.code == 3
    assert answer.err == (
        f"error: there is no coordinator's socket in {empty}\n"
        "  fix: start one with: angzarr dev module:attribute; or name it with --to\n"
    )
