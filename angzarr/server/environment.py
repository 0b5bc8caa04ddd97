"""Reading environment variables: an empty one is unset, a wrong one is an error that names it."""

import math
import os
from typing import NoReturn

from angzarr.error_codes import codes, keys, messages
from angzarr.errors import InvalidArgumentError

ENV_MESSAGE_SIZE = "ANGZARR_GRPC_MESSAGE_SIZE_KB"
DEFAULT_MESSAGE_SIZE_KB = 10_240


def text(*names: str) -> str:
    """The first of these variables that is not empty, or ``""``."""
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def port(*names: str, default: int) -> int:
    """A port from the first of these variables that is not empty.

    Raises:
        InvalidArgumentError: INVALID_PORT, with the variable and its value.
    """
    for name in names:
        value = os.environ.get(name)
        if value:
            return _port(name, value)
    return default


def seconds(name: str, *, default: float) -> float:
    """A positive number of seconds.

    Raises:
        InvalidArgumentError: INVALID_ENVIRONMENT, with the variable and its value.
    """
    value = os.environ.get(name)
    if not value or not value.strip():
        return default
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        reject(name, value, "give a positive number of seconds")
    return number


def message_limit() -> int:
    """Bytes of the largest message, from ANGZARR_GRPC_MESSAGE_SIZE_KB (KiB; default 10,240).

    Raises:
        InvalidArgumentError: INVALID_ENVIRONMENT, with the variable and its value.
    """
    value = os.environ.get(ENV_MESSAGE_SIZE)
    if not value:
        return DEFAULT_MESSAGE_SIZE_KB * 1024
    if not value.isascii() or not value.isdigit() or not 0 < int(value) <= 4_194_303:
        reject(ENV_MESSAGE_SIZE, value, "give a number of KiB from 1 to 4194303")
    return int(value) * 1024


def _port(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) > 65535:
        reject(name, value, "give a number from 0 to 65535", codes.INVALID_PORT)
    return int(value)


def reject(name: str, value: str, remedy: str, code: str = codes.INVALID_ENVIRONMENT) -> NoReturn:
    """Say what is wrong with a variable.

    Raises:
        InvalidArgumentError: always; details ``env_var`` and ``input``.
    """
    what = messages.INVALID_PORT if code == codes.INVALID_PORT else messages.INVALID_ENVIRONMENT
    raise InvalidArgumentError(
        f"{what}: {name}={value!r}; {remedy}", code=code, details={keys.ENV_VAR: name, keys.INPUT: value}
    )
