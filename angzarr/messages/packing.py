"""Messages in and out of google.protobuf.Any."""

from typing import TypeVar

import betterproto
from betterproto.lib.google.protobuf import Any

from angzarr import codec
from angzarr.error_codes import messages as texts
from angzarr.errors import DecodeError
from angzarr.messages.names import (
    full_name,
    full_type_url_for,
    message_class,
    name_for_url,
    type_name_from_url,
)

M = TypeVar("M", bound=betterproto.Message)


def pack(message: betterproto.Message) -> Any:
    """Wrap a message as Any, under ``type.googleapis.com/`` and its full name.

    Raises:
        UnregisteredMessageError: UNREGISTERED_MESSAGE, its class was never registered.
        EncodeError: a field holds a value its type cannot carry.
    """
    return Any(type_url=full_type_url_for(type(message)), value=codec.encode(message))


def type_matches(any_message: Any, cls: type[betterproto.Message]) -> bool:
    """Whether an Any says it holds a message of the class.

    Business types match by exact full name behind any prefix; framework types also under the package names that
    production coordinators write (wire.md, "Reading type URLs").
    """
    url = any_message.type_url
    return full_name(cls) in (type_name_from_url(url), name_for_url(url))


def unpack(any_message: Any, cls: type[M]) -> M:
    """The message inside an Any.

    Args:
        any_message: what came over the wire.
        cls: the class it must be of.

    Raises:
        ValueError: it says it holds another type; the text names both.
        DecodeError: its bytes are not an encoding of the class (a ValueError too).
        UnregisteredMessageError: UNREGISTERED_MESSAGE, the class was never registered.
    """
    if not type_matches(any_message, cls):
        raise ValueError(
            f"{texts.ANY_TYPE_MISMATCH}: expected {full_name(cls)}, got {any_message.type_url or 'no type_url'}"
        )
    return codec.decode(cls, any_message.value)


def try_unpack(any_message: Any, cls: type[M]) -> M | None:
    """The message inside an Any, or None when it holds another type or its bytes cannot be decoded."""
    if not type_matches(any_message, cls):
        return None
    try:
        return codec.decode(cls, any_message.value)
    except DecodeError:
        return None


def unpack_any(any_message: Any) -> betterproto.Message:
    """The message inside an Any, of the class registered under the name it carries.

    Raises:
        UnregisteredMessageError: UNREGISTERED_MESSAGE, nobody registered that name.
        DecodeError: its bytes are not an encoding of that class.
    """
    return codec.decode(message_class(name_for_url(any_message.type_url)), any_message.value)
