"""Exceptions as gRPC statuses: what a caller of another process, or of another language, is told."""

import asyncio
import uuid
from collections.abc import Mapping
from typing import NoReturn

import grpclib
from betterproto.lib.google.protobuf import Any as PackedAny
from grpclib.const import Status

from angzarr import codec
from angzarr._gen.google.rpc import ErrorInfo
from angzarr._gen.google.rpc import Status as RpcStatus
from angzarr.error_codes import codes, keys
from angzarr.errors import (
    ClientError,
    CommandRejectedError,
    ConnectionError,
    DecodeError,
    DispatchError,
    EncodeError,
    GRPCError,
    InvalidArgumentError,
    InvalidTimestampError,
    TransportError,
)
from angzarr.log import get_logger
from angzarr.router.faults import failure_of

__all__ = ["ERROR_DOMAIN", "raise_status", "status_of"]

ERROR_DOMAIN = "angzarr"
_ERROR_INFO_URL = "type.googleapis.com/google.rpc.ErrorInfo"
_LONGEST_DETAIL = 1024
_TAKEN = frozenset({"self", "event", "code", "exc_info", "stack_info", "stacklevel", "extra"})
"""Keys that mean something else in a log line."""
_REJECTIONS = {"INVALID_ARGUMENT": Status.INVALID_ARGUMENT, "NOT_FOUND": Status.NOT_FOUND}
_ENDS = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)
"""What ends the code that raises it, or the process, and is no failure of a handler."""
_log = get_logger(__name__)


def raise_status(error: BaseException, *, expose_internal_errors: bool = False) -> NoReturn:
    """Raise the status that what a router raised travels as; cancellation and exit are raised as they are.

    Args:
        error: what was raised, whether an Exception or not.
        expose_internal_errors: as for ``status_of``.

    Raises:
        GRPCError: the status.
        BaseException: ``error`` itself, when it is no failure.
    """
    if isinstance(error, _ENDS):
        raise error
    raise status_of(error, expose_internal_errors=expose_internal_errors) from error


def status_of(error: BaseException, *, expose_internal_errors: bool = False) -> grpclib.GRPCError:
    """The status that an exception travels as.

    ===========================================  =====================================================
    raised                                       status and message
    ===========================================  =====================================================
    CommandRejectedError                         its ``status_code`` (INVALID_ARGUMENT, NOT_FOUND; all else is
                                                 FAILED_PRECONDITION), its message
    DispatchError                                its own
    grpclib.GRPCError                            itself, unchanged; OK is no error, and so an unexpected one
    GRPCError                                    what the upstream server answered
    InvalidArgumentError, InvalidTimestampError  INVALID_ARGUMENT, its message
    ConnectionError, TransportError              UNAVAILABLE, its message
    other ClientErrors, EncodeError              INTERNAL, its message
    DecodeError outside a handler                INVALID_ARGUMENT, its message
    anything else                                INTERNAL, the exception's class, what was being handled and a
                                                 correlation id
    ===========================================  =====================================================

    Codes and details go along as google.rpc.Status with an ErrorInfo (domain ``"angzarr"``): its bytes are the
    result's ``details``. Unexpected exceptions are logged with their traceback, wrong answers of handlers with what
    they were.

    Args:
        error: what was raised.
        expose_internal_errors: append the text of an unexpected exception.
    """
    if isinstance(error, CommandRejectedError):
        status = _REJECTIONS.get(error.status_code, Status.FAILED_PRECONDITION)
        return coded(status, str(error), error.code, error.details)
    if isinstance(error, grpclib.GRPCError) and error.status is Status.OK:
        return _internal(error, expose_internal_errors)
    if isinstance(error, DispatchError):
        if error.code() is Status.INTERNAL:  # a handler's fault, not the caller's
            known = {key: value for key, value in error.extras.items() if key not in _TAKEN}
            _log.error("handler_answered_wrongly", code=error.error_code, **known)
        return coded(error.code(), str(error), error.error_code, error.extras)
    if isinstance(error, grpclib.GRPCError):
        return error
    if isinstance(error, GRPCError):
        return coded(error.grpc_code, error.grpc_details, error.code, error.details)
    if isinstance(error, InvalidArgumentError | InvalidTimestampError):
        return coded(Status.INVALID_ARGUMENT, str(error), error.code, error.details)
    if isinstance(error, ConnectionError | TransportError):
        return coded(Status.UNAVAILABLE, str(error), error.code, error.details)
    if isinstance(error, DecodeError) and failure_of(error) is None:
        details = {keys.PATH: error.path, keys.CAUSE: error.reason}
        return coded(Status.INVALID_ARGUMENT, str(error), codes.INVALID_ARGUMENT, details)
    return _internal(error, expose_internal_errors)


def _internal(error: BaseException, expose: bool) -> grpclib.GRPCError:
    failure = failure_of(error)
    correlation_id = (failure.correlation_id if failure else "") or uuid.uuid4().hex
    _log.error(
        "handler_failed",
        handler=failure.handler if failure else None,
        message=failure.message if failure else None,
        domain=failure.domain if failure else None,
        root=failure.root if failure else None,
        correlation_id=correlation_id,
        exc_info=error,
    )
    if isinstance(error, ClientError):
        return coded(Status.INTERNAL, str(error), error.code, error.details)
    where = f" in {failure}" if failure else ""
    text = f"{type(error).__name__}{where}; correlation id {correlation_id}"
    shown = f": {_text_of(error)}" if expose or isinstance(error, EncodeError) else ""
    return grpclib.GRPCError(Status.INTERNAL, text + shown)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as another:
        return f"its text cannot be had, which raises {type(another).__name__}"


def coded(status: Status, text: str, code: str, details: Mapping[str, str]) -> grpclib.GRPCError:
    """A status with one of our codes in its details, as every client of ours reads it."""
    if not code and not details:
        return grpclib.GRPCError(status, text)
    info = ErrorInfo(
        reason=_sendable(code),
        domain=ERROR_DOMAIN,
        metadata={_sendable(key): _sendable(_shortened(value)) for key, value in details.items()},
    )
    carried = RpcStatus(
        code=status.value,
        message=_sendable(text),
        details=[PackedAny(type_url=_ERROR_INFO_URL, value=codec.encode(info))],
    )
    return grpclib.GRPCError(status, text, codec.encode(carried))


def _shortened(value: str) -> str:
    return value if len(value) <= _LONGEST_DETAIL else f"{value[:_LONGEST_DETAIL]}…"


def _sendable(text: str) -> str:
    """A text without lone surrogates, such as names of files can hold, which no message can."""
    return text if text.isascii() else text.encode(errors="replace").decode()
