"""Where a coordinator listens: the grammar of endpoints, and the endpoint of a domain."""

import ipaddress
import os
import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import SplitResult, urlsplit

from angzarr.error_codes import codes, keys, messages
from angzarr.errors import InvalidArgumentError

ENV_MODE = "ANGZARR_MODE"
ENV_UDS_BASE = "ANGZARR_UDS_BASE"
ENV_NAMESPACE = "ANGZARR_NAMESPACE"
ENV_PORT = "ANGZARR_CH_PORT"

DEFAULT_UDS_BASE = "/tmp/angzarr"

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_LONGEST_SOCKET_PATH = 107


class TransportMode(Enum):
    """How clients reach a domain's coordinator: a Unix socket on this machine, or a Kubernetes service."""

    STANDALONE = "standalone"
    DISTRIBUTED = "distributed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint, taken apart.

    Attributes:
        text: as it was given.
        host: name or address to connect to; ``""`` for a Unix socket.
        port: TCP port; 0 for a Unix socket.
        path: path of the Unix socket; ``""`` for TCP.
        tls: True for ``https://``, False for ``http://``, None where the text does not say.
    """

    text: str
    host: str = ""
    port: int = 0
    path: str = ""
    tls: bool | None = None

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""
        return bool(self.path)

    @property
    def authority(self) -> str:
        """What calls name as their authority."""
        if self.path:
            return "localhost"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """Take an endpoint apart.

    Args:
        text: ``host:port``, ``[v6]:port``, ``/abs.sock``, ``./rel.sock``, ``unix:path``, ``unix:///abs``,
            ``http://host[:port]`` (plaintext) or ``https://host[:port]`` (TLS).

    Raises:
        InvalidArgumentError: ENDPOINT_INVALID_URI; details ``endpoint`` (the text) and ``cause``.
    """
    if not isinstance(text, str):
        raise _invalid(text, f"an endpoint is a text, not {type(text).__name__}")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise _invalid(text, "spaces and control characters do not belong into an endpoint")
    if text.startswith(("/", "./")):
        return _unix(text, text)
    if text.startswith("unix:"):
        rest = text[len("unix:") :]
        return _unix(text, rest[2:] if rest.startswith("//") else rest)
    if text.startswith(("http://", "https://")):
        return _url(text)
    if "://" in text:
        raise _invalid(text, "its scheme is none of http, https and unix")
    host, port = _host_and_port(text, text)
    return Endpoint(text, host=host, port=port)


def _unix(text: str, path: str) -> Endpoint:
    if not path or path.endswith("/"):
        raise _invalid(text, "it names no socket file")
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise _invalid(text, f"a socket's path has at most {_LONGEST_SOCKET_PATH} bytes")
    return Endpoint(text, path=path)


def _url(text: str) -> Endpoint:
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise _invalid(text, str(error)) from error
    if parts.path not in ("", "/") or "?" in text or "#" in text or "@" in parts.netloc:
        raise _invalid(text, "only scheme, host and port belong here")
    tls = parts.scheme == "https"
    host, port = _host_and_port(text, _with_port(parts, 443 if tls else 80))
    return Endpoint(text, host=host, port=port, tls=tls)


def _with_port(parts: SplitResult, default: int) -> str:
    after_address = parts.netloc.rpartition("]")[2]
    return parts.netloc if ":" in after_address else f"{parts.netloc}:{default}"


def _host_and_port(text: str, address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon:
        raise _invalid(text, "a port is missing, as in localhost:1310")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise _invalid(text, f"{port!r} is not a port from 1 to 65535")
    return _host(text, host), int(port)


def _host(text: str, host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError as error:
            raise _invalid(text, str(error)) from error
    if ":" in host:
        raise _invalid(text, "an IPv6 address goes in brackets, as in [::1]:1310")
    if not _HOST.fullmatch(host) or len(host) > 254:
        raise _invalid(text, f"{host!r} is not a host name" if host else "a host is missing")
    if re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError as error:
            raise _invalid(text, str(error)) from error
    return host


def _invalid(text: object, cause: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        messages.ENDPOINT_INVALID_URI,
        code=codes.ENDPOINT_INVALID_URI,
        details={keys.ENDPOINT: text, keys.CAUSE: cause},
    )


def resolve_ch_endpoint(
    domain: str,
    mode: TransportMode | None = None,
    *,
    uds_base: str = DEFAULT_UDS_BASE,
    namespace: str = "angzarr",
    port: int = 1310,
) -> str:
    """The endpoint of a domain's command handler coordinator.

    The environment wins over the keyword arguments, an explicit ``mode`` over the environment. Variables that are set
    to nothing count as unset.

    Args:
        domain: such as ``"player"``.
        mode: None reads ``ANGZARR_MODE``, ``distributed`` where it is unset.
        uds_base: directory of the Unix sockets; ``ANGZARR_UDS_BASE`` overrides it.
        namespace: Kubernetes namespace; ``ANGZARR_NAMESPACE`` overrides it.
        port: TCP port; ``ANGZARR_CH_PORT`` overrides it.

    Returns:
        ``{uds_base}/ch-{domain}.sock`` or ``ch-{domain}.{namespace}.svc:{port}``.

    Raises:
        InvalidArgumentError: INVALID_TRANSPORT_MODE or INVALID_PORT, details ``env_var`` and ``input``; VALUE_EMPTY
            without a domain; ENDPOINT_INVALID_URI where a domain cannot be part of an endpoint.
    """
    if not domain:
        raise InvalidArgumentError(
            messages.VALUE_EMPTY, code=codes.VALUE_EMPTY, details={keys.FIELD: "domain"}
        )
    if (mode or _mode_from_environment()) is TransportMode.STANDALONE:
        base = os.environ.get(ENV_UDS_BASE) or uds_base
        return _checked(f"{base}/ch-{domain}.sock", domain)
    where = os.environ.get(ENV_NAMESPACE) or namespace
    return _checked(f"ch-{domain}.{where}.svc:{_port_from_environment(port)}", domain)


def _checked(endpoint: str, domain: str) -> str:
    if "/" in domain or "\0" in domain:
        raise _invalid(endpoint, f"{domain!r} is not a domain")
    return endpoint


def _mode_from_environment() -> TransportMode:
    text = os.environ.get(ENV_MODE) or TransportMode.DISTRIBUTED.value
    try:
        return TransportMode(text)
    except ValueError as error:
        raise _bad_variable(
            codes.INVALID_TRANSPORT_MODE, ENV_MODE, text, "standalone or distributed"
        ) from error


def _port_from_environment(default: int) -> int:
    text = os.environ.get(ENV_PORT)
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise _bad_variable(codes.INVALID_PORT, ENV_PORT, text, "a number from 1 to 65535")
    return int(text)


def _bad_variable(code: str, variable: str, value: str, expected: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{getattr(messages, code)}: {variable}={value!r}; give {expected}",
        code=code,
        details={keys.ENV_VAR: variable, keys.INPUT: value, keys.EXPECTED: expected},
    )
