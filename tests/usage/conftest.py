"""The application of the README, as its reader would have it: protos compiled, code copied from the page."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from angzarr.messages import register_package
from tests.client.servers import free_port

README = Path(__file__).parents[2] / "README.md"
PROTO = """
syntax = "proto3";
package player;
import "google/protobuf/timestamp.proto";

message RegisterPlayer { string name = 1; }
message PlayerRegistered { string name = 1; google.protobuf.Timestamp registered_at = 2; }
message DepositFunds { int64 amount = 1; }
message FundsDeposited { int64 amount = 1; int64 new_balance = 2; }
"""


def code_of_the_readme() -> str:
    found = re.search(r"```python\n(# players\.py\n.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with ``players.py`` of the README and its messages, generated as the README says."""
    directory = tmp_path_factory.mktemp("project")
    (directory / "protos").mkdir()
    (directory / "protos" / "player.proto").write_text(PROTO)
    (directory / "players.py").write_text(code_of_the_readme())
    (directory / "poker").mkdir()
    command = [sys.executable, "-m", "angzarr.cli", "protos", "compile", "protos/", "--out", "poker/messages"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return directory


@pytest.fixture(scope="session")
def imported(project: Path) -> Iterator[ModuleType]:
    sys.path.insert(0, str(project))
    try:
        yield import_module("players")
    finally:
        sys.path.remove(str(project))


@pytest.fixture(scope="module")
def players(imported: ModuleType) -> Iterator[ModuleType]:
    """The README's module, imported. The example of this name has its messages back afterwards."""
    register_package(sys.modules["poker.messages.player"], "player")
    yield imported
    register_package(import_module("examples.poker.messages.player"), "player")


@pytest.fixture
def unused_port() -> int:
    """A port nobody listens on."""
    return free_port()
