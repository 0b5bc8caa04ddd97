"""What `angzarr new` makes: it runs, its tests pass, and nothing of the user's is overwritten."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from angzarr.cli.app import run
from tests.cli.conftest import Shell

pytestmark = pytest.mark.once


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A freshly made project."""
    directory = tmp_path_factory.mktemp("new") / "my-app"
    assert run(["new", str(directory)]) == 0
    return directory


def test_the_project_has_protos_a_domain_tests_and_a_project_file(project: Path) -> None:
    files = sorted(
        path.relative_to(project).as_posix()
        for path in project.rglob("*")
        if path.is_file() and "cache" not in str(path)
    )

    assert files == [
        ".gitignore",
        "README.md",
        "my_app/__init__.py",
        "my_app/app.py",
        "my_app/messages/__init__.py",
        "my_app/messages/_registry.py",
        "my_app/messages/descriptors.binpb",
        "my_app/messages/tasks/__init__.py",
        "my_app/tasks.py",
        "protos/tasks.proto",
        "pyproject.toml",
        "tests/test_tasks.py",
    ]
    assert not any(b"{{" in (project / name).read_bytes() for name in files)


def test_its_tests_pass_as_they_are(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not laws"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_it_runs_as_it_is(project: Path, shell: Shell) -> None:
    at_home = Shell(project, shell.sockets, shell.zygote)
    with at_home.started("dev", "my_app.app:app", "--no-reload", "--tcp", "none", "--json") as (_, started):
        assert started["domains"] == ["tasks"]
        sent = at_home("send", "tasks", "AddTask", '{"title": "write"}', "--root", "home", "--json")
        state = at_home("state", "my_app.app:app", "tasks", "--root", "home", "--json")

    assert sent.json["events"][0]["type"] == "tasks.TaskAdded"
    assert state.json["state"] == {"done": {"write": False}}


def test_everything_in_it_fits_together(project: Path, shell: Shell) -> None:
    assert Shell(project, shell.sockets, shell.zygote)("check", "my_app.app:app").out == "nothing found\n"


def test_a_directory_with_something_in_it_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("precious")

    assert run(["new", str(tmp_path / "mine")]) == 2

    assert f"{tmp_path / 'mine'} is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "file"]


@pytest.mark.parametrize("name", ["1st", "class", "json", "angzarr", "ä"])
def test_a_name_that_cannot_be_a_package_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", str(tmp_path / name)]) == 2

    assert repr(name) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_empty_directory_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty_one").mkdir()

    assert run(["new", str(tmp_path / "empty_one"), "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["package"] == "empty_one"
    assert (tmp_path / "empty_one" / "pyproject.toml").is_file()
