"""Calling a handler's method as the router does, but looking at what it is given and what it returns."""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any as AnyValue

import betterproto

from angzarr.codec import decode, encode
from angzarr.destinations import Destinations
from angzarr.messages import (
    BusinessResponse,
    CommandBook,
    Cover,
    EventBook,
    frozen,
    full_name,
)
from angzarr.router import ProcessManagerResponse, SagaHandlerResponse
from angzarr.router.calls import Method, invoke
from angzarr.testing.performing import When, rejection_of, trigger_cover
from angzarr.testing.values import Frozen, freeze

if TYPE_CHECKING:
    from angzarr.testing.laws.base import Case

_CONTAINERS = (EventBook, CommandBook, BusinessResponse)


@dataclass(frozen=True)
class Called:
    """One call of a handler's method.

    Attributes:
        method: which.
        before: the state as it was given.
        after: the same object afterwards.
        result: what it returned; None if it raised.
        error: what it raised, or None.
    """

    method: Method
    before: Frozen
    after: Frozen
    result: AnyValue = None
    error: Exception | None = None


async def call_directly(case: "Case") -> list[Called]:
    """Call each method that what happens in a case reaches, on a state rebuilt from its history."""
    when = case.when
    assert when is not None
    called = []
    for method, message in _reached(case, when):
        with frozen(case.at):
            random.seed(0)
            state = await case.subject.rebuild(case.history)
            called.append(await _call(case, method, message, state, when))
    return called


def _reached(case: "Case", when: When) -> list[tuple[Method, betterproto.Message]]:
    compiled = case.subject.compiled
    if when.kind == "rejection":
        news = rejection_of(when, when.cover or case.history.cover, case.at)
        return [(method, news) for method in compiled.rejected.get(when.refused, ())]
    table = compiled.facts if when.kind == "fact" else compiled.handles
    return [
        (method, decode(type(message), encode(message)))
        for message in when.messages[:1]
        for method in table.get(full_name(type(message)), ())
    ]


async def _call(case: "Case", method: Method, message: AnyValue, state: AnyValue, when: When) -> Called:
    cover = (
        case.history.cover
        if case.subject.info.kind == "command_handler"
        else trigger_cover(case.subject, when)
    )
    destinations = Destinations(dict(when.destinations), source=cover)

    def extra(name: str) -> AnyValue:
        if name == "destinations":
            return destinations
        return {"source_seq": 0, "correlation_id": cover.correlation_id}.get(name, _copy(cover))

    last = case.history.next_sequence if case.subject.info.kind == "command_handler" else destinations
    standard = (message, state, last)
    before = freeze(state)
    try:
        result = await invoke(method, await case.subject.instance(), standard, extra)
    except Exception as error:
        return Called(method, before, freeze(state), error=error)
    return Called(method, before, freeze(state), result)


def _copy(cover: Cover) -> Cover:
    return decode(Cover, encode(cover))


def returned_events(result: AnyValue) -> list[betterproto.Message]:
    """The plain event messages among what a method returned; books hold packed ones, which have survived already."""
    if isinstance(result, ProcessManagerResponse | SagaHandlerResponse | None):
        return []
    items = result if isinstance(result, list | tuple) else [result]
    return [
        item for item in items if isinstance(item, betterproto.Message) and not isinstance(item, _CONTAINERS)
    ]
