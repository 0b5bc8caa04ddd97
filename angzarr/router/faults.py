"""The errors that dispatching raises, each made in one place."""

import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import betterproto
from grpclib.const import Status

from angzarr import codec
from angzarr.error_codes import codes, keys, messages
from angzarr.errors import ClientError, DecodeError, DispatchError
from angzarr.messages import Cover, type_name_from_url
from angzarr.router.calls import Method

M = TypeVar("M", bound=betterproto.Message)

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 120

_parsers: dict[type[betterproto.Message], Callable[..., Any]] = {}
"""Parsers of the payload classes seen, all of them registered."""


def malformed(code: str, text: str, **extras: Any) -> DispatchError:
    """INVALID_ARGUMENT: the request cannot be dispatched."""
    return DispatchError(Status.INVALID_ARGUMENT, text, error_code=code, extras=extras)


def decode_failed(type_url: str, error: DecodeError) -> DispatchError:
    """ANY_DECODE_FAILED: a payload's bytes are not an encoding of the type it names."""
    return malformed(
        codes.ANY_DECODE_FAILED,
        messages.ANY_DECODE_FAILED,
        **{keys.TYPE_URL: type_url, keys.PATH: error.path, keys.CAUSE: error.reason},
    )


def type_mismatch(type_url: str, expected: str) -> DispatchError:
    """ANY_TYPE_MISMATCH: a snapshot holds another type than the handler's state."""
    return malformed(
        codes.ANY_TYPE_MISMATCH,
        messages.ANY_TYPE_MISMATCH,
        **{keys.TYPE_URL: type_url, keys.EXPECTED: expected},
    )


def wrong_request(expected: type, request: object) -> DispatchError:
    """HANDLER_WRONG_REQUEST_KIND: dispatch was called with something other than its request message."""
    return malformed(
        codes.HANDLER_WRONG_REQUEST_KIND,
        messages.HANDLER_WRONG_REQUEST_KIND,
        **{keys.EXPECTED: expected.__name__, keys.ACTUAL: type(request).__name__},
    )


def wrong_return(
    method: Method,
    result: object,
    code: str = codes.HANDLER_WRONG_RESPONSE_KIND,
    text: str = messages.HANDLER_WRONG_RESPONSE_KIND,
) -> DispatchError:
    """INTERNAL: a handler's method returned what its kind may not; the extras name class, method, type and value."""
    return DispatchError(
        Status.INTERNAL,
        text,
        error_code=code,
        extras={
            keys.HANDLER_CLASS: method.owner,
            keys.METHOD: method.name,
            keys.ACTUAL_RETURN_TYPE: type(result).__name__,
            keys.ACTUAL: _brief.repr(result),
        },
    )


def decode_payload(cls: type[M], type_url: str, value: bytes) -> M:
    """The message in a payload.

    Raises:
        DispatchError: ANY_DECODE_FAILED, with type URL, field path and cause.
    """
    parse = _parsers.get(cls)
    if parse is None:
        parse = _parsers[cls] = codec.parser_for(cls)
    try:
        message: M = parse(value, 0, len(value))
    except DecodeError as error:
        raise decode_failed(type_url, error) from error
    return message


@dataclass(frozen=True, slots=True)
class Failure:
    """What was being done when a handler raised.

    Attributes:
        handler: class and method, as ``Class.method``; the class alone while there is no method to call yet.
        message: full name of the command or event.
        domain: domain of the book.
        root: its root, in hex.
        correlation_id: its correlation id.
    """

    handler: str
    message: str
    domain: str
    root: str
    correlation_id: str

    def __str__(self) -> str:
        whose = f"{self.domain}/{self.root}" if self.root else self.domain
        return f"{self.handler}, handling {self.message} of {whose or 'no aggregate'}"


_FAILURE = "__angzarr_failure__"


def explain(error: BaseException, who: Method | type, type_url: str, cover: Cover | None) -> None:
    """Note on an unexpected exception what was being handled, by a method or to no method yet; for log and answer."""
    if isinstance(error, ClientError | DispatchError) or _noted_on(error) is not None:
        return
    known = Cover() if cover is None else cover
    failure = Failure(
        handler=who.__name__ if isinstance(who, type) else str(who),
        message=type_name_from_url(type_url),
        domain=known.domain,
        root=known.root.value.hex(),
        correlation_id=known.correlation_id,
    )
    note(error, f"raised by {failure}; correlation id {failure.correlation_id or 'none'}")
    error.__dict__[_FAILURE] = failure


def note(error: BaseException, text: str) -> None:
    """Add a note to an exception, even to one that lets nobody set its attributes."""
    notes = error.__dict__.get("__notes__")
    error.__dict__["__notes__"] = [*(notes if isinstance(notes, list | tuple) else ()), text]


def _noted_on(error: BaseException) -> Failure | None:
    return error.__dict__.get(_FAILURE)


def failure_of(error: BaseException) -> Failure | None:
    """What was being done when an exception was raised, if a router noted it."""
    found = _noted_on(error)
    if found is None and isinstance(error, RuntimeError) and error.__cause__ is not None:
        found = _noted_on(error.__cause__)  # what no coroutine or task can raise itself
    return found
