"""What a server may be told beside its services and addresses."""

from dataclasses import dataclass
from typing import Literal

from angzarr.arguments import is_number, is_whole, require

_MIB = 2**20
_WINDOWS = range(2**16 - 1, 2**31)


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Limits and timings of one `GrpcServer`.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, a field makes no sense; details ``field``, ``actual`` and ``expected``.
    """

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

    def __post_init__(self) -> None:
        most = self.max_message_bytes
        self._check(
            "max_message_bytes", is_whole(most) and 1 <= most < 2**32, "bytes, 1 or more, below 4 GiB"
        )
        most = self.max_concurrent_streams
        self._check(
            "max_concurrent_streams", is_whole(most) and 1 <= most < 2**32, "a number of calls, 1 or more"
        )
        window = self.window_bytes
        self._check("window_bytes", is_whole(window) and window in _WINDOWS, "bytes, from 65535 to 2**31 - 1")
        for name in ("keepalive_time", "keepalive_timeout"):
            seconds = getattr(self, name)
            self._check(name, is_number(seconds) and seconds > 0, "seconds above 0")
        for name in ("grace", "linger"):
            seconds = getattr(self, name)
            self._check(name, is_number(seconds) and seconds >= 0, "seconds, 0 or more")
        self._check("http2", self.http2 in ("lean", "light", "h2"), "'lean', 'light' or 'h2'")

    def _check(self, name: str, holds: bool, expected: str) -> None:
        require(holds, name, getattr(self, name), expected)
