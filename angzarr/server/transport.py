"""Where a business server listens, by the environment that production gives it.

| variable | meaning | default |
|---|---|---|
| TRANSPORT_TYPE | ``tcp`` or ``uds`` | ``tcp`` |
| ANGZARR_BIND_ADDRESS | address to listen on, verbatim; TCP only | ``[::]:$PORT`` |
| PORT | port on every interface | 50052 |
| GRPC_PORT | `ServerConfig` only, when PORT is not set | |
| UDS_BASE_PATH | directory of socket files | ``/tmp/angzarr`` |
| SERVICE_NAME | first part of the socket's name | ``business`` |
| DOMAIN, SAGA_NAME, PROJECTOR_NAME | second part, the first that is not empty | none |
| ANGZARR_GRPC_MESSAGE_SIZE_KB | largest message, in KiB | 10240 |
| ANGZARR_TLS_CERTIFICATE and others | TLS, see `angzarr.server.tls` | plaintext |
"""

import contextlib
import os
import stat
from dataclasses import dataclass
from typing import Self

from structlog.stdlib import BoundLogger

from angzarr.log import get_logger
from angzarr.server import environment
from angzarr.server.addresses import is_served

log: BoundLogger = get_logger(__name__)

ENV_BIND_ADDRESS = "ANGZARR_BIND_ADDRESS"
ENV_TRANSPORT_TYPE = "TRANSPORT_TYPE"
ENV_PORT = "PORT"
ENV_GRPC_PORT = "GRPC_PORT"
ENV_UDS_BASE_PATH = "UDS_BASE_PATH"
ENV_SERVICE_NAME = "SERVICE_NAME"
ENV_QUALIFIERS = ("DOMAIN", "SAGA_NAME", "PROJECTOR_NAME")
DEFAULT_BIND_HOST = "[::]"
DEFAULT_PORT = 50052
DEFAULT_UDS_BASE_PATH = "/tmp/angzarr"
DEFAULT_SERVICE_NAME = "business"
TCP = "tcp"
UDS = "uds"


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Port or socket of a server.

    Attributes:
        port: TCP port; default 50052.
        uds_path: path of a Unix socket, or None for TCP.
    """

    port: int = DEFAULT_PORT
    uds_path: str | None = None

    @classmethod
    def from_env(cls, default_port: int = DEFAULT_PORT) -> Self:
        """From UDS_BASE_PATH, SERVICE_NAME and DOMAIN when all three are set, else from PORT or GRPC_PORT.

        Args:
            default_port: when neither is set.

        Raises:
            InvalidArgumentError: INVALID_PORT.
        """
        base, service, domain = (
            environment.text(name) for name in (ENV_UDS_BASE_PATH, ENV_SERVICE_NAME, "DOMAIN")
        )
        if base and service and domain:
            return cls(default_port, f"{base}/{service}-{domain}.sock")
        return cls(environment.port(ENV_PORT, ENV_GRPC_PORT, default=default_port))


def resolve_bind_address(default_port: int = DEFAULT_PORT) -> str:
    """The TCP address to listen on: ANGZARR_BIND_ADDRESS verbatim, else every interface at PORT.

    Args:
        default_port: when PORT is not set.

    Raises:
        InvalidArgumentError: INVALID_PORT.
    """
    return environment.text(ENV_BIND_ADDRESS) or (
        f"{DEFAULT_BIND_HOST}:{environment.port(ENV_PORT, default=default_port)}"
    )


def get_transport_config(default_port: int = DEFAULT_PORT) -> tuple[str, str]:
    """How and where to listen, by the environment; makes way for the socket file if it is a Unix socket.

    Args:
        default_port: when PORT is not set.

    Returns:
        ``("tcp", "host:port")`` or ``("uds", "unix:path")``. In the second case the directory exists afterwards and a
        file left behind at the path is gone; the socket of a server that still runs stays.

    Raises:
        InvalidArgumentError: INVALID_PORT.
        OSError: the directory cannot be made, or the file not removed.
    """
    kind, address = transport_of_environment(default_port)
    if kind == UDS:
        _make_way(address.removeprefix("unix:"))
    return kind, address


def transport_of_environment(default_port: int = DEFAULT_PORT) -> tuple[str, str]:
    """As `get_transport_config`, without touching the file system."""
    kind = environment.text(ENV_TRANSPORT_TYPE).lower()
    if kind == UDS:
        return UDS, f"unix:{_socket_path()}"
    if kind not in ("", TCP):
        log.warning("unknown_transport_type", env_var=ENV_TRANSPORT_TYPE, value=kind, used=TCP)
    return TCP, resolve_bind_address(default_port)


def cleanup_socket(path: str) -> None:
    """Remove a socket file; does nothing for ``""``, a missing file, or one that cannot be removed."""
    if path:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _socket_path() -> str:
    base = environment.text(ENV_UDS_BASE_PATH) or DEFAULT_UDS_BASE_PATH
    service = environment.text(ENV_SERVICE_NAME) or DEFAULT_SERVICE_NAME
    qualifier = environment.text(*ENV_QUALIFIERS)
    return f"{base}/{service}-{qualifier}.sock" if qualifier else f"{base}/{service}.sock"


def _make_way(path: str) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if not (stat.S_ISSOCK(os.lstat(path).st_mode) and is_served(path)):
            os.unlink(path)
