"""The trailing headers of a call, no longer than its caller reads.

grpcio reads 8 KiB of headers and reports RESOURCE_EXHAUSTED in place of a call's own status when there are more; our
clients read 64 KiB.
"""

from grpclib.const import Status
from grpclib.metadata import encode_bin_value, encode_grpc_message

from angzarr._gen.google.rpc import ErrorInfo
from angzarr._gen.google.rpc import Status as RpcStatus
from angzarr.codec import decode, encode
from angzarr.http2.frames import OUR_MAX_HEADERS
from angzarr.http2.headers import USER_AGENT

Headers = list[tuple[str, str]]

DETAILS_KEY = "grpc-status-details-bin"
OUR_ROOM = OUR_MAX_HEADERS - 4 * 1024
"""Bytes of message and details that our own clients read beside all other trailers."""
_ROOM = 7 * 1024
_LENGTHS = (1024, 256, 64, 16)
_INFO = "google.rpc.ErrorInfo"


def trailers_of(status: Status, message: str | None, details: bytes | None) -> Headers:
    """The trailing headers that tell a call's result."""
    trailers = [("grpc-status", str(status.value))]
    if message:
        trailers.append(("grpc-message", _field_value(message)))
    if details:
        trailers.append((DETAILS_KEY, encode_bin_value(details).decode("ascii")))
    return trailers


def room_for(user_agent: str | None) -> int:
    """Bytes of message and details that a client reads, by its name."""
    return OUR_ROOM if is_our_client(user_agent) else _ROOM


def is_our_client(user_agent: str | None) -> bool:
    """Whether a client's name is that of ours."""
    return (user_agent or "").startswith(USER_AGENT)


def fitted(message: str | None, details: bytes | None, room: int) -> tuple[str | None, bytes | None]:
    """Message and details as they are if they fit, else shortened until they do.

    Of google.rpc.Status details the message and the longest values are shortened; what cannot be, is left out.

    Args:
        message: for people, or None.
        details: bytes for ``grpc-status-details-bin``, or None.
        room: bytes of headers for both.
    """
    if _size(message, details) <= room:
        return message, details
    message = None if message is None else _shortened(message, room // 3)
    for longest in _LENGTHS if details else ():
        if _size(message, details) <= room:
            break
        details = _with_short_values(details or b"", message or "", longest)
    return message, details if _size(message, details) <= room else None


def _size(message: str | None, details: bytes | None) -> int:
    return len(_field_value(message or "")) + (len(details or b"") + 2) // 3 * 4


def _with_short_values(details: bytes, message: str, longest: int) -> bytes | None:
    try:
        status = decode(RpcStatus, details)
        for packed in status.details:
            if packed.type_url.rpartition("/")[2] == _INFO:
                info = decode(ErrorInfo, packed.value)
                info.metadata = {
                    key: _shortened(value, longest)
                    for key, value in info.metadata.items()
                    if len(key) <= longest
                }
                packed.value = encode(info)
    except ValueError:
        return None
    status.message = message
    return encode(status)


def _shortened(text: str, longest: int) -> str:
    """The beginning of a text, so much of it as is not longer than so many bytes as a header."""
    if len(_field_value(text)) <= longest:
        return text
    end = longest - len(_field_value("…"))
    while len(_field_value(text[:end])) > longest - len(_field_value("…")):
        end = end * 3 // 4
    return text[:end] + "…"


def _field_value(message: str) -> str:
    """Percent-encoded, at the edges spaces too: HTTP/2 forbids values that begin or end with one."""
    if not message.isascii():
        message = message.encode(errors="replace").decode()  # lone surrogates cannot travel
    encoded = encode_grpc_message(message)
    inner = encoded.strip(" ")
    if len(inner) == len(encoded):
        return encoded
    left = len(encoded) - len(encoded.lstrip(" "))
    return "%20" * left + inner + "%20" * (len(encoded) - left - len(inner))
