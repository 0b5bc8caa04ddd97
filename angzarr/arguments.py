"""Checking what a caller passes: one way to say which argument makes no sense, and what would."""

import math
from typing import TypeGuard

from angzarr.error_codes import codes, keys, messages
from angzarr.errors import InvalidArgumentError


def unfit(field: str, actual: object, expected: str) -> InvalidArgumentError:
    """The error about an argument: INVALID_ARGUMENT; details ``field``, ``actual`` and ``expected``."""
    return InvalidArgumentError(
        messages.INVALID_ARGUMENT,
        code=codes.INVALID_ARGUMENT,
        details={keys.FIELD: field, keys.ACTUAL: actual, keys.EXPECTED: expected},
    )


def require(holds: bool, field: str, actual: object, expected: str) -> None:
    """Refuse an argument unless something holds of it.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT; details ``field``, ``actual`` and ``expected``.
    """
    if not holds:
        raise unfit(field, actual, expected)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number, and a finite one; booleans are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number; booleans are none."""
    return isinstance(value, int) and not isinstance(value, bool)
