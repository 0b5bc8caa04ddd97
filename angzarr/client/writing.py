"""What leaves a client's connection, and how far it certainly has not come."""

from typing import Any

from grpclib.config import Configuration
from grpclib.protocol import Connection


class ClientConnection(Connection):
    """grpclib's connection, which counts what it hands to the socket.

    While the socket takes nothing more, nothing is handed over: what has not been cannot have reached the server, and
    calls that are part of it fail as such when the connection breaks.

    Args:
        http2: gives the bytes.
        transport: takes them.
        config: grpclib's.

    Attributes:
        batch: number of the next write. A call's bytes are on their way when their batch is below it.
    """

    def __init__(self, http2: Any, transport: Any, *, config: Configuration) -> None:
        super().__init__(http2, transport, config=config)
        self.batch: int = 0
        self._out = transport
        self._plain = transport.get_extra_info("sslcontext") is None
        if self._plain:  # with TLS a full socket shows only in the transport's own buffer
            transport.set_write_buffer_limits(high=0)

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return bool(self._out.is_closing())

    def flush(self) -> None:
        """Write what is to be sent, if the socket takes it; otherwise it is written when it does."""
        if not self.write_ready._value:  # type: ignore[attr-defined]
            return
        data = self._connection.data_to_send()
        if not data:
            return
        self._out.write(data)
        if not (self._plain and self._out.is_closing()):  # else the write failed, and took nothing
            self.batch += 1

    def resume_writing(self) -> None:
        """The socket takes data again."""
        super().resume_writing()
        if not self.is_closing():
            self.flush()
