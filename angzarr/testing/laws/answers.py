"""Laws of every kind: an answer depends on the request alone, and whatever comes in, the answer is a coded one."""

from dataclasses import replace

import grpclib
from grpclib.const import Status

from angzarr.codec import EncodeError
from angzarr.errors import CommandRejectedError, DispatchError
from angzarr.messages import clone
from angzarr.testing.builders import uuid_for
from angzarr.testing.laws.base import RERUNS, Case, Finding, Law, compare, is_absurd, outcome_parts
from angzarr.testing.laws.excuses import is_excused
from angzarr.testing.performing import Outcome, code_of, unpacked
from angzarr.testing.report import error_line
from angzarr.testing.subject import Subject
from angzarr.testing.world import World


def everyone(subject: Subject) -> bool:
    """Every kind."""
    return True


def decides(subject: Subject) -> bool:
    """Whether a subject is to keep nothing between requests: all but projectors, which keep views."""
    return subject.info.kind != "projector"


async def _isolation(case: Case, world: World) -> Finding | None:
    first = await case.perform()
    if case.after is not None:
        elsewhere = clone(case.history)
        elsewhere.cover.root.value = uuid_for("another aggregate")
        whose = case.after if case.after.cover is None else replace(case.after, cover=elsewhere.cover)
        await case.perform(whose, elsewhere)
    second = await case.perform()
    what = "the same request gets another answer the second time, another aggregate's having come between"
    found = compare(outcome_parts(first), outcome_parts(second), what, "first", "then", answers=True)
    if found is not None and await case.is_steady(world):
        return found
    return await _whim(case, world, first)


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
    by_bytes = await case.perform()
    world.restore()
    by_message = await case.perform(path="messages")
    what = "the answer to bytes is another than the answer to the message"
    found = compare(
        outcome_parts(by_message), outcome_parts(by_bytes), what, "message", "bytes", answers=True
    )
    return found if found is not None and await case.is_steady(world) else None


async def _coded(case: Case, world: World) -> Finding | None:
    assert case.when is not None
    outcome = await case.perform()
    error = outcome.error or outcome.state_error
    if error is None or _is_honest(error) or _is_overflow(error, case):
        return None
    if isinstance(error, DispatchError):
        lines = (error_line(error), *(f"{key}: {value}" for key, value in error.extras.items()))
        return Finding("the handler answers what its kind may not", lines)
    if await is_excused(error, case, world):
        return None
    what = "the handler crashed" if outcome.error is not None else "what it emitted cannot be applied"
    return Finding(what, (error_line(error),))


def _is_honest(error: Exception) -> bool:
    if isinstance(error, DispatchError | grpclib.GRPCError):
        return error.status not in {Status.INTERNAL, Status.UNKNOWN}
    return isinstance(error, CommandRejectedError) or bool(code_of(error))


def _is_overflow(error: Exception, case: Case) -> bool:
    assert case.when is not None
    happened = (*case.when.messages, *unpacked(case.history.pages))
    return isinstance(
        error, EncodeError | OverflowError | MemoryError | ArithmeticError | ValueError
    ) and any(map(is_absurd, happened))


ANSWER_LAWS = (
    Law("isolation", "an answer depends on the request alone", decides, _isolation, follows=True),
    Law("path", "bytes get the answer that the message gets", everyone, _path, garbled=True),
    Law(
        "coded", "any payload gets an answer or a coded error, never a crash", everyone, _coded, garbled=True
    ),
)
