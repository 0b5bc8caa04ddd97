"""Where a server listens: the grammar of bind addresses and the sockets made from them."""

import contextlib
import errno
import os
import secrets
import socket
import stat
from dataclasses import dataclass

from angzarr.error_codes import codes, keys, messages
from angzarr.errors import ClientError, InvalidArgumentError

_BACKLOG = 1024
_LONGEST_UNIX_PATH = 107
_EVERYWHERE = ("", "*", "::")


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host (name, IPv4, or IPv6 without brackets; ``""`` for every interface) and a port, 0 for any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a Unix domain socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


BindAddress = TcpAddress | UnixAddress


def parse_bind_address(text: str) -> BindAddress:
    """Read where to listen.

    Args:
        text: ``host:port``, ``[v6]:port``, ``:port`` (every interface), ``unix:/path``, ``unix:///path``, ``/path`` or
            ``./path``.

    Raises:
        InvalidArgumentError: ENDPOINT_INVALID_URI, the text is none of these.
    """
    if text.startswith("unix:"):
        return _unix(text.removeprefix("unix:").removeprefix("//"), text)
    if text.startswith(("/", "./", "../")):
        return _unix(text, text)
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise _invalid(text, "an IPv6 host goes into brackets, as in [::1]:50052")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise _invalid(text, "give host:port with a port from 0 to 65535, or unix:/path")
    return TcpAddress(host, int(port))


def _unix(path: str, text: str) -> UnixAddress:
    size = len(os.fsencode(path))
    if not path or "\0" in path:
        raise _invalid(text, "the path of the socket is missing")
    if size > _LONGEST_UNIX_PATH:
        raise _invalid(text, f"a socket's path has at most {_LONGEST_UNIX_PATH} bytes, this one has {size}")
    return UnixAddress(path)


def _invalid(text: str, remedy: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{messages.ENDPOINT_INVALID_URI}: {text!r}; {remedy}",
        code=codes.ENDPOINT_INVALID_URI,
        details={keys.ENDPOINT: text},
    )


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening, non-blocking socket.

    Attributes:
        sock: the socket.
        address: where it listens, with the port the system chose if it was asked to choose.
        file: device and inode of a Unix socket's file; None for TCP.
    """

    sock: socket.socket
    address: BindAddress
    file: tuple[int, int] | None = None

    def close(self) -> None:
        """Close the socket and remove its file."""
        self.sock.close()
        self.remove_file()

    def remove_file(self) -> None:
        """Remove the socket's file, unless another server has put its own in its place meanwhile."""
        if not isinstance(self.address, UnixAddress):
            return
        with contextlib.suppress(OSError):  # gone already, or in a directory that is
            if _identity(self.address.path) == self.file:
                os.unlink(self.address.path)


def bind(address: BindAddress) -> list[Listener]:
    """Open listening sockets; blocks on name resolution and the file system, so call it in a thread.

    A Unix socket gets mode 0600. A socket file that nobody listens on any more is replaced.

    Args:
        address: what `parse_bind_address` returned.

    Returns:
        One listener per address the host's name stands for, in the resolver's order.

    Raises:
        ClientError: BIND_FAILED, with the endpoint and the reason.
    """
    try:
        return [_bind_unix(address)] if isinstance(address, UnixAddress) else _bind_tcp(address)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while attempting")[0]
        raise ClientError(
            f"{messages.BIND_FAILED}: {address}: {reason}",
            error,
            code=codes.BIND_FAILED,
            details={keys.ENDPOINT: str(address), keys.CAUSE: reason},
        ) from error


def is_served(path: str) -> bool:
    """Whether somebody accepts connections on the Unix socket at this path; blocks for an instant."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _bind_unix(address: UnixAddress) -> Listener:
    _make_way(address.path)
    path = _name_beside(address.path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(sock.fileno(), 0o600)  # Linux gives the file the mode the socket has when it is bound
        sock.bind(path)
        os.chmod(path, 0o600)
        listener = Listener(_listening(sock), address, _identity(path))
        os.rename(path, address.path)  # whoever sees the file can connect
        return listener
    except BaseException:
        sock.close()
        raise


def _name_beside(path: str) -> str:
    """A name in the same directory; the path itself where any other would be too long for a socket."""
    beside = os.path.join(os.path.dirname(path), f".{secrets.token_hex(4)}")
    return beside if len(os.fsencode(beside)) <= _LONGEST_UNIX_PATH else path


def _make_way(path: str) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "a file that is not a socket is in the way")
    if is_served(path):
        raise OSError(errno.EADDRINUSE, "another server listens there")
    os.unlink(path)


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _bind_tcp(address: TcpAddress) -> list[Listener]:
    if address.host in _EVERYWHERE:
        return [_everywhere(address)]
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[Listener] = []
    port, failure = address.port, OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    for family, _, _, _, where in dict.fromkeys(found):
        try:
            sock = socket.create_server((where[0], port), family=family, backlog=_BACKLOG)
        except OSError as error:
            failure = error
            continue
        port = sock.getsockname()[1]
        listeners.append(Listener(_listening(sock), TcpAddress(address.host, port)))
    if not listeners:
        raise failure
    return listeners


def _everywhere(address: TcpAddress) -> Listener:
    if socket.has_dualstack_ipv6():
        sock = socket.create_server(
            ("::", address.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
        )
    else:
        sock = socket.create_server(("0.0.0.0", address.port), backlog=_BACKLOG)
    return Listener(_listening(sock), TcpAddress(address.host or "::", sock.getsockname()[1]))


def _listening(sock: socket.socket) -> socket.socket:
    sock.listen(_BACKLOG)
    sock.setblocking(False)
    return sock
