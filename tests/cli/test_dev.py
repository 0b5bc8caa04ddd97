"""`angzarr dev` and `angzarr serve` as processes: what they bind, how they end, when they start again."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Shell

QUIET = ("--no-reload", "--tcp", "127.0.0.1:0", "--json")


def test_every_domain_has_a_socket_and_all_have_one_port(shell: Shell) -> None:
    with shell.started("dev", "cli_players:app", "--store", ":memory:", *QUIET) as (_, started):
        socket_file = shell.sockets / "ch-player.sock"
        assert started["app"] == "shop"
        assert started["domains"] == ["player"]
        assert started["addresses"][0] == f"unix:{socket_file}"
        assert started["addresses"][1].startswith("127.0.0.1:")
        assert socket_file.is_socket()

    assert not socket_file.exists()


def test_the_port_serves_as_well_as_the_socket(shell: Shell) -> None:
    with shell.started("dev", "cli_players:app", "--store", ":memory:", *QUIET) as (_, started):
        to = started["addresses"][1]
        sent = shell("send", "player", "RegisterPlayer", '{"name": "x"}', "-r", "a", "--to", to, "--json")

        assert sent.json["nextSequence"] == 1


def test_the_events_are_there_after_a_restart(shell: Shell, tmp_path: Path) -> None:
    options = ("--store", str(tmp_path / "deep" / "shop.db"), *QUIET)
    with shell.started("dev", "cli_players:app", *options):
        shell("send", "player", "RegisterPlayer", '{"name": "x"}', "-r", "a")
    with shell.started("dev", "cli_players:app", *options):
        assert [event["sequence"] for event in shell("events", "player", "-r", "a", "--json").lines] == [0]


def test_the_database_is_named_after_the_application(shell: Shell, generated: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(generated, home)
    at_home = Shell(home, shell.sockets, shell.zygote)
    with at_home.started("dev", "cli_players:app", *QUIET) as (_, started):
        assert started["store"] == os.path.join(".angzarr", "shop.db")
        assert (home / ".angzarr" / "shop.db").is_file()


def test_a_router_alone_is_enough(shell: Shell) -> None:
    with shell.started("dev", "cli_players:players", "--store", ":memory:", *QUIET) as (_, started):
        assert started["domains"] == ["player"]


def test_ctrl_c_ends_it_in_order(shell: Shell) -> None:
    process = subprocess.Popen(
        shell.command("dev", "cli_players:app", "--store", ":memory:", *QUIET),
        cwd=shell.directory,
        env=shell.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "Traceback" not in err


def test_a_second_coordinator_on_the_same_database_is_refused(shell: Shell, tmp_path: Path) -> None:
    store = str(tmp_path / "shop.db")
    with shell.started("dev", "cli_players:app", "--store", store, *QUIET):
        second = shell("dev", "cli_players:app", "--store", store, "--uds-base", "none", *QUIET)

    assert second.code == 1
    assert json.loads(second.err)["code"] == "STORE_LOCKED"
    assert json.loads(second.err)["fix"] == "stop the other coordinator, or give another --store"


def test_a_database_that_is_none_is_refused(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "not.db").write_text("just some text, long enough to be no SQLite header at all\n" * 20)

    answer = shell("dev", "cli_players:app", "--store", str(tmp_path / "not.db"), *QUIET)

    assert answer.code == 1
    assert "not.db" in answer.err
    assert "Traceback" not in answer.err


def test_a_port_in_use_is_named(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        answer = shell("dev", "cli_players:app", "--store", ":memory:", "--no-reload", "--tcp", where)

    assert answer.code == 1
    assert where in answer.err
    assert "[BIND_FAILED]" in answer.err


def test_a_wrong_level_is_refused(shell: Shell) -> None:
    answer = shell("dev", "cli_players:app", "--log-level", "loud")

    assert answer.code == 2
    assert answer.err == "error: 'loud' is no log level\n  fix: choose debug, info, warning or error\n"


def test_with_reloading_a_first_start_that_fails_ends_it(shell: Shell) -> None:
    answer = shell("dev", "no_such_module:app", "--store", ":memory:")

    assert answer.code == 2
    assert "there is no module 'no_such_module'" in answer.err


def test_a_changed_file_starts_it_again(shell: Shell, generated: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(generated, home)
    at_home = Shell(home, shell.sockets, shell.zygote)
    source = home / "cli_players.py"
    options = ("--store", str(tmp_path / "shop.db"), "--tcp", "none", "--json")
    with at_home.started("dev", "cli_players:app", *options) as (process, started):
        assert started["app"] == "shop"
        assert process.stdout is not None
        assert process.stderr is not None

        source.write_text(source.read_text().replace('App("shop"', 'App("changed"'))
        assert json.loads(process.stdout.readline())["app"] == "changed"

        source.write_text("syntax error(\n")
        told = iter(process.stderr.readline, "")
        assert next(line for line in told if line.startswith(("{", "error:")))
        assert next(line for line in told if "waiting for a change" in line)

        shutil.copy(generated / "cli_players.py", source)
        assert json.loads(process.stdout.readline())["app"] == "shop"


def test_when_the_supervisor_is_killed_the_application_ends(shell: Shell) -> None:
    process = subprocess.Popen(
        shell.command("dev", "cli_players:app", "--store", ":memory:", "--tcp", "none", "--json"),
        cwd=shell.directory,
        env=shell.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()

    assert process.stdout.read() == ""  # ends when the child, which has it too, has ended
    assert not (shell.sockets / "ch-player.sock").exists()
    process.stdout.close()


def test_a_router_is_served_without_a_coordinator(shell: Shell, tmp_path: Path) -> None:
    address = tmp_path / "business.sock"
    process = subprocess.Popen(
        shell.command("serve", "cli_players:players", "--address", f"unix:{address}"),
        cwd=shell.directory,
        env=shell.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = next(line for line in process.stderr if "server_started" in line)
        assert str(address) in line
        assert "CommandHandlerService" in line
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)

    assert process.returncode == 0
    assert not address.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files")
def test_a_read_only_directory_is_named(shell: Shell, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)

    answer = shell("dev", "cli_players:app", "--store", str(locked / "shop.db"), *QUIET)

    assert answer.code == 1
    assert json.loads(answer.err)["code"] == "STORE_UNWRITABLE"
