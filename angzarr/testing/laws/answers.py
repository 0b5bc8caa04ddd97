"""Laws of every kind: an answer depends on the request alone, and whatever comes in, the answer is a coded one."""

from dataclasses import replace

from grpclib.const import Status

from angzarr.codec import EncodeError
from angzarr.errors import CommandRejectedError, DispatchError
from angzarr.messages import clone
from angzarr.testing.builders import uuid_for
from angzarr.testing.laws.base import Case, Finding, Law, compare, is_absurd, outcome_parts
from angzarr.testing.performing import code_of, unpacked
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
    return compare(outcome_parts(first), outcome_parts(second), what, "first", "then", answers=True)


async def _coded(case: Case, world: World) -> Finding | None:
    assert case.when is not None
    outcome = await case.perform()
    error = outcome.error or outcome.state_error
    if error is None or _is_honest(error) or _is_overflow(error, case) or _misses_the_past(error, case):
        return None
    if isinstance(error, DispatchError):
        lines = (error_line(error), *(f"{key}: {value}" for key, value in error.extras.items()))
        return Finding("the handler answers what its kind may not", lines)
    what = "the handler crashed" if outcome.error is not None else "what it emitted cannot be applied"
    return Finding(what, (error_line(error),))


def _is_honest(error: Exception) -> bool:
    if isinstance(error, DispatchError):
        return error.status is not Status.INTERNAL
    return isinstance(error, CommandRejectedError) or bool(code_of(error))


def _misses_the_past(error: Exception, case: Case) -> bool:
    """Whether a projector was shown an event without those that come before it in any real history."""
    return case.subject.info.kind == "projector" and isinstance(error, LookupError)


def _is_overflow(error: Exception, case: Case) -> bool:
    assert case.when is not None
    happened = (*case.when.messages, *unpacked(case.history.pages))
    return isinstance(
        error, EncodeError | OverflowError | MemoryError | ArithmeticError | ValueError
    ) and any(map(is_absurd, happened))


ANSWER_LAWS = (
    Law("isolation", "an answer depends on the request alone", decides, _isolation, follows=True),
    Law(
        "coded", "any payload gets an answer or a coded error, never a crash", everyone, _coded, garbled=True
    ),
)
