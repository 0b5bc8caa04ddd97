"""``angzarr fuzz``: looking for bugs for a while."""

import itertools
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from angzarr.cli import options
from angzarr.cli.errors import FAILED, require_extra, wrong_input
from angzarr.cli.loading import Spec, load_app, parse_spec
from angzarr.cli.output import write_json, write_line

if TYPE_CHECKING:
    from angzarr.app import App

app: typer.Typer = typer.Typer(rich_markup_mode="markdown", add_completion=False)

_PASTE = "as a test to paste:\n\n"
_REACTING = frozenset({"saga", "process_manager", "projector"})
_REPEAT = """from hypothesis import seed

from angzarr.testing import {maker}
from {module} import {name}

Machine = seed({{seed}})({maker}({name}, max_examples={{effort}}))
TestFound = Machine.TestCase
"""


@dataclass(frozen=True, slots=True)
class Search:
    """One thing to look for.

    Attributes:
        name: the law and the handler.
        run: looks once; the arguments say how hard, and with which seed.
        repeat: a test that looks for the same once more, with ``{seed}`` and ``{effort}`` to be filled in.
    """

    name: str
    run: Callable[[int, int], None]
    repeat: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came upon.

    Attributes:
        search: which.
        story: the whole story.
        test: a pytest file that shows it.
    """

    search: Search
    story: str
    test: str


@app.command(name="fuzz", no_args_is_help=True)
def fuzz(
    spec: options.AppSpec,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to look.")] = 60.0,
    seed: Annotated[
        int | None, typer.Option(help="Repeat an earlier search.", show_default="a random one")
    ] = None,
    law: Annotated[
        list[str] | None, typer.Option(help="Only this law; may be repeated.", show_default=False)
    ] = None,
    keep: Annotated[Path, typer.Option(help="Directory that a test of what was found is written to.")] = Path(
        ".angzarr", "fuzz"
    ),
    as_json: options.Json = False,
) -> None:
    """Look for bugs: histories and commands that break a law which every handler has to keep.

    Handlers are tried one by one against the laws of `angzarr.testing.router_laws`, and as machines that live through
    random commands, with more and more examples until the time is up. What is found is made as short as possible,
    shown, and kept as a pytest file; the next search tries it first. Exits with 1 when something was found.

    Examples:

        angzarr fuzz players:app
        angzarr fuzz players:app --seconds 600 --law replay
    """
    loaded = load_app(spec)
    chosen = seed if seed is not None else random.SystemRandom().randrange(2**32)
    searches = list(_searches(loaded, parse_spec(spec), law or []))
    if not searches:
        raise wrong_input(f"there is nothing to try in {spec}", "the application needs handlers")
    if not as_json:
        write_line((f"{len(searches)} searches, {seconds:g} s, seed {chosen}", "dim"))
    with _remembering(keep):
        found, rounds = _look(_kept_first(searches, keep), seconds, chosen)
    if found is None:
        _tell_nothing(rounds, seconds, chosen, as_json=as_json)
        return
    file = _keep(keep, found)
    if as_json:
        write_json({"found": found.search.name, "story": found.story, "file": str(file), "seed": chosen})
    else:
        write_line((f"{found.search.name} does not hold", "bold red"))
        write_line((found.story, ""))
        write_line((f"\nkept as {file}; run it with: python -m pytest {file}", "cyan"))
    raise typer.Exit(FAILED)


def _searches(loaded: "App", spec: Spec, laws: list[str]) -> Iterator[Search]:
    with require_extra("testing"):
        from angzarr.testing.laws import LAWS, BoundLaw, laws_of
    unknown = [name for name in laws if name not in LAWS]
    if unknown:
        raise wrong_input(f"there is no law {unknown[0]!r}", f"the laws are {', '.join(LAWS)}")

    def look(bound: BoundLaw) -> Callable[[int, int], None]:
        return lambda effort, seed: BoundLaw(bound.law, bound.subject, bound.options, effort, seed)()

    for router in loaded.routers:
        for bound in laws_of(router):
            if not laws or bound.law.name in laws:
                yield Search(f"{bound.subject.name} {bound.law.name}", look(bound))
        if not laws and any(info.kind == "command_handler" and info.handles for info in router.handlers):
            cls = router.handlers[0].cls
            yield _machine_search(
                f"{cls.__name__} machine", "aggregate_machine", router, cls.__module__, cls.__name__
            )
    reacts = any(info.kind in _REACTING for router in loaded.routers for info in router.handlers)
    if not laws and reacts:
        yield _machine_search(
            "application machine", "application_machine", loaded, spec.module, spec.attribute
        )


def _machine_search(title: str, maker: str, subject: Any, module: str, name: str) -> Search:
    import hypothesis
    from hypothesis.stateful import run_state_machine_as_test

    def run(effort: int, seed: int) -> None:
        made = getattr(import_module("angzarr.testing"), maker)(subject, max_examples=effort)
        machine = hypothesis.seed(seed)(made)
        run_state_machine_as_test(machine, settings=machine.TestCase.settings)

    return Search(title, run, _REPEAT.format(maker=maker, module=module, name=name))


@contextmanager
def _remembering(keep: Path) -> Iterator[None]:
    """Let hypothesis keep the examples that fail beside the tests, whatever else it is told, and try them first."""
    from hypothesis import settings
    from hypothesis.database import DirectoryBasedExampleDatabase

    before = settings.get_current_profile_name()
    database = DirectoryBasedExampleDatabase(keep / "examples")
    settings.register_profile("angzarr-fuzz", settings(), database=database, derandomize=False)
    settings.load_profile("angzarr-fuzz")
    try:
        yield
    finally:
        settings.load_profile(before)


def _kept_first(searches: list[Search], keep: Path) -> list[Search]:
    return sorted(searches, key=lambda search: not _file_of(search, keep).exists())


def _look(searches: list[Search], seconds: float, seed: int) -> tuple[Found | None, int]:
    end = time.monotonic() + seconds
    cost = dict.fromkeys((search.name for search in searches), 0.0)
    for rounds in itertools.count():
        for search in searches:
            started = time.monotonic()
            if started >= end:
                return None, rounds
            effort = _effort(rounds, cost[search.name], end - started)
            of_round = (seed + rounds) % 2**32
            try:
                search.run(effort, of_round)
            except Exception as error:
                return _found(search, error, of_round, effort), rounds
            cost[search.name] = (time.monotonic() - started) / effort
    raise AssertionError("unreachable")


def _found(search: Search, error: Exception, seed: int, effort: int) -> Found:
    told = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    story = "\n\n".join([told.rstrip(), *getattr(error, "__notes__", [])])
    _, marker, rest = story.partition(_PASTE)
    if marker:
        return Found(search, story, rest.partition("\n\nrerun with")[0].rstrip() + "\n")
    return Found(search, story, search.repeat.format(seed=seed, effort=effort))


def _effort(rounds: int, cost: float, left: float) -> int:
    """How many examples to try: twice as many each round, and no more than there is time for."""
    wanted = min(10 * 2**rounds, 1000)
    return wanted if cost * wanted <= left else max(1, int(left / cost))


def _tell_nothing(rounds: int, seconds: float, seed: int, *, as_json: bool) -> None:
    if as_json:
        write_json({"found": None, "rounds": rounds, "seconds": seconds, "seed": seed})
    else:
        write_line((f"nothing found in {seconds:g} s and {rounds} full rounds", "green"))


def _keep(directory: Path, found: Found) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    file = _file_of(found.search, directory)
    head = f'"""Found by `angzarr fuzz`: {found.search.name} does not hold."""\n\n'
    file.write_text(head + found.test, encoding="utf-8")
    return file


def _file_of(search: Search, directory: Path) -> Path:
    return directory / f"test_{re.sub(r'[^a-z0-9]+', '_', search.name.lower())}.py"
