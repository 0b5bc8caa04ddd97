"""Turning what goes wrong inside generated code into errors that say where."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from angzarr.codec.fields import Field
from angzarr.codec.wire import TRUNCATED
from angzarr.errors import DecodeError, EncodeError

__all__ = ["CAUGHT", "UNENCODABLE", "decode_failure", "encode_failure", "entry_failure", "field_at"]

CAUGHT = (DecodeError, IndexError, UnicodeDecodeError, struct.error)
"""What decoding malformed bytes raises inside the codec."""

UNENCODABLE = (EncodeError, TypeError, AttributeError, ValueError, OverflowError, IndexError, struct.error)
"""What encoding a value of the wrong type or size raises inside the codec."""


def field_at(error: BaseException, lines: Sequence[Field | None]) -> Field | None:
    """The field whose generated code raised: the line tells, so that the way there costs nothing."""
    traceback = error.__traceback__
    assert traceback is not None
    return lines[traceback.tb_lineno]


def decode_failure(error: Exception, field: Field | None, values: Mapping[str, Any]) -> DecodeError:
    """The same error with the field's name put before its path."""
    reason, rest = _reason(error)
    if field is None:
        return DecodeError(reason, rest)
    here = field.name
    if field.repeated:
        here += f"[{len(values.get(field.name, ()))}]"
    return DecodeError(reason, _joined(here, rest))


def entry_failure(error: Exception, key: Any) -> DecodeError:
    """The same error with a map's key put before its path."""
    reason, rest = _reason(error)
    return DecodeError(reason, _joined(f"[{key!r}]", rest))


def _joined(here: str, rest: str) -> str:
    return f"{here}.{rest}" if rest and not rest.startswith("[") else here + rest


def _reason(error: Exception) -> tuple[str, str]:
    if isinstance(error, DecodeError):
        return error.reason, error.path
    if isinstance(error, UnicodeDecodeError):
        return f"not valid UTF-8: {error.reason} at byte {error.start}", ""
    return TRUNCATED, ""


def encode_failure(error: Exception, cls: type, field: Field | None) -> EncodeError:
    """The error that names class and field; one that already does stays as it is."""
    if isinstance(error, EncodeError) and error.path:
        return error
    reason = error.reason if isinstance(error, EncodeError) else str(error)
    return EncodeError(reason, f"{cls.__name__}.{field.name}" if field else cls.__name__)
