"""Bytes to betterproto messages and back: as strict as google.protobuf, and fast.

betterproto's own ``parse`` and ``bytes()`` are not used. For each class a parser and a serialiser are
compiled once, on first use, from the class's field metadata. Plain generated classes work as they are;
``prepare`` makes their attributes and constructor fast as well.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from betterproto import Message

from angzarr.codec import wire
from angzarr.codec.grpc import GrpcCodec
from angzarr.codec.methods import clone_of
from angzarr.codec.preparing import prepare
from angzarr.codec.schema import schema_of
from angzarr.errors import DecodeError, EncodeError

__all__ = [
    "DecodeError",
    "EncodeError",
    "GrpcCodec",
    "clone",
    "decode",
    "encode",
    "encoder_for",
    "has_field",
    "parser_for",
    "prepare",
    "wire",
]

M = TypeVar("M", bound=Message)


def encode(message: Message) -> bytes:
    """Encode a message.

    Fields are written in the order of their numbers, unknown fields last. A sub-message that was assigned
    or decoded is written even when it is empty; one that was only read is not.

    Raises:
        EncodeError: a field holds a value of the wrong type or out of its type's range; the path is
            ``Class.field``. Or a message contains itself.
    """
    try:
        return schema_of(type(message)).serialise(message.__dict__)
    except RecursionError:
        name = type(message).__name__
        raise EncodeError("nested too deeply; perhaps a message contains itself", name) from None


def decode(cls: type[M], data: bytes | bytearray | memoryview) -> M:
    """Decode a message.

    Args:
        cls: the message's class.
        data: its encoding.

    Raises:
        DecodeError: google.protobuf would not decode ``data`` either; ``path`` names the field.
    """
    if type(data) is not bytes:
        data = _as_bytes(data)
    message: M = schema_of(cls).parse(data, 0, len(data))
    return message


def _as_bytes(data: Any) -> bytes:
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"bytes expected, got {type(data).__name__}")
    return bytes(data)


def parser_for(cls: type[M]) -> Callable[..., M]:
    """The compiled parser of a class, ``(data, start, end) -> message``, for callers that decode many.

    ``data`` must be ``bytes``. It raises DecodeError as ``decode`` does.
    """
    return schema_of(cls).parse


def encoder_for(cls: type[M]) -> Callable[[M], bytes]:
    """The compiled encoder of a class, for callers that encode many. It raises EncodeError as ``encode`` does."""
    serialise = schema_of(cls).serialise

    def encode_one(message: M) -> bytes:
        return serialise(message.__dict__)

    return encode_one


def has_field(message: Message, name: str) -> bool:
    """Whether a field is present.

    True for sub-messages that were assigned or decoded (even empty ones) or in which something was set, for
    the chosen member of a oneof, for ``optional`` fields with a value, for lists and maps with an item, and
    for other scalars that differ from their default. Reading a field never makes it present.

    Raises:
        ValueError: the message has no such field.
    """
    schema = schema_of(type(message))
    is_present = schema.presence.get(name)
    if is_present is None:
        raise ValueError(f"{type(message).__name__} has no field {name!r}")
    return is_present(schema.present_values(message.__dict__).get(name))


def clone(message: M) -> M:
    """A deep copy, unknown fields and presence included."""
    schema = schema_of(type(message))
    if schema.prepared:
        copied: M = clone_of(message)
        return copied
    return decode(type(message), encode(message))
