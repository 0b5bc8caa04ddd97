"""Guards for handlers: each returns None or raises CommandRejectedError (sdk-behaviour part 2 (l))."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NoReturn, TypeAlias

from angzarr.error_codes import codes, keys, messages
from angzarr.errors import CommandRejectedError
from angzarr.log import get_logger

Numeric: TypeAlias = int | float | Decimal

_log = get_logger(__name__)


def _reject(
    status_code: str, code: str, details: Mapping[str, str], *, field: str, predicate: str
) -> NoReturn:
    message: str = getattr(messages, code)
    _log.info(f"validation rejection: {message}", field=field, predicate=predicate, status_code=status_code)
    raise CommandRejectedError(message, status_code, code=code, details=details)


def require_exists(exists: bool, context: str) -> None:
    """Require that the aggregate exists.

    Args:
        exists: the caller's own idea of existence, such as ``bool(state.name)``.
        context: what it is about; travels in the details under ``context``.

    Raises:
        CommandRejectedError: NOT_FOUND with code ENTITY_NOT_FOUND.
    """
    if not exists:
        _reject(
            "NOT_FOUND", codes.ENTITY_NOT_FOUND, {keys.CONTEXT: context}, field="<entity>", predicate="exists"
        )


def require_not_exists(exists: bool, context: str) -> None:
    """Require that the aggregate does not exist yet.

    Args:
        exists: the caller's own idea of existence, such as ``bool(state.name)``.
        context: what it is about; travels in the details under ``context``.

    Raises:
        CommandRejectedError: FAILED_PRECONDITION with code ENTITY_ALREADY_EXISTS.
    """
    if exists:
        _reject(
            "FAILED_PRECONDITION",
            codes.ENTITY_ALREADY_EXISTS,
            {keys.CONTEXT: context},
            field="<entity>",
            predicate="not_exists",
        )


def _reject_argument(code: str, field_name: str, predicate: str) -> NoReturn:
    _reject("INVALID_ARGUMENT", code, {keys.FIELD: field_name}, field=field_name, predicate=predicate)


def require_positive(value: Numeric, field_name: str) -> None:
    """Require a value above zero.

    Args:
        value: the number; NaN is refused.
        field_name: what it is called; travels in the details under ``field``.

    Raises:
        CommandRejectedError: INVALID_ARGUMENT with code VALUE_NOT_POSITIVE.
    """
    if not value > 0:
        _reject_argument(codes.VALUE_NOT_POSITIVE, field_name, "positive")


def require_non_negative(value: Numeric, field_name: str) -> None:
    """Require a value of zero or more.

    Args:
        value: the number; NaN is refused.
        field_name: what it is called; travels in the details under ``field``.

    Raises:
        CommandRejectedError: INVALID_ARGUMENT with code VALUE_NOT_NON_NEGATIVE.
    """
    if not value >= 0:
        _reject_argument(codes.VALUE_NOT_NON_NEGATIVE, field_name, "non_negative")


def require_not_empty(items: Sequence[object] | None, field_name: str) -> None:
    """Require at least one element.

    Args:
        items: a sequence, or None, which is empty.
        field_name: what it is called; travels in the details under ``field``.

    Raises:
        CommandRejectedError: INVALID_ARGUMENT with code COLLECTION_EMPTY.
    """
    if not items:
        _reject_argument(codes.COLLECTION_EMPTY, field_name, "not_empty")


def require_not_empty_str(value: str | None, field_name: str) -> None:
    """Require a text that is not empty.

    Args:
        value: the text, or None, which is empty; white space counts as text.
        field_name: what it is called; travels in the details under ``field``.

    Raises:
        CommandRejectedError: INVALID_ARGUMENT with code VALUE_EMPTY.
    """
    if not value:
        _reject_argument(codes.VALUE_EMPTY, field_name, "not_empty_str")


def _reject_status(code: str, context: str, predicate: str) -> NoReturn:
    _reject("FAILED_PRECONDITION", code, {keys.CONTEXT: context}, field="status", predicate=predicate)


def require_status(actual: object, expected: object, context: str) -> None:
    """Require the status to be the expected one.

    Args:
        actual: the status as it is.
        expected: what it must be equal to.
        context: what it is about; travels in the details under ``context``.

    Raises:
        CommandRejectedError: FAILED_PRECONDITION with code STATUS_MISMATCH.
    """
    if actual != expected:
        _reject_status(codes.STATUS_MISMATCH, context, "status_eq")


def require_status_not(actual: object, forbidden: object, context: str) -> None:
    """Require the status to be any but the forbidden one.

    Args:
        actual: the status as it is.
        forbidden: what it must not be equal to.
        context: what it is about; travels in the details under ``context``.

    Raises:
        CommandRejectedError: FAILED_PRECONDITION with code STATUS_FORBIDDEN.
    """
    if actual == forbidden:
        _reject_status(codes.STATUS_FORBIDDEN, context, "status_not")
