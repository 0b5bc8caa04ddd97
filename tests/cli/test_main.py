"""What the command line says before it talks to anybody: help, mistakes in what was typed, missing extras."""

import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.main import get_command

from angzarr.cli.app import _SUMMARIES, run

SUBCOMMANDS = [
    "dev",
    "serve",
    "send",
    "events",
    "state",
    "why",
    "dead-letters",
    "projections",
    "check",
    "fuzz",
    "export-scenario",
    "protos",
    "new",
    "doctor",
]
GROUPS = ["dead-letters", "projections", "protos"]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERMINAL_WIDTH", "200")
    monkeypatch.delenv("ANGZARR_APP", raising=False)
    monkeypatch.delenv("ANGZARR_ENDPOINT", raising=False)
    monkeypatch.delenv("ANGZARR_MODE", raising=False)


def test_the_help_lists_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0

    out = capsys.readouterr().out
    assert [name for name in SUBCOMMANDS if f"│ {name} " not in out] == []
    assert "Exit codes: 0 done" in out


@pytest.mark.parametrize("name", [name for name in SUBCOMMANDS if name not in GROUPS])
def test_each_subcommand_shows_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0

    assert f"angzarr {name} " in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [["state"], ["send"], ["dead-letters", "list"], ["dead-letters", "replay"], ["protos", "compile"]],
)
def test_each_example_has_a_line_of_its_own(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  angzarr ")]
    assert len(lines) >= 2
    assert [line for line in lines if line.count("angzarr ") != 1] == []


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0

    assert capsys.readouterr().out == f"angzarr {version('angzarr')}\n"


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_the_list_says_of_each_what_it_says_itself(name: str) -> None:
    module = import_module(f"angzarr.cli.{name.replace('-', '_')}")
    command = get_command(module.app)
    own = (command.help or "").partition("\n\n")[0].replace("\n", " ")

    assert own.startswith(_SUMMARIES[name].rstrip(".").partition(":")[0])


def test_the_list_needs_no_extra_but_its_own() -> None:
    script = (
        "import sys\n"
        "for name in ('hypothesis', 'pytest', 'grpc_tools', 'black', 'watchfiles'): sys.modules[name] = None\n"
        "sys.argv = ['angzarr', '--help']\n"
        "from angzarr.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (["fuzz", "cli_players:app"], "hypothesis", "testing"),
        (["export-scenario", "a/b", "--app", "cli_players:app"], "hypothesis", "testing"),
        (["protos", "compile", ".", "--out", "x"], "grpc_tools", "compiler"),
    ],
)
def test_a_missing_extra_is_told_with_its_remedy(
    arguments: list[str], package: str, extra: str, importable: Path
) -> None:
    script = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv = {['angzarr', *arguments]!r}\n"
        "from angzarr.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=importable
    )

    assert done.returncode == 1
    assert f'fix: pip install "angzarr[{extra}]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2

    assert "Usage: angzarr" in "".join(capsys.readouterr())


@pytest.mark.parametrize("arguments", [["nonsense"], ["send", "player"], ["dev", "a:b", "--nonsense"]])
def test_wrong_usage_exits_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2

    assert "Usage: angzarr" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "complaint", "remedy"),
    [
        ("players", "'players' does not say where the application is", "write module:attribute"),
        (":app", "':app' does not say where the application is", "write module:attribute"),
        ("players.py:app", "'players.py:app' names a file, not a module", "write players:app"),
        ("shop/players.py", "'shop/players.py' names a file, not a module", "write shop.players:app"),
        ("no_such_module:app", "there is no module 'no_such_module'", "run the command from your project's"),
        ("json:app", "json:app does not exist", "write module:attribute"),
        ("json:loads", "json:loads is function, not an application", "write module:attribute"),
    ],
)
def test_a_wrong_application_is_named_with_a_remedy(
    spec: str, complaint: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", spec]) == 2

    err = capsys.readouterr().err
    assert err.startswith(f"error: {complaint}")
    assert f"  fix: {remedy}" in err


def test_what_else_could_be_meant_is_listed(importable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "cli_players:nothing"]) == 2

    assert "fix: there is cli_players:players, cli_players:app" in capsys.readouterr().err


def test_a_router_that_is_not_built_is_told_apart(
    importable: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", "cli_players:unbuilt"]) == 2

    assert capsys.readouterr().err == (
        "error: cli_players:unbuilt is a router that is not built\n  fix: unbuilt = Router(...)....build()\n"
    )


BROKEN = {
    "syntax": (
        "x = (\n",
        "importing {module} failed at {module}.py, line 1: SyntaxError: '(' was never closed",
    ),
    "exception": (
        "\n\nraise ValueError('no config')\n",
        "importing {module} failed at {module}.py, line 3: ValueError: no config",
    ),
    "missing": (
        "import no_such_thing\n",
        "importing {module} failed at {module}.py, line 1: ModuleNotFoundError",
    ),
    "exit": (
        "import sys\nsys.exit('bye')\n",
        "importing {module} failed at {module}.py, line 2: SystemExit: bye",
    ),
    "build": (
        "from angzarr import Router\napp = Router('x').build()\n",
        "importing {module} failed at {module}.py, line 2: BuildError: ",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_module_that_does_not_import_is_told_with_the_place(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, complaint = BROKEN[kind]
    module = f"broken_{kind}"
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.chdir(tmp_path)

    assert run(["serve", f"{module}:app"]) == 1

    err = capsys.readouterr().err
    assert complaint.format(module=module) in err
    assert "Traceback" not in err


def test_bad_json_is_told_before_anybody_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["send", "player", "Register", '{"name": }', "--root", "a"]) == 2

    assert capsys.readouterr().err == (
        "error: this is not JSON: Expecting value (at line 1, column 10)\n"
        """  fix: write one JSON object, quoted for the shell, such as '{"name": "alice"}'\n"""
    )


def test_errors_are_json_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["send", "player", "Register", "{}", "--json"]) == 2

    assert json.loads(capsys.readouterr().err) == {
        "error": "which aggregate is meant?",
        "code": "",
        "fix": "give --root (a UUID or any text), or --new for a new one",
    }


def test_root_and_new_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["send", "player", "Register", "{}", "--root", "a", "--new"]) == 2

    assert capsys.readouterr().err == "error: --new and --root exclude each other\n  fix: give one of them\n"


def test_a_body_that_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["send", "player", "Register", "@/no/such/file", "--root", "a"]) == 2

    assert capsys.readouterr().err == "error: /no/such/file cannot be read: No such file or directory\n"


def test_a_coordinator_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANGZARR_UDS_BASE", str(tmp_path))

    assert run(["events", "player", "--root", "a"]) == 3

    err = capsys.readouterr().err
    assert err.startswith(f"error: no coordinator answers at {tmp_path}/ch-player.sock")
    assert "fix: start one with: angzarr dev module:attribute; or name it with --to" in err


@pytest.mark.parametrize("endpoint", ["nonsense", "localhost:99999", "ftp://x:1", "localhost"])
def test_an_endpoint_that_makes_no_sense_is_named(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["events", "player", "--root", "a", "--to", endpoint]) == 2

    err = capsys.readouterr().err
    assert endpoint in err
    assert "[ENDPOINT_INVALID_URI]" in err


def test_a_mode_that_makes_no_sense_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANGZARR_MODE", "sideways")

    assert run(["events", "player", "--root", "a"]) == 2

    assert "sideways" in capsys.readouterr().err


def test_compiling_tells_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "protos").mkdir()
    (tmp_path / "protos" / "a.proto").write_text('syntax = "proto3"; package a; message A { message B {} }')

    assert run(["protos", "compile", str(tmp_path / "protos"), "--out", str(tmp_path / "out"), "--json"]) == 0

    assert json.loads(capsys.readouterr().out) == {
        "out": str(tmp_path / "out"),
        "files": 1,
        "messages": {"a": ["a.A", "a.A.B"]},
    }


def test_a_syntax_error_in_a_proto_exits_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "protos").mkdir()
    (tmp_path / "protos" / "a.proto").write_text('syntax = "proto3"; message A {')

    assert run(["protos", "compile", str(tmp_path / "protos"), "--out", str(tmp_path / "out")]) == 1

    assert capsys.readouterr().err == (
        f"error: {tmp_path}/protos/a.proto:1:31: Reached end of input in message definition (missing '}}').\n"
    )


def test_the_proto_files_of_the_contract_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["protos", "path"]) == 0

    root = Path(capsys.readouterr().out.strip())
    assert (root / "angzarr_client" / "proto" / "angzarr" / "types.proto").is_file()


def test_without_the_extra_the_remedy_is_told() -> None:
    script = (
        "import sys; sys.modules['typer'] = None\n"
        "sys.argv = ['angzarr', 'dev']\n"
        "from angzarr.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == (
        'error: the angzarr command needs typer, which is not installed\n  fix: pip install "angzarr[cli]"\n'
    )


def test_ctrl_c_while_the_command_is_still_being_imported_leaves_no_traceback() -> None:
    script = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "sys.argv = ['angzarr', 'doctor']\n"
        "from angzarr.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (130, "")


def test_importing_the_package_of_the_command_line_imports_no_extra() -> None:
    script = "import sys, angzarr.cli; print(sorted({'typer', 'rich', 'click'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
