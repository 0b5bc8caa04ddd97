"""What goes wrong below a call, as errors of our tree.

Three private classes keep apart what a caller must do about a failed command: ``NeverReachedError`` and
``NotSentError`` say that the server certainly never saw the call, ``NoAnswerError`` that it may have.
"""

from datetime import timedelta
from typing import TypeVar

import grpclib
from grpclib.const import Status
from h2.errors import ErrorCodes

from angzarr import codec
from angzarr._gen.google.rpc import ErrorInfo, RetryInfo
from angzarr._gen.google.rpc import Status as RpcStatus
from angzarr.client.metadata import Headers, decode_binary, decode_metadata
from angzarr.error_codes import codes, keys, messages
from angzarr.errors import (
    ClientError,
    ConnectionError,
    DecodeError,
    GRPCError,
    InvalidArgumentError,
    OutcomeUnknownError,
    TransportError,
)
from angzarr.messages import EventBook

G = TypeVar("G", bound=GRPCError)

_DETAILS = "grpc-status-details-bin"
_PUSHBACK = "grpc-retry-pushback-ms"
_ERROR_INFO = "google.rpc.ErrorInfo"
_RETRY_INFO = "google.rpc.RetryInfo"
_DOMAIN = "angzarr"

# https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
_FROM_HTTP = {
    "400": Status.INTERNAL,
    "401": Status.UNAUTHENTICATED,
    "403": Status.PERMISSION_DENIED,
    "404": Status.UNIMPLEMENTED,
    "429": Status.UNAVAILABLE,
    "502": Status.UNAVAILABLE,
    "503": Status.UNAVAILABLE,
    "504": Status.UNAVAILABLE,
}

# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors
_FROM_RESET = {
    ErrorCodes.REFUSED_STREAM: Status.UNAVAILABLE,
    ErrorCodes.CANCEL: Status.CANCELLED,
    ErrorCodes.ENHANCE_YOUR_CALM: Status.RESOURCE_EXHAUSTED,
    ErrorCodes.INADEQUATE_SECURITY: Status.PERMISSION_DENIED,
}

_UNSURE = frozenset({Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.CANCELLED})


class NeverReachedError(TransportError):
    """The connection broke, and the server certainly did not begin with the call."""


class ClosedError(NeverReachedError):
    """The client, or its channel, was closed on this side."""


class CircuitOpenError(ConnectionError):
    """The endpoint's circuit breaker is open, nothing was sent."""


class NotSentError(GRPCError):
    """The call failed before all of it was sent, so that the server cannot have executed it."""


class NoAnswerError(GRPCError):
    """The call was sent and no usable status came back; ``grpc_code`` says what became of it as far as known."""


def transport_error(reason: str | Exception) -> TransportError:
    """The connection broke while a call was on it."""
    cause = _as_error(reason)
    return TransportError(cause, details={keys.CAUSE: cause})


def never_reached(reason: str | Exception) -> NeverReachedError:
    """The connection broke before the call was on it."""
    cause = _as_error(reason)
    return NeverReachedError(cause, details={keys.CAUSE: cause})


def _as_error(reason: str | Exception) -> Exception:
    return reason if isinstance(reason, Exception) else grpclib.exceptions.StreamTerminatedError(reason)


def closed() -> ClosedError:
    """A closed client was used."""
    cause = RuntimeError("the client is closed")
    return ClosedError(cause, details={keys.CAUSE: cause})


def not_sent(status: Status, text: str) -> NotSentError:
    """A status of our own, before anything was sent."""
    return _noted(NotSentError(grpclib.GRPCError(status, text)))


def no_answer(status: Status, text: str) -> NoAnswerError:
    """A status of our own, after the call was sent."""
    return _noted(NoAnswerError(grpclib.GRPCError(status, text)))


def unsent(error: GRPCError) -> NotSentError:
    """A status that came before all of the request was sent."""
    return _again_as(NotSentError, error)


def stream_reset(code: int, *, sent: bool) -> ClientError:
    """The server cut the stream off with an HTTP/2 error code, the request having been sent to its end or not."""
    name = code.name if isinstance(code, ErrorCodes) else str(code)
    if code == ErrorCodes.REFUSED_STREAM:
        return never_reached(f"stream refused by the server: {name}")
    status = _FROM_RESET.get(ErrorCodes(code)) if isinstance(code, ErrorCodes) else None
    make = no_answer if sent else not_sent
    return make(status or Status.INTERNAL, f"stream reset by the server: {name}")


def from_http_status(status: str) -> NoAnswerError:
    """Something answered that is not a gRPC server, a proxy as a rule."""
    return no_answer(_FROM_HTTP.get(status, Status.UNKNOWN), f"HTTP status {status} instead of a gRPC answer")


def from_trailers(headers: Headers) -> GRPCError | None:
    """The error that trailers (or the headers of an answer without a body) state; None for OK."""
    fields = dict(headers)
    text = fields.get("grpc-status")
    if text == "0":
        return None
    if text is None:
        return no_answer(Status.UNKNOWN, "the answer has no grpc-status")
    try:
        status = Status(int(text))
    except ValueError:
        return no_answer(Status.UNKNOWN, f"the answer's grpc-status is {text!r}")
    message = grpclib.metadata.decode_grpc_message(fields.get("grpc-message", ""))
    raw = fields.get(_DETAILS)
    return from_status(
        grpclib.GRPCError(status, message, decode_binary(raw) if raw else None),
        decode_metadata(headers),
        _pushback(fields.get(_PUSHBACK)),
    )


def from_status(
    error: grpclib.GRPCError,
    metadata: dict[str, str | bytes] | None = None,
    pushback: timedelta | None = None,
) -> GRPCError:
    """A status as it came from a server, or from one in this process; its ``details`` are bytes or None."""
    code = getattr(error, "error_code", "") or codes.GRPC_ERROR
    details = getattr(error, "extras", {})
    current, delay = None, pushback
    if isinstance(error.details, bytes):
        rich = _rich_status(error.details, error.status)
        if rich is None:
            current = _event_book(error.details)
        else:
            info, retry = _parts(rich)
            code, details = (info.reason or code, info.metadata) if info else (code, details)
            delay = delay if delay is not None else retry
    cls = NoAnswerError if code == codes.ANSWER_TOO_LARGE else GRPCError
    return _noted(
        cls(error, code=code, details=details, current_events=current, metadata=metadata, retry_delay=delay)
    )


def is_unsure(error: ClientError) -> bool:
    """Whether nobody can say if a command that failed so was executed."""
    if isinstance(error, GRPCError):
        if isinstance(error, NotSentError):
            return False
        return isinstance(error, NoAnswerError) or error.grpc_code in _UNSURE
    return isinstance(error, TransportError) and not isinstance(error, NeverReachedError)


def outcome_unknown(error: ClientError) -> OutcomeUnknownError:
    """What a command raises that may have been executed, by this attempt or one before it."""
    if not isinstance(error, GRPCError):
        status = grpclib.GRPCError(Status.UNAVAILABLE, str(error.cause or error))
        return _noted(OutcomeUnknownError(status, code=codes.TRANSPORT_ERROR, details=error.details))
    return _again_as(OutcomeUnknownError, error)


def certainly_never_reached(error: ClientError) -> bool:
    """Whether the server did certainly not begin with the call, so that even a command can be sent again."""
    return is_retryable(error) and not isinstance(error, GRPCError) and not is_unsure(error)


def is_retryable(error: ClientError) -> bool:
    """Whether the same call may go better the next time."""
    hopeless = isinstance(error, ClosedError | CircuitOpenError) or _told_not_to(error)
    return error.is_connection_error() and not hopeless


def _told_not_to(error: ClientError) -> bool:
    """Whether the server asked for no retry: a negative pushback (gRPC A6)."""
    delay = error.retry_delay if isinstance(error, GRPCError) else None
    return delay is not None and delay.total_seconds() < 0


def refused_argument(text: object, field: str) -> InvalidArgumentError:
    """A request that cannot be sent."""
    return InvalidArgumentError(
        messages.INVALID_ARGUMENT,
        code=codes.INVALID_ARGUMENT,
        details={keys.FIELD: field, keys.CAUSE: text},
    )


def _again_as(cls: type[G], error: GRPCError) -> G:
    """The same failure, as an error of another class."""
    return _noted(
        cls(
            error.status(),
            code=error.code,
            details=error.details,
            current_events=error.current_events,
            metadata=error.metadata,
            retry_delay=error.retry_delay,
        )
    )


def _noted(error: G) -> G:
    """Let tracebacks show what the server said: the message of a GRPCError is static."""
    code = "" if error.code == codes.GRPC_ERROR else f" [{error.code}]"
    error.add_note(f"{error.grpc_code.name}: {error.grpc_details}{code}")
    return error


def _pushback(text: str | None) -> timedelta | None:
    try:
        milliseconds = int(text) if text is not None else None
    except ValueError:
        milliseconds = -1  # gRPC A6: what is not a number means: do not retry
    return None if milliseconds is None else timedelta(milliseconds=milliseconds)


def _rich_status(raw: bytes, status: Status) -> RpcStatus | None:
    """The google.rpc.Status, when the details are one: production sends a bare EventBook there as well."""
    try:
        rich = codec.decode(RpcStatus, raw)
    except DecodeError:
        return None
    return rich if rich.code == status.value else None


def _event_book(raw: bytes) -> EventBook | None:
    try:
        return codec.decode(EventBook, raw)
    except DecodeError:
        return None


def _parts(rich: RpcStatus) -> tuple[ErrorInfo | None, timedelta | None]:
    infos: list[ErrorInfo] = []
    delay: timedelta | None = None
    for detail in rich.details:
        name = detail.type_url.rpartition("/")[2]
        try:
            if name == _ERROR_INFO:
                infos.append(codec.decode(ErrorInfo, detail.value))
            elif name == _RETRY_INFO:
                delay = codec.decode(RetryInfo, detail.value).retry_delay
        except DecodeError:
            continue
    ours = [info for info in infos if info.domain == _DOMAIN]
    return next(iter(ours or infos), None), delay
