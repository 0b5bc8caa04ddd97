"""Laws checked on one given example: what ``then_obeys`` of a scenario does."""

from datetime import datetime

import betterproto

from angzarr.errors import InvalidArgumentError
from angzarr.messages import EventBook
from angzarr.testing.expectations import Expectation, Problem
from angzarr.testing.laws import LAWS
from angzarr.testing.laws.base import Case, Law, checked
from angzarr.testing.performing import Outcome, When
from angzarr.testing.subject import Subject
from angzarr.testing.world import World


def law_named(name: str, subject: Subject) -> Law:
    """The law of that name, if it binds the subject.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, there is no such law, or it does not bind.
    """
    law = LAWS.get(name)
    if law is None:
        raise InvalidArgumentError(f"there is no law {name!r}; the laws are {', '.join(LAWS)}")
    if not law.binds(subject):
        kind = subject.info.kind.replace("_", " ")
        raise InvalidArgumentError(f"the law {name!r} does not bind {subject.name}, a {kind}")
    return law


def obedience(
    name: str, subject: Subject, when: When | None, after: betterproto.Message | None, at: datetime
) -> Expectation:
    """That a law holds for an example.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, there is no such law, it does not bind, or it speaks of something that
            happens and nothing does.
    """
    law = law_named(name, subject)
    if law.acts and when is None:
        raise InvalidArgumentError(f"the law {name!r} is about something that happens: say when(...) first")
    following = None
    if law.follows:
        kind = when.kind if when is not None and when.kind != "rejection" else "command"
        following = when if after is None else When(kind, (after,))

    async def check(_outcome: Outcome, actual: Subject, history: EventBook) -> Problem | None:
        world = World(actual)
        idempotent = bool(getattr(actual.info.cls, "idempotent", False))
        case = Case(actual, history, when, following, at, idempotent=idempotent)
        finding = await checked(law, case, world)
        world.restore()
        return None if finding is None else Problem(finding.what, [law.says], list(finding.lines))

    return Expectation(check)
