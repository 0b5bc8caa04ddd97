"""send, events and state against a running `angzarr dev`, process to process."""

import json
import signal
import subprocess
import sys
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.conftest import Shell


@pytest.fixture
def root() -> str:
    return f"somebody-{uuid.uuid4()}"


@pytest.fixture
def registered(running: Shell, root: str) -> str:
    """A player with one event."""
    assert running("send", "player", "RegisterPlayer", '{"name": "alice"}', "--root", root).code == 0
    return root


def test_a_command_is_sent_from_json_and_its_events_are_shown(running: Shell, root: str) -> None:
    answer = running("send", "player", "RegisterPlayer", '{"name": "alice"}', "--root", root)

    assert answer.code == 0
    assert "0  " in answer.out
    assert 'PlayerRegistered  {"name": "alice", "registered_at": ' in answer.out


def test_machines_get_json(running: Shell, registered: str) -> None:
    sent = running(
        "send", "player", "shop.player.DepositFunds", '{"amount": "50"}', "-r", registered, "--json"
    ).json

    assert sent["domain"] == "player"
    assert sent["nextSequence"] == 2
    assert [(event["sequence"], event["type"], event["data"]) for event in sent["events"]] == [
        (1, "shop.player.FundsDeposited", {"amount": "50", "newBalance": "50"})
    ]


def test_a_text_root_is_a_business_key_and_a_uuid_is_itself(running: Shell, registered: str) -> None:
    by_key = running("events", "player", "--root", registered, "--json").lines
    root = running("send", "player", "DepositFunds", '{"amount": 1}', "-r", registered, "--json").json["root"]
    by_uuid = running("events", "player", "--root", root, "--json").lines

    assert by_uuid[:1] == by_key
    assert len(by_uuid) == 2


def test_the_body_may_come_from_a_file_or_stdin(running: Shell, registered: str, tmp_path: Path) -> None:
    (tmp_path / "deposit.json").write_text('{"amount": 5}')
    from_file = running(
        "send", "player", "DepositFunds", f"@{tmp_path}/deposit.json", "-r", registered, "--json"
    )
    from_stdin = running(
        "send", "player", "DepositFunds", "-", "-r", registered, "--json", stdin='{"amount": 6}'
    )

    assert from_file.json["events"][0]["data"] == {"amount": "5", "newBalance": "5"}
    assert from_stdin.json["events"][0]["data"] == {"amount": "6", "newBalance": "11"}


def test_the_types_may_come_from_an_application(running: Shell, registered: str) -> None:
    answer = running(
        "send",
        "player",
        "DepositFunds",
        '{"amount": 5}',
        "-r",
        registered,
        "--app",
        "cli_players:app",
        "--json",
    )

    assert answer.json["nextSequence"] == 2


def test_no_application_is_needed_where_the_command_runs(running: Shell, root: str, tmp_path: Path) -> None:
    sent = running(
        "send", "player", "RegisterPlayer", '{"name": "bo"}', "-r", root, "--json", cwd=tmp_path
    ).json

    assert sent["events"][0]["data"]["name"] == "bo"


def test_a_new_aggregate_gets_a_root(running: Shell) -> None:
    sent = running("send", "player", "RegisterPlayer", '{"name": "new"}', "--new", "--json").json

    assert uuid.UUID(sent["root"]).version == 4
    assert sent["events"][0]["sequence"] == 0


def test_a_dry_run_stores_nothing(running: Shell, registered: str) -> None:
    tried = running(
        "send", "player", "DepositFunds", '{"amount": 5}', "-r", registered, "--dry-run", "--json"
    )
    stored = running("events", "player", "-r", registered, "--json").lines

    assert tried.json["events"][0]["data"] == {"amount": "5", "newBalance": "5"}
    assert len(stored) == 1


def test_a_dry_run_works_before_the_first_event(running: Shell, root: str) -> None:
    tried = running("send", "player", "RegisterPlayer", '{"name": "x"}', "-r", root, "--dry-run", "--json")

    assert tried.json["events"][0]["data"]["name"] == "x"


def test_a_rejection_is_told_with_its_code(running: Shell, registered: str) -> None:
    answer = running("send", "player", "RegisterPlayer", '{"name": "alice"}', "-r", registered)

    assert answer.code == 1
    assert answer.err == "error: player is already registered [PLAYER_EXISTS]\n"
    assert answer.out == ""


def test_a_rejection_is_json_for_machines(running: Shell, registered: str) -> None:
    answer = running("send", "player", "DepositFunds", '{"amount": -1}', "-r", registered, "--json")

    assert answer.code == 1
    assert json.loads(answer.err)["code"] == "VALUE_NOT_POSITIVE"


def test_a_stale_sequence_is_refused_with_the_next_one(running: Shell, registered: str) -> None:
    answer = running("send", "player", "DepositFunds", '{"amount": 1}', "-r", registered, "--sequence", "0")

    assert answer.code == 1
    assert "fix: see what happened meanwhile; the next sequence is 1" in answer.err


def test_an_unknown_message_is_answered_with_those_that_are_close(running: Shell, root: str) -> None:
    answer = running("send", "player", "DepositFund", "{}", "-r", root)

    assert answer.code == 2
    assert "knows no message 'DepositFund'" in answer.err
    assert "did you mean DepositFunds" in answer.err


def test_an_unknown_field_is_answered_with_the_known_ones(running: Shell, root: str) -> None:
    answer = running("send", "player", "DepositFunds", '{"amonut": 1}', "-r", root)

    assert answer.code == 2
    assert answer.err == (
        "error: 'amonut' is no field of shop.player.DepositFunds: did you mean 'amount'? its fields are amount (at $)\n"
    )


def test_another_domain_s_socket_is_missed_with_those_there_are(running: Shell, root: str) -> None:
    answer = running("send", "table", "DepositFunds", "{}", "-r", root)

    assert answer.code == 3
    assert "no coordinator answers at" in answer.err
    assert "fix: there are sockets of player; or name the coordinator with --to" in answer.err


def test_events_are_shown_from_a_sequence(running: Shell, registered: str) -> None:
    running("send", "player", "DepositFunds", '{"amount": 1}', "-r", registered)

    assert [
        event["sequence"]
        for event in running("events", "player", "-r", registered, "--from", "1", "--json").lines
    ] == [1]


def test_events_are_shown_up_to_a_sequence_or_a_time(running: Shell, registered: str) -> None:
    running("send", "player", "DepositFunds", '{"amount": 1}', "-r", registered)
    first = running("events", "player", "-r", registered, "--at", "0", "--json").lines
    then = running("events", "player", "-r", registered, "--at", first[0]["createdAt"], "--json").lines

    assert [event["sequence"] for event in first] == [0]
    assert then == first


def test_a_long_history_is_read_in_parts(running: Shell, registered: str) -> None:
    for _ in range(4):
        running("send", "player", "DepositFunds", '{"amount": 1}', "-r", registered)
    whole = running("events", "player", "-r", registered, "--json").lines
    script = "from angzarr.cli import events, main; events._AT_ONCE = 2; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "events", "player", "-r", registered, "--json"],
        cwd=running.directory,
        env=running.environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert len(whole) == 5
    assert [json.loads(line) for line in done.stdout.splitlines()] == whole


def test_aggregates_of_a_domain_are_listed(running: Shell, registered: str) -> None:
    root = running("send", "player", "DepositFunds", '{"amount": 1}', "-r", registered, "--json").json["root"]

    assert {"domain": "player", "root": root} in running("events", "player", "--json").lines


def test_an_aggregate_without_events_has_none(running: Shell, root: str) -> None:
    answer = running("events", "player", "-r", root)

    assert answer.code == 0
    assert "next sequence 0" in answer.out


def test_following_shows_events_as_they_are_stored(running: Shell, registered: str) -> None:
    process = subprocess.Popen(
        running.command("events", "player", "-r", registered, "--follow", "--json"),
        cwd=running.directory,
        env=running.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        first = json.loads(process.stdout.readline())
        running("send", "player", "DepositFunds", '{"amount": 7}', "-r", registered)
        second = json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()

    assert (first["sequence"], second["sequence"]) == (0, 1)
    assert second["data"] == {"amount": "7", "newBalance": "7"}


def test_following_goes_on_when_the_coordinator_comes_back(shell: Shell, root: str, tmp_path: Path) -> None:
    options = ("--no-reload", "--store", str(tmp_path / "shop.db"), "--tcp", "none", "--json")
    with ExitStack() as stack:
        with shell.started("dev", "cli_players:app", *options):
            shell("send", "player", "RegisterPlayer", '{"name": "alice"}', "-r", root)
            process = stack.enter_context(
                subprocess.Popen(
                    shell.command("events", "player", "-r", root, "--follow", "--json"),
                    cwd=shell.directory,
                    env=shell.environment(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())
        with shell.started("dev", "cli_players:app", *options):
            shell("send", "player", "DepositFunds", '{"amount": 7}', "-r", root)
            second = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)

    assert (first["sequence"], second["sequence"]) == (0, 1)
    assert "the coordinator is away; waiting for it" in err
    assert "Traceback" not in err
    assert process.returncode == 130


def test_state_is_folded_by_the_application(running: Shell, registered: str) -> None:
    running("send", "player", "DepositFunds", '{"amount": 7}', "-r", registered)
    now = running("state", "cli_players:app", "player", "-r", registered, "--json").json
    before = running("state", "cli_players:app", "player", "-r", registered, "--at", "0", "--json").json

    assert now == {"handler": "Players", "sequence": 1, "state": {"name": "alice", "balance": 7}}
    assert before == {"handler": "Players", "sequence": 0, "state": {"name": "alice", "balance": 0}}


def test_state_of_a_domain_that_the_application_lacks_is_refused(running: Shell) -> None:
    answer = running("state", "cli_players:app", "table", "-r", "x")

    assert answer.code == 2
    assert answer.err == (
        "error: no handler of shop keeps state of the domain 'table'\n  fix: its domains are player\n"
    )
