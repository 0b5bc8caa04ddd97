"""What developers and CI run. `nox -l` lists the sessions; without a name, `tests`, `lint` and `types` run."""

from __future__ import annotations  # so that an older Python gets as far as the sentence that names it

import glob
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "venv"

SUPPORTED = ("3.11", "3.12", "3.13")


def _group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), name)


TESTS = ("-e", ".[cli,compiler,testing,otel]", *_group("tests"))


def _candidates(version: str) -> list[str]:
    pyenv = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    installed = sorted(glob.glob(f"{pyenv}/versions/{version}.*/bin/python{version}"))
    on_path = [found for found in [shutil.which(f"python{version}")] if found]
    running = [sys.executable] if version == f"{sys.version_info.major}.{sys.version_info.minor}" else []
    return [*running, *on_path, *reversed(installed)]


def _works(python: str, version: str) -> bool:
    probe = f"import sys, venv, ensurepip, sqlite3; assert sys.version.startswith({version!r})"
    return subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode == 0


def _interpreters() -> list[str]:
    """The supported interpreters present on this machine, one path a version."""
    found = [
        next((python for python in _candidates(version) if _works(python, version)), None)
        for version in SUPPORTED
    ]
    if not any(found) and sys.version_info < (3, 11):
        sys.exit(f"angzarr needs Python 3.11 or newer: {sys.executable} is {sys.version.split()[0]}")
    return [python for python in found if python] or [sys.executable]


INTERPRETERS = _interpreters()
OLDEST = INTERPRETERS[0]


@nox.session(python=OLDEST)
def demo(session: nox.Session) -> None:
    """Replay 943 real hands of poker through a coordinator; arguments go to `python -m examples.poker`."""
    session.install("-e", ".[cli]", "pokerkit>=0.6")
    session.run("python", "-m", "examples.poker", *session.posargs)


def _extent(session: nox.Session) -> list[str]:
    """Everything on the oldest interpreter; on the others fewer examples, and not what they cannot change."""
    if session.python == OLDEST:
        return ["--hypothesis-profile", "full"]
    return ["--hypothesis-profile", "brief", "-m", "not long and not once"]


@nox.session(python=INTERPRETERS)
def tests(session: nox.Session) -> None:
    """The test suite, on every supported interpreter present; arguments go to pytest."""
    session.install(*TESTS)
    if session.posargs:
        session.run("python", "-m", "pytest", *_extent(session), *session.posargs)
    else:
        _suite(session, *_extent(session))


def _suite(session: nox.Session, *extent: str) -> None:
    """All tests at once; one that fails, as a busy machine can make it, has to pass three times by itself.

    One that hangs fails after five minutes, where it hangs.
    """
    pytest = ("python", "-m", "pytest", *extent, "-q", "--timeout", "300")
    try:
        session.run(*pytest, "-n", "auto", "--cache-clear")
    except CommandFailed:
        failed = _failed()
        if not failed:
            raise
        for _ in range(3):
            session.run(*pytest, "-x", *failed)
        session.warn("FLAKY, which is a bug in the test or in what it tests: " + ", ".join(failed))


def _failed() -> list[str]:
    """What pytest has noted as failed in its last run."""
    noted = Path(".pytest_cache/v/cache/lastfailed")
    return list(json.loads(noted.read_text())) if noted.exists() else []


@nox.session(python=OLDEST)
def seeds(session: nox.Session) -> None:
    """The test suite with other examples than last time, of which `tests` always draws the same."""
    session.install(*TESTS)
    session.run("python", "-m", "pytest", *(session.posargs or ["-q", "-n", "auto"]))


@nox.session(python=OLDEST)
def long(session: nox.Session) -> None:
    """All tests that take minutes: soak, faults, fuzzing, many seeds."""
    session.install(*TESTS)
    session.run("python", "-m", "pytest", "-m", "long", *(session.posargs or ["-q"]))


@nox.session(python=OLDEST)
def soak(session: nox.Session) -> None:
    """100,000 commands over 1,000 aggregates, and the demo, killed again and again: nothing lost, nothing doubled."""
    session.install(*TESTS)
    files = ["tests/coordinator/test_soak.py", "tests/examples/poker/test_kills.py"]
    session.run("python", "-m", "pytest", "-m", "long", "-q", "-s", *(session.posargs or files))


@nox.session(python=OLDEST)
def fuzz(session: nox.Session) -> None:
    """The codec beside google.protobuf: 10,000 messages of every class, then ten million inputs.

    Arguments go to `python -m tests.codec.fuzz`.
    """
    session.install(*TESTS)
    session.run("python", "-m", "pytest", "-m", "long", "-q", "-n", "auto", "tests/codec")
    session.run(
        "python", "-m", "tests.codec.fuzz", *(session.posargs or ["--jobs", str(os.cpu_count() or 1)])
    )


@nox.session(python=OLDEST)
def faults(session: nox.Session) -> None:
    """10,000 commands over connections that are killed 200 times: what the client says of each is true."""
    session.install(*TESTS)
    session.run("python", "-m", "pytest", "-m", "long", "-q", "-s", *(session.posargs or ["tests/faults"]))


@nox.session(python=OLDEST)
def lint(session: nox.Session) -> None:
    """Style, formatting, and the contracts between the layers."""
    # Neither tool imports what it looks at, so the package and what it needs are not installed.
    session.install(*_group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session(python=OLDEST)
def types(session: nox.Session) -> None:
    """mypy strict over package and tests, and completeness of the public types."""
    # Installed for real: pyright does not find py.typed behind an editable install.
    session.install(*(package for package in TESTS if package != "-e"), *_group("types"))
    session.run("mypy", "angzarr", "tests", "examples", "benchmarks")
    session.run("pyright", "--ignoreexternal", "--verifytypes", "angzarr")


@nox.session(python=OLDEST)
def protos(session: nox.Session) -> None:
    """Generate angzarr/_gen and the examples' messages again; with `-- --check` only compare."""
    session.install("-e", ".[cli,compiler]")
    session.run("python", "scripts/protos.py", *session.posargs)


@nox.session(python=OLDEST)
def docs(session: nox.Session) -> None:
    """Build the documentation site into site/."""
    session.install("-e", ".[cli,testing]", "mkdocs-material>=9.5", "mkdocstrings[python]>=0.27")
    session.run("mkdocs", "build", "--strict", *session.posargs)


@nox.session(python=OLDEST)
def bench(session: nox.Session) -> None:
    """Measure against what a user would pick instead; writes benchmarks/results.md and .json.

    Arguments name the benchmarks; `growth`, which fills a store with ten million events, runs only when it is named.
    """
    session.install(*TESTS)
    session.run("python", "-m", "benchmarks", *session.posargs)
