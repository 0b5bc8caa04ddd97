"""Laws of every kind: an answer depends on the request alone, and whatever comes in, the answer is a coded one."""

import gc
from dataclasses import replace

from angzarr.errors import DispatchError
from angzarr.messages import clone, has_field
from angzarr.testing.builders import uuid_for
from angzarr.testing.laws.base import RERUNS, Case, Finding, Law, compare, is_overflow, outcome_parts, part
from angzarr.testing.laws.excuses import is_excused
from angzarr.testing.performing import Outcome, Path, code_of, is_coded
from angzarr.testing.report import error_line
from angzarr.testing.subject import Subject
from angzarr.testing.values import Frozen, freeze
from angzarr.testing.world import World


def everyone(subject: Subject) -> bool:
    """Every kind."""
    return True


def decides(subject: Subject) -> bool:
    """Whether a subject is to keep nothing between requests: all but projectors, which keep views."""
    return subject.info.kind != "projector"


async def _isolation(case: Case, world: World) -> Finding | None:
    first = await case.perform()
    parts = outcome_parts(first)
    await _elsewhere(case)
    between = outcome_parts(await case.perform())
    world.restore()
    await _elsewhere(case)
    after = outcome_parts(await case.perform())
    what = "the same request gets another answer the second time, another aggregate's having come between"
    found = compare(parts, between, what, "first", "then", answers=True)
    if found is None:
        what = "the same request gets another answer after another aggregate's"
        found = compare(parts, after, what, "alone", "after it", answers=True)
    if found is not None and await case.is_steady(world):
        return found
    return await _whim(case, world, first)


async def _elsewhere(case: Case) -> None:
    """Let the same happen to another aggregate, with less before it, and as much; and something else."""
    assert case.when is not None
    other = clone(case.history)
    other.cover.root.value = uuid_for("another aggregate")
    if other.pages and not has_field(other, "snapshot"):
        await case.perform(case.when, part(other, 0, len(other.pages) - 1))
    for when in (case.after, case.when):
        if when is not None:
            await case.perform(replace(when, cover=None if when.cover is None else other.cover), other)


async def _whim(case: Case, world: World, first: Outcome) -> Finding | None:
    """What an event says may be left to chance; whether a command is accepted may not."""
    for seed in range(RERUNS):
        world.restore()
        again = await case.perform(seed=seed)
        if (first.error is None) != (again.error is None):
            shown = [error_line(one.error) for one in (first, again) if one.error is not None]
            return Finding("the same request is now accepted, now refused", tuple(shown))
    return None


async def _path(case: Case, world: World) -> Finding | None:
    """What servers do with bytes, against what ``dispatch`` does with messages."""
    by_bytes = _wherever(await case.perform())
    world.restore()
    by_message = _wherever(await case.perform(path="messages"))
    what = "the answer to bytes is another than the answer to the message"
    found = compare(by_message, by_bytes, what, "message", "bytes", answers=True)
    if found is None or not await case.is_steady(world):
        return None
    ways: tuple[tuple[Path, Frozen], ...] = (("bytes", by_bytes), ("messages", by_message))
    for path, before in ways:
        gc.collect()  # a failed handler's open transaction locks others out until then
        world.restore()
        again = _wherever(await case.perform(path=path))
        if compare(before, again, what, "", "", answers=True) is not None:
            return None
    return found


def _wherever(outcome: Outcome) -> Frozen:
    """All that came; of an error without a code its class, for the two ways raise it in different places."""
    error = outcome.error
    if error is None or code_of(error):
        return outcome_parts(outcome)
    return freeze({"error": type(error).__name__})


async def _coded(case: Case, world: World) -> Finding | None:
    assert case.when is not None
    outcome = await case.perform()
    error = outcome.error or outcome.state_error
    if error is None or is_coded(error) or is_overflow(error, case):
        return None
    if isinstance(error, DispatchError):
        lines = (error_line(error), *(f"{key}: {value}" for key, value in error.extras.items()))
        return Finding("the handler answers what its kind may not", lines)
    if await is_excused(error, case, world):
        return None
    what = "the handler crashed" if outcome.error is not None else "what it emitted cannot be applied"
    return Finding(what, (error_line(error),))


ANSWER_LAWS = (
    Law("isolation", "an answer depends on the request alone", decides, _isolation, follows=True),
    Law("path", "bytes get the answer that the message gets", everyone, _path, garbled=True),
    Law(
        "coded",
        "any payload gets an answer or a coded error, never a crash",
        everyone,
        _coded,
        garbled=True,
        effort=3,
    ),
)
