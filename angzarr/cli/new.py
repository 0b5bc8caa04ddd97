"""``angzarr new``: an application to start from."""

import keyword
import re
import sys
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from angzarr.cli import options
from angzarr.cli.errors import wrong_input
from angzarr.cli.output import write_json, write_line

app: typer.Typer = typer.Typer(rich_markup_mode="markdown", add_completion=False)

_SUFFIX = ".tmpl"
_TAKEN = frozenset({"angzarr", "google", "tests", "protos"})


@app.command(name="new", no_args_is_help=True)
def new(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIRECTORY",
            help="Where to put it, such as `my-app`; its name is the project's.",
            show_default=False,
        ),
    ],
    as_json: options.Json = False,
) -> None:
    """Make a new application: protos, a domain, tests, a project file. It runs and its tests pass as it is.

    Example:

        angzarr new my-app && cd my-app && angzarr dev my_app.app:app
    """
    from angzarr.cli.compiler.protoc import require_compiler

    name = directory.resolve().name
    package = _package(name)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise wrong_input(f"{directory} is there already", "choose another name, or empty it")
    require_compiler()
    written = _create(directory, {"name": name, "package": package, "version": _version()})
    if as_json:
        write_json({"directory": str(directory), "package": package, "files": written})
        return
    for path in written:
        write_line((f"  {path}", "dim"))
    write_line((f"{directory} is ready; next:", "green"))
    write_line((f"  cd {directory} && angzarr dev {package}.app:app", "cyan"))


def _package(name: str) -> str:
    package = re.sub(r"[-. ]", "_", name).lower()
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", package) or keyword.iskeyword(package):
        raise wrong_input(
            f"{name!r} cannot be made into the name of a package", "use letters, digits and dashes"
        )
    if package in _TAKEN or package in sys.stdlib_module_names:
        raise wrong_input(f"a package named {package!r} would hide another one", "choose another name")
    return package


def _version() -> str:
    from importlib.metadata import version

    return version("angzarr")


def _create(directory: Path, values: Mapping[str, str]) -> list[str]:
    from angzarr.cli.compiler.users import compile_protos

    home = next(parent for parent in directory.resolve().parents if parent.is_dir())
    with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=home) as scratch:
        fresh = Path(scratch, directory.resolve().name)
        _copy(files("angzarr.cli") / "template", fresh, values)
        compile_protos([fresh / "protos"], fresh / values["package"] / "messages")
        written = sorted(str(path.relative_to(fresh)) for path in fresh.rglob("*") if path.is_file())
        directory.parent.mkdir(parents=True, exist_ok=True)
        if directory.exists():
            directory.rmdir()
        fresh.rename(directory)
    return written


def _copy(source: Traversable, target: Path, values: Mapping[str, str]) -> None:
    for entry in source.iterdir():
        name = entry.name.replace("PACKAGE", values["package"]).replace("gitignore", ".gitignore")
        if entry.is_dir():
            _copy(entry, target / name, values)
        elif name.endswith(_SUFFIX):
            target.mkdir(parents=True, exist_ok=True)
            (target / name.removesuffix(_SUFFIX)).write_text(
                _filled(entry.read_text("utf-8"), values), "utf-8"
            )


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], text)
