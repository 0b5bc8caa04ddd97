"""What a server may be told beside its services and addresses."""

from dataclasses import dataclass
from typing import Literal

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Limits and timings of one `GrpcServer`."""

    max_message_bytes: int = 10 * _MIB
    """Bytes of the largest message, in or out; a larger one is RESOURCE_EXHAUSTED. Default 10 MiB, as production."""

    max_concurrent_streams: int = 1000
    """Calls in flight per connection; clients queue the rest, those beyond it are refused. Default 1,000."""

    window_bytes: int = 4 * _MIB
    """HTTP/2 window of a connection and of each call: what a client may send ahead of its being read. Default 4 MiB."""

    keepalive_time: float = 7200.0
    """Seconds of silence on a connection after which it is pinged. Default two hours, as gRPC's servers."""

    keepalive_timeout: float = 20.0
    """Seconds to wait for the ping's answer before the connection is closed. Default 20."""

    grace: float = 5.0
    """Seconds that calls in flight get to finish when the server stops. Default 5."""

    linger: float = 1.0
    """Seconds that a client with nothing in flight gets to hang up after GOAWAY, within the grace. Default 1."""

    expose_internal_errors: bool = False
    """Whether the text of an unexpected exception reaches the caller. Default no: it goes to the log only."""

    http2: Literal["lean", "light", "h2"] = "lean"
    """What speaks HTTP/2: ``lean``, a connection made for gRPC servers; ``light``, h2 less the work it repeats (see
    `angzarr.http2.light`); ``h2`` as it is. They differ in speed only. Default ``lean``."""
