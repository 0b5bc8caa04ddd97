"""Finding an application by ``module:attribute``."""

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from angzarr.app import App
from angzarr.cli.errors import CommandLineError, wrong_input
from angzarr.errors import BuildError, ClientError
from angzarr.router import HandlerInfo, Router

_EXAMPLE = "write module:attribute, such as players:app for `app = App(...)` in players.py"


@dataclass(frozen=True, slots=True)
class Spec:
    """Where an application is.

    Attributes:
        module: importable name.
        attribute: the variable in it.
    """

    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}"


def parse_spec(text: str) -> Spec:
    """Take ``module:attribute`` apart.

    Raises:
        CommandLineError: it is not of that form.
    """
    module, colon, attribute = text.partition(":")
    if module.endswith(".py") or "/" in module or os.sep in module:
        dotted = module.removesuffix(".py").strip("./").replace(os.sep, ".").replace("/", ".")
        raise wrong_input(f"{text!r} names a file, not a module", f"write {dotted}:{attribute or 'app'}")
    if (
        not colon
        or not attribute.isidentifier()
        or not all(part.isidentifier() for part in module.split("."))
    ):
        raise wrong_input(f"{text!r} does not say where the application is", _EXAMPLE)
    return Spec(module, attribute)


def load_app(text: str) -> App:
    """Import an application; a router alone is made into one.

    Args:
        text: ``module:attribute``, looked up from the current directory and the installed packages.

    Raises:
        CommandLineError: it cannot be imported, or is no application; the text says why and where.
    """
    found = load(text)
    if isinstance(found, App):
        return found
    return App(getattr(found, "name", parse_spec(text).module) or "app", routers=[found])


def load(text: str) -> Any:
    """Import what ``module:attribute`` names: an App or a built router.

    Raises:
        CommandLineError: it cannot be imported, or is something else.
    """
    spec = parse_spec(text)
    module = _import(spec)
    found = getattr(module, spec.attribute, None)
    if _is_servable(found):
        return found
    candidates = [f"{spec.module}:{name}" for name, value in vars(module).items() if _is_servable(value)]
    if isinstance(found, Router):
        raise wrong_input(
            f"{spec} is a router that is not built", f"{spec.attribute} = Router(...)....build()"
        )
    what = "does not exist" if found is None else f"is {type(found).__name__}, not an application"
    raise wrong_input(f"{spec} {what}", f"there is {', '.join(candidates)}" if candidates else _EXAMPLE)


def _is_servable(value: object) -> bool:
    return isinstance(value, App) or (
        hasattr(value, "__mapping__") and hasattr(value, "handlers") and not isinstance(value, type)
    )


def _import(spec: Spec) -> Any:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(spec.module)
    except (CommandLineError, KeyboardInterrupt):
        raise
    except ModuleNotFoundError as error:
        if error.name and (error.name == spec.module or spec.module.startswith(f"{error.name}.")):
            raise wrong_input(
                f"there is no module {error.name!r}, neither in {here} nor installed",
                "run the command from your project's directory, or set PYTHONPATH",
            ) from None
        raise _import_failed(spec, error) from error
    except (Exception, SystemExit) as error:
        raise _import_failed(spec, error) from error


def _import_failed(spec: Spec, error: BaseException) -> CommandLineError:
    text = error.message if isinstance(error, BuildError | ClientError) else str(error)
    code = error.code if isinstance(error, BuildError | ClientError) else ""
    details = error.details if isinstance(error, BuildError | ClientError) else {}
    shown = ", ".join(f"{key}: {value}" for key, value in details.items())
    reason = f"{type(error).__name__}: {text}" + (f" ({shown})" if shown else "")
    return CommandLineError(
        f"importing {spec.module} failed{_place(error)}: {reason}", code=code, remedy=_remedy(error)
    )


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f" at {_relative(error.filename)}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_users(frame.filename)]
    return f" at {_relative(own[-1].filename)}, line {own[-1].lineno}" if own else ""


def _is_users(filename: str) -> bool:
    if filename.startswith(("<", sys.base_prefix)) or "site-packages" in filename:
        return False
    return not Path(filename).is_relative_to(Path(__file__).resolve().parents[1])


def _relative(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename


def _remedy(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"install what brings {error.name}, or generate it if it comes from protos (angzarr protos compile)"
    return ""


def handlers_of(app: App) -> Sequence[HandlerInfo]:
    """Every handler class of an application."""
    return [info for router in app.routers for info in router.handlers]
