"""Bytes to betterproto messages and back (temporary slow version behind the final names)."""

import copy
from typing import TypeVar

import betterproto

from angzarr.errors import DecodeError

M = TypeVar("M", bound=betterproto.Message)


def encode(message: betterproto.Message) -> bytes:
    return bytes(message)


def decode(cls: type[M], data: bytes) -> M:
    try:
        return cls().parse(data)
    except Exception as error:
        raise DecodeError(str(error)) from error


def has_field(message: betterproto.Message, name: str) -> bool:
    value = message._Message__raw_get(name)  # type: ignore[attr-defined]
    if value is betterproto.PLACEHOLDER or value is None:
        return False
    return value._serialized_on_wire if isinstance(value, betterproto.Message) else True


def clone(message: M) -> M:
    return copy.deepcopy(message)


def prepare(cls: type[betterproto.Message]) -> None:
    """Nothing to do in the slow version."""
