"""Laws of upcasters: each event becomes one event in its place, by itself, and stays what it then is."""

from dataclasses import replace

from angzarr.messages import Any, any_of, frozen, full_name, type_name_from_url
from angzarr.testing.laws.base import Case, Finding, Law, compare
from angzarr.testing.laws.excuses import is_excused
from angzarr.testing.performing import Outcome, When, open_any
from angzarr.testing.purity import noticed
from angzarr.testing.report import error_line
from angzarr.testing.source import Source
from angzarr.testing.subject import Subject
from angzarr.testing.values import freeze
from angzarr.testing.world import World, packages_of


def upcasts(subject: Subject) -> bool:
    """Whether a subject is an upcaster."""
    return subject.info.kind == "upcaster"


async def _count(case: Case, world: World) -> Finding | None:
    assert case.when is not None
    at_once = await case.perform()
    if at_once.error is not None:
        if await is_excused(at_once.error, case, world):
            return None
        return Finding("an event could not be upcast, and so is lost", (error_line(at_once.error),))
    if len(at_once.events) != len(case.when.messages):
        return Finding(f"{len(case.when.messages)} events became {len(at_once.events)}")
    came = [page.header.sequence for page in at_once.events]
    if came != list(range(len(came))):
        return Finding("the sequences are others than before", (f"came {came}",))
    one_by_one = []
    for message in case.when.messages:
        world.restore()
        one_by_one += (await case.perform(When("event", (message,)))).messages
    what = "an event becomes something else when others come with it"
    return compare(freeze(one_by_one), freeze(at_once.messages), what, "by itself", "among others")


async def _upcast_again(case: Case, world: World) -> Finding | None:
    once = await case.perform()
    if once.error is not None:
        return None
    again = replace(case, when=When("event", tuple(map(open_any, _payloads(once)))))
    twice = await again.perform()
    if twice.error is not None:
        if await is_excused(twice.error, again, world):
            return None
        return Finding("what was upcast cannot be upcast again", (error_line(twice.error),))
    what = "upcast again, an event becomes something else"
    return compare(freeze(once.messages), freeze(twice.messages), what, "once", "twice")


def _payloads(outcome: Outcome) -> list[Any]:
    return [payload for page in outcome.events if (payload := any_of(page)) is not None]


async def _types(case: Case, world: World) -> Finding | None:
    """Followed through the declared steps, each old event ends as the declared type."""
    assert case.when is not None
    outcome = await case.perform()
    if outcome.error is not None:
        return None
    for message, payload in zip(case.when.messages, _payloads(outcome), strict=False):
        expected = _expected_type(case.subject, full_name(type(message)))
        came = type_name_from_url(payload.type_url)
        if came != expected:
            shown = f"{Source().value(message)} became {Source().value(open_any(payload))}"
            return Finding(f"an event becomes {came}, though {expected} is declared", (shown,))
    return None


def _expected_type(subject: Subject, name: str) -> str:
    for compiled, _ in subject.router.entries:
        if compiled.info.domain == subject.info.domain:
            steps = {full_name(old): full_name(new) for old, new in reversed(compiled.info.upcasts)}
            name = steps.get(name, name)
    return name


async def _purity(case: Case, world: World) -> Finding | None:
    first = await case.perform()
    with frozen(case.at), noticed(packages_of(case.subject)) as impure:
        then = await case.perform()
    what = "the same events became something else the second time"
    return compare(freeze(first.messages), freeze(then.messages), what, "first", "then") or (
        Finding("an upcaster is not pure", tuple(impure)) if impure else None
    )


UPCAST_LAWS = (
    Law("count", "every event becomes one event in its place, by itself", upcasts, _count, several=True),
    Law("upcast_again", "upcasting twice equals upcasting once", upcasts, _upcast_again, several=True),
    Law("types", "an event becomes what is declared", upcasts, _types, several=True),
    Law("purity", "upcasting depends on the event alone", upcasts, _purity, several=True),
)
