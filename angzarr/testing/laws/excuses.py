"""Crashes that are not held against a handler, because nothing that happens in truth would cause them.

Commands come from anywhere, so command handlers have no excuse. What the other kinds are shown are events, which an
aggregate has accepted, and which come after those that came before.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import InvalidOperation
from itertools import permutations

import betterproto

from angzarr.messages import Any, clone
from angzarr.testing.fields import fields_of, is_set
from angzarr.testing.laws.base import Case
from angzarr.testing.performing import When, extended
from angzarr.testing.world import World

_TEXTS = ("1", "00000000-0000-0000-0000-000000000001", "2026-01-01T12:00:00+00:00", "{}", "A")
_ROOT = bytes(15) + b"\x01"
_UNPACKING = ("not enough values", "too many values")
_MOST = 40


async def is_excused(error: Exception, case: Case, world: World) -> bool:
    """Whether a crash is one that only an event causes which no aggregate stores, or one without its past."""
    if case.subject.info.kind == "command_handler":
        return False
    if _reads_text(error) and await _passes_with_readable_text(case, world):
        return True
    if case.subject.info.kind in {"projector", "process_manager"}:
        return _is_storage(error) or await _passes_with_a_past(case, world)
    return False


def _reads_text(error: Exception) -> bool:
    """Whether it comes of reading a text as a number, an identifier, a date."""
    if isinstance(error, InvalidOperation):
        return True
    return isinstance(error, ValueError) and not str(error).startswith(_UNPACKING)


def _is_storage(error: Exception) -> bool:
    """Whether a database refuses: a key that is there already, a row that is not."""
    return not isinstance(error, ValueError | ArithmeticError) and type(error).__module__ != "builtins"


async def _passes_with_readable_text(case: Case, world: World) -> bool:
    assert case.when is not None
    for text in _TEXTS:
        happened = tuple(_with_text(message, text) for message in case.when.messages)
        if await _passes(case, replace(case.when, messages=happened), (), world):
            return True
    return False


def _with_text(message: betterproto.Message, text: str) -> betterproto.Message:
    if isinstance(message, Any):
        return message
    better = clone(message)
    for field in fields_of(type(better)):
        if field.repeated or field.key_type is not None or (field.group and not is_set(better, field)):
            continue
        if field.proto_type == betterproto.TYPE_STRING:
            setattr(better, field.name, text)
        elif field.proto_type == betterproto.TYPE_BYTES:
            setattr(better, field.name, _ROOT)
    return better


async def _passes_with_a_past(case: Case, world: World) -> bool:
    assert case.when is not None
    for past in _pasts(case):
        if await _passes(case, case.when, past, world):
            return True
    return False


def _pasts(case: Case) -> Iterator[tuple[betterproto.Message, ...]]:
    """Some events that may have come before, in several orders, about the same things as the event itself."""
    assert case.when is not None
    like = case.when.messages[0] if case.when.messages else Any()
    events = [_about_the_same(cls, like) for cls in case.subject.info.handles.values()]
    for count in range(1, min(3, len(events)) + 1):
        for number, chosen in enumerate(permutations(events, count)):
            if number >= _MOST:
                break
            yield chosen


def _about_the_same(cls: type[betterproto.Message], like: betterproto.Message) -> betterproto.Message:
    known = {field.name: field.proto_type for field in fields_of(type(like)) if not field.group}
    event = _with_text(cls(), "1")
    for field in fields_of(cls):
        if not field.group and known.get(field.name) == field.proto_type:
            setattr(event, field.name, getattr(like, field.name))
    return event


async def _passes(case: Case, when: When, past: tuple[betterproto.Message, ...], world: World) -> bool:
    """Whether it goes well after some events."""
    world.restore()
    if case.subject.info.kind == "projector":  # one book, for its instance may last no longer
        outcome = await case.perform(replace(when, messages=(*past, *when.messages)))
        return outcome.error is None
    history = case.history
    for event in past:
        outcome = await case.perform(replace(when, messages=(event,), kind="event"), history)
        if outcome.error is not None or outcome.state_error is not None:
            return False
        history = extended(history, outcome.events)
    outcome = await case.perform(when, history)
    return outcome.error is None and outcome.state_error is None
