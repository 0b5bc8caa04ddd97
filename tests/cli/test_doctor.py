"""What `angzarr doctor` says about the machine it runs on."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from angzarr.app import App
from angzarr.cli.app import run
from angzarr.coordinator import EmbeddedCoordinator
from tests.bank.domain import bank
from tests.cli.conftest import Shell


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ANGZARR_MODE", raising=False)
    monkeypatch.setenv("ANGZARR_UDS_BASE", str(tmp_path))


def _results(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {result["subject"]: result for result in results}


def test_a_sound_machine_has_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0

    results = _results(capsys)
    assert {"python", "sqlite", "angzarr", "betterproto", "[cli]", "environment", "sockets"} <= results.keys()
    assert results["betterproto"]["text"] == "2.0.0b7"


def test_an_environment_that_makes_no_sense_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANGZARR_MODE", "sideways")

    assert run(["doctor", "--json"]) == 1

    assert _results(capsys)["environment"]["status"] == "problem"


def test_a_socket_that_was_left_over_is_told_with_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ch-player.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))

    assert run(["doctor", "--json"]) == 0

    result = _results(capsys)["sockets"]
    assert (result["status"], result["fix"]) == ("note", f"rm {path}")


def test_a_running_coordinator_is_seen(running: Shell) -> None:
    answer = running("doctor")

    assert f"a coordinator listens at {running.sockets}/ch-player.sock" in answer.out


def test_an_application_is_looked_at_too(running: Shell) -> None:
    answer = running("doctor", "cli_players:app", "--json")

    results = {result["subject"]: result for result in answer.lines}
    assert results["application"]["text"] == "shop: 1 command handler"
    assert results["wiring"]["fix"] == "angzarr check cli_players:app"


def test_an_application_that_cannot_be_imported_is_a_problem(running: Shell) -> None:
    answer = running("doctor", "no_such_module:app", "--json")

    assert answer.code == 1
    assert answer.lines[-1]["status"] == "problem"


def _beside_an_absent_server(base: Path, examine: Callable[[], int]) -> int:
    """Run something while a coordinator listens below ``base``, one of whose business servers is away."""

    async def around() -> int:
        app = App("bank", routers=list(bank()))
        absent = f"unix:{base}/away.sock"
        async with EmbeddedCoordinator(app, uds_base=base, handlers={"mail": absent}):
            return await anyio.to_thread.run_sync(examine)

    return anyio.run(around)


def test_a_business_server_that_is_away_is_a_problem_with_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _beside_an_absent_server(tmp_path, lambda: run(["doctor", "--json"])) == 1

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (result,) = [line for line in lines if line["subject"] == "components"]
    assert result["text"].startswith(f"command handler mail at unix:{tmp_path}/away.sock: ")
    assert result["fix"].startswith(f"start the business server at unix:{tmp_path}/away.sock")
