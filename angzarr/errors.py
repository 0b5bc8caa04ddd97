"""Every exception of angzarr.

::

    Exception
    ├── ClientError                      message, code, details, cause; the predicates
    │   ├── ConnectionError              no connection could be made
    │   ├── TransportError               a connection broke, or the client is closed
    │   ├── GRPCError                    the server answered with a status other than OK
    │   │   └── OutcomeUnknownError      a command may or may not have been executed
    │   ├── InvalidArgumentError         an argument makes no sense
    │   ├── InvalidTimestampError        a text is not an RFC 3339 timestamp
    │   ├── CommandRejectedError         a business rule says no; handlers raise it
    │   └── UnregisteredMessageError     a message class whose protobuf name is not known
    ├── BuildError                       a router cannot be built from its handlers
    ├── grpclib.GRPCError
    │   └── DispatchError                a request cannot be dispatched to a handler
    └── ValueError
        ├── DecodeError                  bytes are not an encoding of the message
        └── EncodeError                  a field holds a value its type cannot carry

``message`` is static and equal across languages; what varies is in ``details``. ``code`` is one of
``angzarr.error_codes.codes``; the embedded coordinator has a few more, in ``angzarr.coordinator.errors``.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpclib
from grpclib.const import Status

from angzarr.error_codes import codes, keys, messages

if TYPE_CHECKING:
    from angzarr._gen.angzarr_client.proto.angzarr import Cover, EventBook

__all__ = [
    "BuildError",
    "ClientError",
    "CommandRejectedError",
    "ConnectionError",
    "DecodeError",
    "DispatchError",
    "EncodeError",
    "GRPCError",
    "InvalidArgumentError",
    "InvalidTimestampError",
    "OutcomeUnknownError",
    "TransportError",
    "UnregisteredMessageError",
]


def _note(error: Exception, code: str, details: Mapping[str, str]) -> None:
    """Let tracebacks show what a static message leaves out."""
    if code or details:
        shown = ", ".join(f"{key}={value}" for key, value in details.items())
        error.add_note(f"{code}: {shown}" if shown else code)


def _texts(details: Mapping[str, Any] | None) -> dict[str, str]:
    return {key: str(value) for key, value in (details or {}).items()}


class ClientError(Exception):
    """Base of what goes wrong on the caller's side.

    Attributes:
        message: static text, fit for people; ``str(error)`` is the same.
        code: stable identifier, see ``angzarr.error_codes.codes``; ``""`` when there is none.
        details: context as text, keyed by ``angzarr.error_codes.keys``.
        cause: the exception this one stands for, or None.
    """

    def __init__(
        self,
        message: str,
        cause: Exception | None = None,
        *,
        code: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message: str = message
        self.cause: Exception | None = cause
        self.code: str = code
        self.details: dict[str, str] = _texts(details)

    def is_not_found(self) -> bool:
        """Whether the aggregate, or what was asked for, does not exist."""
        return False

    def is_precondition_failed(self) -> bool:
        """Whether the state forbids it now: refresh, decide again, retry if it still makes sense."""
        return False

    def is_invalid_argument(self) -> bool:
        """Whether the input is wrong, so that a retry cannot help."""
        return False

    def is_connection_error(self) -> bool:
        """Whether the server was not reached, or the connection to it broke."""
        return False


class ConnectionError(ClientError):
    """No connection could be made (CONNECTION_FAILED, CONNECTION_FAILED_MAX_RETRIES)."""

    def __init__(
        self,
        message: str = messages.CONNECTION_FAILED,
        *,
        code: str = codes.CONNECTION_FAILED,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code, details=details)

    def is_connection_error(self) -> bool:
        return True


class TransportError(ClientError):
    """A connection broke in use, or a closed client was used (TRANSPORT_ERROR)."""

    def __init__(
        self,
        cause: Exception,
        *,
        code: str = codes.TRANSPORT_ERROR,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(messages.TRANSPORT_ERROR, cause, code=code, details=details)

    def is_connection_error(self) -> bool:
        return True


class GRPCError(ClientError):
    """The server answered with a status other than OK.

    Args:
        cause: the status as grpclib raised it.
        code: the code the server sent in its error details; GRPC_ERROR when it sent none.
        details: the details the server sent.
        current_events: after a sequence mismatch, the aggregate's events as the coordinator has them.
        metadata: the answer's trailing metadata.
        retry_delay: how long the server asks to wait before a retry (google.rpc.RetryInfo).
    """

    def __init__(
        self,
        cause: grpclib.GRPCError,
        *,
        code: str = codes.GRPC_ERROR,
        details: Mapping[str, Any] | None = None,
        current_events: "EventBook | None" = None,
        metadata: Mapping[str, str | bytes] | None = None,
        retry_delay: timedelta | None = None,
    ) -> None:
        super().__init__(messages.GRPC_ERROR, cause, code=code, details=details)
        self._status = cause
        self.current_events = current_events
        self.metadata: dict[str, str | bytes] = dict(metadata or {})
        self.retry_delay = retry_delay

    @property
    def grpc_code(self) -> Status:
        """The status the server answered with."""
        return self._status.status

    @property
    def grpc_details(self) -> str:
        """The server's own words."""
        return self._status.message or ""

    def status(self) -> grpclib.GRPCError:
        """The status as grpclib raised it."""
        return self._status

    def is_not_found(self) -> bool:
        return self.grpc_code is Status.NOT_FOUND

    def is_precondition_failed(self) -> bool:
        return self.grpc_code is Status.FAILED_PRECONDITION

    def is_invalid_argument(self) -> bool:
        return self.grpc_code is Status.INVALID_ARGUMENT

    def is_connection_error(self) -> bool:
        return self.grpc_code is Status.UNAVAILABLE


class OutcomeUnknownError(GRPCError):
    """The connection broke after a command was sent: it may or may not have been executed.

    Read the aggregate's events before deciding to send it again; with an explicit sequence a second
    execution is refused by the coordinator, so a retry is safe.
    """

    def is_connection_error(self) -> bool:
        return True


class InvalidArgumentError(ClientError):
    """An argument makes no sense (INVALID_ARGUMENT, or a code of its own); ``code`` and ``details`` say why."""

    def __init__(
        self,
        message: str,
        *,
        code: str = codes.INVALID_ARGUMENT,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code, details=details)

    def is_invalid_argument(self) -> bool:
        return True


class InvalidTimestampError(ClientError):
    """A text is not an RFC 3339 timestamp (INVALID_TIMESTAMP; details ``input`` and ``cause``)."""

    def __init__(
        self,
        message: str = messages.INVALID_TIMESTAMP,
        *,
        code: str = codes.INVALID_TIMESTAMP,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code, details=details)


class CommandRejectedError(ClientError):
    """A business rule refuses a command. Handlers raise it; the caller sees the status, code and details.

    Args:
        message: static text for people.
        status_code: FAILED_PRECONDITION (the state forbids it), INVALID_ARGUMENT (the input is wrong) or
            NOT_FOUND (there is no such thing); any other text travels as FAILED_PRECONDITION.
        code: SCREAMING_SNAKE identifier of the rule.
        details: context of the refusal.
        cover: address of the refused command; the router fills it in.
    """

    def __init__(
        self,
        message: str,
        status_code: str = "FAILED_PRECONDITION",
        *,
        code: str = "",
        details: Mapping[str, Any] | None = None,
        cover: "Cover | None" = None,
    ) -> None:
        super().__init__(message, code=code, details=details)
        self.status_code = status_code
        self.cover = cover

    @staticmethod
    def precondition_failed(
        code: str, message: str, details: Mapping[str, Any] | None = None
    ) -> "CommandRejectedError":
        """The aggregate's state forbids the command: FAILED_PRECONDITION.

        Args:
            code: SCREAMING_SNAKE identifier of the rule, such as ``"INSUFFICIENT_FUNDS"``.
            message: static text for people.
            details: context of the refusal; values travel as text. None (the default) for none.
        """
        return CommandRejectedError(message, "FAILED_PRECONDITION", code=code, details=details)

    @staticmethod
    def invalid_argument(
        code: str, message: str, details: Mapping[str, Any] | None = None
    ) -> "CommandRejectedError":
        """The command itself is wrong; no state would accept it: INVALID_ARGUMENT.

        Args:
            code: SCREAMING_SNAKE identifier of the rule, such as ``"INSUFFICIENT_FUNDS"``.
            message: static text for people.
            details: context of the refusal; values travel as text. None (the default) for none.
        """
        return CommandRejectedError(message, "INVALID_ARGUMENT", code=code, details=details)

    @staticmethod
    def not_found(
        code: str, message: str, details: Mapping[str, Any] | None = None
    ) -> "CommandRejectedError":
        """What the command is about does not exist: NOT_FOUND.

        Args:
            code: SCREAMING_SNAKE identifier of the rule, such as ``"INSUFFICIENT_FUNDS"``.
            message: static text for people.
            details: context of the refusal; values travel as text. None (the default) for none.
        """
        return CommandRejectedError(message, "NOT_FOUND", code=code, details=details)

    def is_not_found(self) -> bool:
        return self.status_code == "NOT_FOUND"

    def is_precondition_failed(self) -> bool:
        return self.status_code == "FAILED_PRECONDITION"

    def is_invalid_argument(self) -> bool:
        return self.status_code == "INVALID_ARGUMENT"


class UnregisteredMessageError(ClientError):
    """A message class, or a message name, that is not in the registry (UNREGISTERED_MESSAGE)."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is not registered: generate its code with `angzarr protos compile`, or call "
            "angzarr.register_package(module, 'its.proto.package') for code generated by plain protoc",
            code=codes.UNREGISTERED_MESSAGE,
            details={keys.INPUT: name},
        )


class BuildError(Exception):
    """A router cannot be built from its handlers; ``code`` and ``details`` say why, and tracebacks show them."""

    def __init__(self, message: str, *, code: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message: str = message
        self.code: str = code
        self.details: dict[str, str] = _texts(details)
        _note(self, code, self.details)


class DispatchError(grpclib.GRPCError):
    """A request cannot be dispatched: malformed, or nobody handles it. Travels as its gRPC status.

    Tracebacks show ``error_code`` and ``extras``.

    Args:
        code: the status the caller sees.
        details: static text.
        error_code: one of ``angzarr.error_codes.codes``.
        extras: context as text.
    """

    def __init__(
        self,
        code: Status,
        details: str,
        *,
        error_code: str = "",
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code, details)
        self._text = details
        self.error_code = error_code
        self.extras: dict[str, str] = _texts(extras)
        _note(self, error_code, self.extras)

    def code(self) -> Status:
        """The status the caller sees."""
        return self.status

    def __str__(self) -> str:
        return self._text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.status, self._text), self.__dict__


class DecodeError(ValueError):
    """Bytes are not an encoding of the message asked for.

    Attributes:
        path: where in the message, such as ``pages[3].event.value``; ``""`` for the message itself.
        reason: what is wrong there.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.reason = message
        self.path = path


class EncodeError(ValueError):
    """A field holds a value that its type cannot carry.

    Attributes:
        path: the field, as ``Class.field``.
        reason: what is wrong with its value.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.reason = message
        self.path = path
