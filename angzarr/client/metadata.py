"""Metadata of calls: what may be sent, and how it is written into headers."""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from angzarr.arguments import unfit

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]
Headers: TypeAlias = Iterable[tuple[str, str]]

_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[ -~]*")
_RESERVED = frozenset({"te", "content-type", "user-agent", "host"})


def checked_metadata(metadata: Metadata | Mapping[str, str | bytes]) -> tuple[tuple[str, str | bytes], ...]:
    """The metadata as pairs, when all of it can be sent.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT; details ``field`` (``metadata``), ``actual`` (the key) and ``expected``.
    """
    try:
        pairs = tuple(
            (key, value) for key, value in (metadata.items() if isinstance(metadata, Mapping) else metadata)
        )
    except (TypeError, ValueError) as error:
        raise unfit("metadata", type(metadata).__name__, "pairs of key and value") from error
    for key, value in pairs:
        _check_pair(key, value)
    return pairs


def _check_pair(key: object, value: object) -> None:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise unfit("metadata", key, "keys of lower-case letters, digits, '-', '_' and '.'")
    if key in _RESERVED or key.startswith("grpc-"):
        raise unfit("metadata", key, "a key that gRPC does not use itself")
    if key.endswith("-bin"):
        if not isinstance(value, bytes):
            raise unfit("metadata", key, "bytes under a key that ends in -bin")
    elif not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise unfit("metadata", key, "a value of printable ASCII")


def is_sendable(value: str) -> bool:
    """Whether a text can be a header's value."""
    return _VALUE.fullmatch(value) is not None


def encode_metadata(metadata: Metadata) -> list[tuple[str, str]]:
    """Checked metadata as headers."""
    return [
        (key, b64encode(value).rstrip(b"=").decode() if isinstance(value, bytes) else value)
        for key, value in metadata
    ]


def decode_metadata(headers: Headers) -> dict[str, str | bytes]:
    """The metadata among received headers; of a repeated key the last value. Undecodable binary stays text."""
    return {
        key: (decode_binary(value) or value) if key.endswith("-bin") else value
        for key, value in headers
        if not key.startswith((":", "grpc-")) and key not in _RESERVED
    }


def decode_binary(value: str) -> bytes | None:
    """A ``-bin`` header's value, padded or not; None when it is not base64."""
    try:
        return b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
