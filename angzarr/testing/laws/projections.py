"""Laws of projectors: how events are cut into books does not matter, nor how often they come if it says so."""

from dataclasses import replace
from typing import Any as AnyValue

from angzarr.messages import EventBook, frozen
from angzarr.router import ProjectorRouter
from angzarr.testing.laws.base import Case, Finding, Law, compare
from angzarr.testing.performing import trigger_book, trigger_cover
from angzarr.testing.subject import Subject
from angzarr.testing.values import Frozen, differences, freeze
from angzarr.testing.world import World


def projects(subject: Subject) -> bool:
    """Whether a subject is a projector."""
    return subject.info.kind == "projector"


async def _cut(case: Case, world: World) -> Finding | None:
    whole = _book(case)
    if len(whole.pages) < 2:
        return None
    parts = [
        EventBook(cover=whole.cover, pages=[page], next_sequence=page.header.sequence + 1)
        for page in whole.pages
    ]
    at_once, one_by_one = await _both_seen(case, world, [whole], parts)
    if at_once is None or one_by_one is None:
        return None
    what = "shown one by one, the same events give another view"
    found = compare(at_once, one_by_one, what, "at once", "one by one")
    return found if found is not None and await _is_steady(case, world, [whole], at_once) else None


async def _idempotence(case: Case, world: World) -> Finding | None:
    if not case.idempotent:
        return None
    whole = _book(case)
    once, twice = await _both_seen(case, world, [whole], [whole, whole])
    if once is None or twice is None:
        return None
    what = "shown twice, the same events give another view, though the projector is declared idempotent"
    found = compare(once, twice, what, "once", "twice")
    return found if found is not None and await _is_steady(case, world, [whole], once) else None


def _book(case: Case) -> EventBook:
    assert case.when is not None
    return trigger_book(replace(case.when, sequence=0), trigger_cover(case.subject, case.when), case.at)


async def _both_seen(
    case: Case, world: World, first: list[EventBook], second: list[EventBook]
) -> tuple[Frozen | None, Frozen | None]:
    """What the projector holds after the one and after the other; None where that cannot be told.

    It cannot where a book makes it fail, or where the view is kept somewhere that cannot be put back, such as a file.
    """
    world.restore()
    start = freeze(await _view(case))
    after_first = await _seen(case, world, first)
    world.restore()
    if differences(start, freeze(await _view(case))):
        return None, None
    return after_first, await _seen(case, world, second)


async def _is_steady(case: Case, world: World, books: list[EventBook], view: Frozen) -> bool:
    """Whether the view is the same again: one may hold when it was made, or a made-up identifier."""
    again = await _seen(case, world, books)
    return again is not None and not differences(view, again)


async def _seen(case: Case, world: World, books: list[EventBook]) -> Frozen | None:
    world.restore()
    router = case.subject.router
    assert isinstance(router, ProjectorRouter)
    with frozen(case.at):
        try:
            for book in books:
                await router.dispatch(book)
        except Exception:  # whether it may fail is the law "coded"'s business
            return None
        return freeze(await _view(case))


async def _view(case: Case) -> AnyValue:
    instance = await case.subject.instance()
    return instance if case.observe is None else case.observe(instance)


PROJECTION_LAWS = (
    Law("cut", "how events are cut into books makes no difference", projects, _cut, several=True),
    Law(
        "idempotence",
        "events shown twice count once, if the projector says so",
        projects,
        _idempotence,
        several=True,
    ),
)
