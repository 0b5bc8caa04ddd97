"""Laws of sagas and process managers: every page counts, and commands go where they were declared to go."""

from dataclasses import replace

import betterproto

from angzarr.messages import CommandBook, EventBook, any_of
from angzarr.testing.fields import fields_of
from angzarr.testing.laws.base import RERUNS, Case, Finding, Law, compare, outcome_parts
from angzarr.testing.performing import Outcome, extended, open_any
from angzarr.testing.report import addressed
from angzarr.testing.source import Source
from angzarr.testing.subject import Subject
from angzarr.testing.values import freeze
from angzarr.testing.world import World


def reacts(subject: Subject) -> bool:
    """Whether a subject sends commands to others."""
    return subject.info.kind in {"saga", "process_manager"}


async def _pages(case: Case, world: World) -> Finding | None:
    assert case.when is not None
    if case.when.kind != "event" or len(case.when.messages) < 2:
        return None
    at_once = await case.perform()
    if at_once.error is not None or at_once.state_error is not None or not await case.is_settled(world):
        return None
    world.restore()
    history, commands, facts = case.history, [], []
    for offset, message in enumerate(case.when.messages):
        outcome = await case.perform(replace(case.when, messages=(message,), sequence=offset), history)
        if outcome.error is not None:
            return None
        commands += outcome.commands
        facts += outcome.facts
        history = extended(history, outcome.events)
    return compare(
        freeze([at_once.commands, at_once.facts]),
        freeze([commands, facts]),
        "events of one book give other commands than the same events one by one",
        "at once",
        "one by one",
    )


async def _targets(case: Case, world: World) -> Finding | None:
    outcome = await case.perform()
    allowed = case.subject.info.targets
    for book in outcome.commands:
        shown = addressed(Source(), book)
        if book.cover.domain not in allowed:
            return Finding(
                f"a command goes to a domain that is not among the targets {', '.join(allowed)}", (shown,)
            )
        if len(book.cover.root.value) != 16 and _names_roots(case):
            return Finding("a command goes to a root that is not 16 bytes long", (shown,))
        if not book.pages or any(any_of(page) is None for page in book.pages):
            return Finding("a command book holds no command", (shown,))
        for page in book.pages:
            payload = any_of(page)
            assert payload is not None
            if open_any(payload) is payload:
                return Finding("a command is of an unknown type, or not an encoding of its type", (shown,))
    return None


async def _redelivery(case: Case, world: World) -> Finding | None:
    """Events come at least once; commands that go elsewhere the second time are taken for others.

    A saga keeps nothing, so whoever gets its commands can only know one again by what it says: it makes up nothing.
    """
    is_saga = case.subject.info.kind == "saga"
    first = await case.perform()
    for seed in range(1, RERUNS):
        world.restore()
        again = await case.perform(seed=seed)
        found = compare(
            freeze(_addresses(first)), freeze(_addresses(again)), "", "first", "again"
        ) or compare(outcome_parts(first), outcome_parts(again), "", "first", "again", answers=True)
        if found is None and is_saga:
            said = freeze(first.commands), freeze(again.commands)
            found = compare(*said, "", "first", "again", times=True)
        if found is not None:
            return replace(found, what="delivered again, the same event gets another answer")
    return None


def _addresses(outcome: Outcome) -> list[tuple[str, bytes]]:
    books: list[CommandBook | EventBook] = [*outcome.commands, *outcome.facts]
    return [(book.cover.domain, book.cover.root.value) for book in books]


def _names_roots(case: Case) -> bool:
    """Whether every byte field of what happened could be a root: nothing better comes of a wrong one."""
    assert case.when is not None
    return all(
        len(getattr(message, field.name)) == 16
        for message in case.when.messages
        for field in fields_of(type(message))
        if field.proto_type == betterproto.TYPE_BYTES and not field.repeated and field.group is None
    )


REACTION_LAWS = (
    Law(
        "pages", "events of one book get the commands that they get one by one", reacts, _pages, several=True
    ),
    Law("targets", "commands are whole, and go to declared targets", reacts, _targets),
    Law("redelivery", "the same event gets the same answer when it comes again", reacts, _redelivery),
)
