"""``angzarr fuzz``: looking for bugs for a while."""

import itertools
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from angzarr.cli import options
from angzarr.cli.errors import FAILED, require_extra, wrong_input
from angzarr.cli.loading import load_app
from angzarr.cli.output import write_json, write_line

if TYPE_CHECKING:
    from angzarr.app import App

app: typer.Typer = typer.Typer(rich_markup_mode="markdown", add_completion=False)

_PASTE = "as a test to paste:\n\n"


@dataclass(frozen=True, slots=True)
class Search:
    """One thing to look for.

    Attributes:
        name: the law and the handler.
        run: looks once; the argument says how hard.
    """

    name: str
    run: Callable[[int], None]


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
    shown, and kept as a pytest file. Exits with 1 when something was found.

    Examples:

        angzarr fuzz players:app
        angzarr fuzz players:app --seconds 600 --law replay
    """
    loaded = load_app(spec)
    chosen = seed if seed is not None else random.SystemRandom().randrange(2**32)
    searches = list(_searches(loaded, law or []))
    if not searches:
        raise wrong_input(f"there is nothing to try in {spec}", "the application needs handlers")
    if not as_json:
        write_line((f"{len(searches)} searches, {seconds:g} s, seed {chosen}", "dim"))
    found, rounds = _look(searches, seconds, chosen)
    if found is None:
        _tell_nothing(rounds, seconds, chosen, as_json=as_json)
        return
    search, error = found
    file = _kept(keep, search.name, str(error))
    if as_json:
        write_json(
            {"found": search.name, "story": str(error), "file": str(file) if file else None, "seed": chosen}
        )
    else:
        write_line((f"{search.name} does not hold", "bold red"))
        write_line((str(error), ""))
        if file is not None:
            write_line((f"\nkept as {file}; run it with: python -m pytest {file}", "cyan"))
    raise typer.Exit(FAILED)


def _searches(loaded: "App", laws: list[str]) -> Iterator[Search]:
    with require_extra("testing"):
        from angzarr.testing.laws import LAWS, BoundLaw, laws_of
    unknown = [name for name in laws if name not in LAWS]
    if unknown:
        raise wrong_input(f"there is no law {unknown[0]!r}", f"the laws are {', '.join(LAWS)}")

    def look(bound: BoundLaw) -> Callable[[int], None]:
        return lambda effort: BoundLaw(bound.law, bound.subject, bound.options, effort)()

    for router in loaded.routers:
        for bound in laws_of(router):
            if not laws or bound.law.name in laws:
                yield Search(f"{bound.subject.name} {bound.law.name}", look(bound))
        if not laws and any(info.kind == "command_handler" and info.handles for info in router.handlers):
            yield Search(f"{router.handlers[0].cls.__name__} machine", _machine(router))


def _machine(router: Any) -> Callable[[int], None]:
    from hypothesis.stateful import run_state_machine_as_test

    from angzarr.testing.machines import aggregate_machine

    def run(effort: int) -> None:
        machine = aggregate_machine(router, max_examples=effort)
        run_state_machine_as_test(machine, settings=machine.TestCase.settings)

    return run


def _look(
    searches: list[Search], seconds: float, seed: int
) -> tuple[tuple[Search, AssertionError] | None, int]:
    core: Any = import_module("hypothesis.core")
    end = time.monotonic() + seconds
    cost = dict.fromkeys((search.name for search in searches), 0.0)
    for rounds in itertools.count():
        for search in searches:
            started = time.monotonic()
            if started >= end:
                return None, rounds
            effort = _effort(rounds, cost[search.name], end - started)
            core.global_force_seed = (seed + rounds) % 2**32
            try:
                search.run(effort)
            except AssertionError as error:
                return (search, error), rounds
            cost[search.name] = (time.monotonic() - started) / effort
    raise AssertionError("unreachable")


def _effort(rounds: int, cost: float, left: float) -> int:
    """How many examples to try: twice as many each round, and no more than there is time for."""
    wanted = min(10 * 2**rounds, 1000)
    return wanted if cost * wanted <= left else max(1, int(left / cost))


def _tell_nothing(rounds: int, seconds: float, seed: int, *, as_json: bool) -> None:
    if as_json:
        write_json({"found": None, "rounds": rounds, "seconds": seconds, "seed": seed})
    else:
        write_line((f"nothing found in {seconds:g} s and {rounds} full rounds", "green"))


def _kept(directory: Path, name: str, story: str) -> Path | None:
    _, marker, rest = story.partition(_PASTE)
    if not marker:
        return None
    code = rest.partition("\n\nrerun with")[0].rstrip()
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"test_{re.sub(r'[^a-z0-9]+', '_', name.lower())}.py"
    file.write_text(f'"""Found by `angzarr fuzz`: {name} does not hold."""\n\n{code}\n', encoding="utf-8")
    return file
