"""Generated code of the protos beside this file, an application over it, and a coordinator that runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from angzarr.cli.compiler.users import compile_protos

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that ``cli_messages`` and the applications can be imported from."""
    home = tmp_path_factory.mktemp("generated")
    compile_protos([HERE / "protos"], home / "cli_messages")
    for source in (HERE / "project").glob("*.py"):
        shutil.copy(source, home)
    return home


@pytest.fixture(scope="session")
def importable(generated: Path) -> Iterator[Path]:
    """The same directory, on the path of this process."""
    sys.path.insert(0, str(generated))
    yield generated
    sys.path.remove(str(generated))


@pytest.fixture(scope="session")
def kinds(importable: Path) -> ModuleType:
    """The generated module of the package ``kinds``."""
    return import_module("cli_messages.kinds")


@dataclass(frozen=True)
class Answer:
    """What a process left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Its output as lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Shell:
    """Runs the command line as its users do: in a process of its own, in the project's directory."""

    directory: Path
    sockets: Path
    zygote: "subprocess.Popen[str]"

    def __call__(
        self, *arguments: str, stdin: str = "", cwd: Path | None = None, **environment: str
    ) -> Answer:
        request = {
            "argv": arguments,
            "stdin": stdin,
            "cwd": str(cwd or self.directory),
            "env": self.environment(**environment),
        }
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        self.zygote.stdin.write(json.dumps(request) + "\n")
        self.zygote.stdin.flush()
        return Answer(**json.loads(self.zygote.stdout.readline()))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "angzarr.cli", *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("ANGZARR_", "PYTEST_"))
        }
        return {**clean, "ANGZARR_UDS_BASE": str(self.sockets), "COLUMNS": "200", **more}

    @contextmanager
    def started(self, *arguments: str, code: int = 0) -> Iterator[tuple["subprocess.Popen[str]", Any]]:
        """A process that runs on, and the first line it wrote, as JSON; ended by SIGTERM."""
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.directory,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            yield process, json.loads(line)
            process.send_signal(signal.SIGTERM)
            err = process.communicate(timeout=30)[1]
            assert process.returncode == code, err
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def zygote() -> Iterator["subprocess.Popen[str]"]:
    """What the command lines are forked from."""
    command = [sys.executable, "-m", "tests.cli.zygote"]
    process = subprocess.Popen(
        command, cwd=HERE.parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.communicate()


@pytest.fixture
def shell(generated: Path, tmp_path: Path, zygote: "subprocess.Popen[str]") -> Shell:
    """The command line, with sockets of its own."""
    return Shell(generated, tmp_path / "sockets", zygote)


@pytest.fixture(scope="session")
def running(
    generated: Path, tmp_path_factory: pytest.TempPathFactory, zygote: "subprocess.Popen[str]"
) -> Iterator[Shell]:
    """The command line beside a running `angzarr dev`, without reloading."""
    shell = Shell(generated, tmp_path_factory.mktemp("sockets"), zygote)
    options = ("--no-reload", "--store", ":memory:", "--tcp", "127.0.0.1:0", "--json")
    with shell.started("dev", "cli_players:app", *options):
        yield shell


@pytest.fixture(scope="session")
def whole(
    generated: Path, tmp_path_factory: pytest.TempPathFactory, zygote: "subprocess.Popen[str]"
) -> Iterator[Shell]:
    """The command line beside an application with two domains, a saga and a projector."""
    shell = Shell(generated, tmp_path_factory.mktemp("sockets"), zygote)
    options = ("--no-reload", "--store", ":memory:", "--tcp", "none", "--json")
    with shell.started("dev", "cli_tables:app", *options):
        yield shell
