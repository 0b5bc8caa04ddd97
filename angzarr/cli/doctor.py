"""``angzarr doctor``: is everything in place on this machine?"""

import os
import platform
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import anyio
import typer

from angzarr.cli import options
from angzarr.cli.errors import FAILED, CommandLineError
from angzarr.cli.output import write_json, write_line
from angzarr.client.endpoint import DEFAULT_UDS_BASE, ENV_UDS_BASE
from angzarr.errors import ClientError
from angzarr.messages import Empty
from angzarr.messages.admin import Component

app: typer.Typer = typer.Typer(rich_markup_mode="markdown", add_completion=False)

_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}
_EXTRAS = {
    "cli": ("typer", "rich", "watchfiles"),
    "compiler": ("grpcio-tools", "black", "isort", "jinja2"),
    "testing": ("hypothesis", "pytest"),
    "otel": ("opentelemetry-api",),
    "uvloop": ("uvloop",),
}
_OLDEST_SQLITE = (3, 37, 0)


@dataclass(frozen=True, slots=True)
class Result:
    """What one examination found."""

    subject: str
    status: str
    text: str
    remedy: str = ""


@app.command(name="doctor")
def doctor(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="[APP]",
            help="An application to look at as well, as module:attribute.",
            show_default=False,
        ),
    ] = "",
    as_json: options.Json = False,
) -> None:
    """Look at this machine: Python, SQLite, installed extras, the environment, sockets, running coordinators.

    Exits with 1 when something is wrong, and says what to do about each problem.

    Examples:

        angzarr doctor
        angzarr doctor players:app
    """
    found = list(_examine(spec))
    for result in found:
        if as_json:
            write_json(
                {
                    "subject": result.subject,
                    "status": result.status,
                    "text": result.text,
                    "fix": result.remedy,
                }
            )
            continue
        write_line(
            (f"{result.status:8}", _STYLES[result.status]),
            (f"{result.subject:14}", "bold"),
            (result.text, ""),
        )
        if result.remedy:
            write_line((f"{'':22}fix: {result.remedy}", "cyan"))
    if any(result.status == "problem" for result in found):
        raise typer.Exit(FAILED)


def _examine(spec: str) -> Iterator[Result]:
    examinations: list[Callable[[], Iterator[Result]]] = [
        _python,
        _sqlite,
        _packages,
        _codec_hazards,
        _environment,
        _sockets,
    ]
    for examination in examinations:
        yield from examination()
    if spec:
        yield from _application(spec)


def _python() -> Iterator[Result]:
    text = f"{platform.python_version()} on {platform.system()}"
    supported = (3, 11) <= sys.version_info < (3, 14)
    remedy = "" if supported else "use Python 3.11, 3.12 or 3.13"
    yield Result("python", "ok" if supported else "note", text, remedy)


def _sqlite() -> Iterator[Result]:
    found = sqlite3.sqlite_version
    new_enough = sqlite3.sqlite_version_info >= _OLDEST_SQLITE
    remedy = "" if new_enough else "use a Python that is built with SQLite 3.37 or newer (STRICT tables)"
    yield Result("sqlite", "ok" if new_enough else "problem", found, remedy)


def _packages() -> Iterator[Result]:
    yield Result("angzarr", "ok", version("angzarr"))
    required = "2.0.0b7"
    found = _version("betterproto")
    yield Result(
        "betterproto",
        "ok" if found == required else "problem",
        found or "not installed",
        "" if found == required else f"pip install betterproto=={required}",
    )
    for extra, packages in _EXTRAS.items():
        missing = [package for package in packages if _version(package) is None]
        if missing:
            text = f"{', '.join(missing)} not installed"
            yield Result(f"[{extra}]", "note", text, f'if you need it: pip install "angzarr[{extra}]"')
        else:
            yield Result(
                f"[{extra}]", "ok", ", ".join(f"{package} {_version(package)}" for package in packages)
            )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _codec_hazards() -> Iterator[Result]:
    if _version("betterproto-rust-codec") is not None:
        yield Result(
            "codec",
            "note",
            "betterproto-rust-codec is installed; angzarr does not use it, but bytes(message) in your code does",
            "use angzarr.codec.encode and decode in your code",
        )


def _environment() -> Iterator[Result]:
    from angzarr.client import resolve_ch_endpoint

    ours = sorted(name for name in os.environ if name.startswith("ANGZARR_"))
    shown = ", ".join(f"{name}={os.environ[name]}" for name in ours) or "no ANGZARR_ variables"
    try:
        endpoint = resolve_ch_endpoint("DOMAIN")
    except ClientError as error:
        details = ", ".join(f"{key}: {value}" for key, value in error.details.items())
        yield Result(
            "environment", "problem", f"{error.message} ({details})", "correct or unset the variable"
        )
        return
    yield Result("environment", "ok", shown)
    yield Result("clients", "ok", f"for_domain connects to {endpoint}")


def _sockets() -> Iterator[Result]:
    base = Path(os.environ.get(ENV_UDS_BASE) or DEFAULT_UDS_BASE)
    if not base.exists():
        yield Result("sockets", "ok", f"{base} is not there yet; angzarr dev makes it")
        return
    if not os.access(base, os.W_OK | os.X_OK):
        yield Result(
            "sockets", "problem", f"{base} is not writable", "set ANGZARR_UDS_BASE to a directory of yours"
        )
        return
    found = sorted(path for path in base.glob("ch-*.sock") if stat.S_ISSOCK(path.stat().st_mode))
    ailing: set[Result] = set()
    for path in found:
        result, problems = anyio.run(_socket, path)
        yield result
        yield from sorted(problems - ailing, key=lambda problem: problem.text)
        ailing |= problems
    if not found:
        yield Result("sockets", "ok", f"no coordinator in {base}")


async def _socket(path: Path) -> tuple[Result, set[Result]]:
    try:
        with anyio.fail_after(2):
            stream = await anyio.connect_unix(path)
            await stream.aclose()
    except (OSError, TimeoutError):
        return Result("sockets", "note", f"{path} is left over; nobody listens", f"rm {path}"), set()
    return Result("sockets", "ok", f"a coordinator listens at {path}"), await _ailing(path)


async def _ailing(path: Path) -> set[Result]:
    """What a running coordinator says is wrong with its components; nothing, where it is not one of ours."""
    from angzarr.cli.admin import administered

    try:
        async with administered(str(path)) as admin:
            listed = await admin.call.list_components(Empty(), timeout=5)
    except (ClientError, CommandLineError):
        return set()
    return {
        Result("components", "problem", _ailment(one), _cure(one)) for one in listed.components if one.problem
    }


def _ailment(one: Component) -> str:
    where = f" at {one.endpoint}" if one.endpoint else ""
    return f"{one.kind.replace('_', ' ')} {one.name}{where}: {one.problem}"


def _cure(one: Component) -> str:
    if one.endpoint:
        return f"start the business server at {one.endpoint}, or correct the endpoint"
    return "look into the coordinator's log"


def _application(spec: str) -> Iterator[Result]:
    from angzarr.cli.loading import handlers_of, load_app
    from angzarr.cli.wiring import check, wiring_of

    try:
        loaded = load_app(spec)
    except CommandLineError as error:
        yield Result("application", "problem", error.message, error.remedy)
        return
    kinds = [info.kind for info in handlers_of(loaded)]
    counted = ", ".join(f"{kinds.count(kind)} {kind.replace('_', ' ')}" for kind in dict.fromkeys(kinds))
    yield Result("application", "ok", f"{loaded.name}: {counted}")
    findings = check(wiring_of(loaded))
    if findings:
        yield Result("wiring", "note", f"{len(findings)} findings", f"angzarr check {spec}")
    else:
        yield Result("wiring", "ok", "everything fits together")
