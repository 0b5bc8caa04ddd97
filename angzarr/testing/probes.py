"""Trying which commands an aggregate is likely to accept, so that random lives are lives and not lists of refusals."""

import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any as AnyValue

import betterproto
from betterproto.lib.google.protobuf import Any

from angzarr.messages import EventBook
from angzarr.testing.fields import Field, fields_of
from angzarr.testing.performing import When, is_coded, perform
from angzarr.testing.scenarios import DEFAULT_AT
from angzarr.testing.subject import Subject

_DEEPEST = 3
_SCALARS: Mapping[str, AnyValue] = {
    betterproto.TYPE_STRING: "a",
    betterproto.TYPE_BYTES: bytes(15) + b"\x01",
    betterproto.TYPE_BOOL: True,
    betterproto.TYPE_FLOAT: 1.0,
    betterproto.TYPE_DOUBLE: 1.0,
}


def samples(cls: type[betterproto.Message]) -> Iterator[betterproto.Message]:
    """A message of a class with everything set to something small, and one with nothing set."""
    yield _filled(cls, 0)
    yield cls()


def _filled(cls: type[betterproto.Message], depth: int) -> betterproto.Message:
    message = cls()
    for field in fields_of(cls):
        if field.group and betterproto.which_one_of(message, field.group)[0]:
            continue
        value = _value(field, depth)
        if value is not None and field.key_type is None:
            setattr(message, field.name, [value] if field.repeated else value)
    return message


def _value(field: Field, depth: int) -> AnyValue:
    if field.cls is None or field.wraps is not None:
        return _SCALARS.get(field.wraps or field.proto_type, 1)
    if issubclass(field.cls, datetime):
        return DEFAULT_AT + timedelta(days=1)
    if issubclass(field.cls, timedelta):
        return timedelta(hours=1)
    if issubclass(field.cls, betterproto.Enum):
        return field.cls.try_value(1)
    if field.cls is Any or depth >= _DEEPEST:
        return None
    return _filled(field.cls, depth + 1)


async def is_likely(subject: Subject, history: EventBook, cls: type[betterproto.Message]) -> bool:
    """Whether some sample of a command is accepted after a history, or brings something to light."""
    for sample in samples(cls):
        random.seed(0)
        outcome = await perform(subject, history, When("command", (sample,)), DEFAULT_AT)
        if outcome.error is None or not is_coded(outcome.error):
            return True
    return False
