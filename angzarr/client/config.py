"""How a client talks to a coordinator: one frozen dataclass."""

import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from angzarr.arguments import is_number, is_whole, require, unfit
from angzarr.client.breaker import BreakerConfig
from angzarr.client.metadata import Metadata, checked_metadata
from angzarr.interceptors import Interceptor

Pem: TypeAlias = "bytes | str | os.PathLike[str] | None"
MetadataSource: TypeAlias = "Metadata | Mapping[str, str | bytes] | Callable[[], Awaitable[Metadata]]"

_TLS_FIELDS = ("root_certificates", "certificate_chain", "private_key")


@dataclass(frozen=True, kw_only=True)
class ChannelConfig:
    """Everything about a connection that is not its endpoint.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, a field makes no sense; details ``field``, ``actual`` (never a
            private key) and ``expected``.
    """

    root_certificates: Pem = None
    """PEM of the authorities to trust, as bytes, text or a file's path. None: the system's. Any of the three
    certificate fields turns TLS on, as ``https://`` does."""

    certificate_chain: Pem = None
    """PEM of this client's own certificate, for mutual TLS; needs ``private_key``."""

    private_key: Pem = field(default=None, repr=False)
    """PEM of the key of ``certificate_chain``, not encrypted."""

    authority: str | None = None
    """Name to call the server by (``:authority``, and the name its certificate must carry) where it differs from the
    endpoint's. None: the endpoint's."""

    keepalive_time: float | None = None
    """Seconds of silence after which the connection is pinged, calls or none. None: never while there are no calls,
    because servers cut off clients that ping more often than they allow (5 minutes is a common floor)."""

    keepalive_timeout: float = 10.0
    """Seconds to wait for the answer to a ping before the connection counts as dead."""

    probe_after: float | None = 20.0
    """Seconds of silence, while calls wait, after which the connection is pinged, so that a call without a timeout does
    not wait for ever on a connection that is dead: it fails ``keepalive_timeout`` later. Pinged again only after the
    server has sent something for a call, or 5 minutes, which every gRPC server allows. None: never."""

    connect_timeout: float = 10.0
    """Seconds for one attempt to open a connection: TCP, TLS, and the server's first word (its HTTP/2 SETTINGS)."""

    max_message_bytes: int = 10 * 1024 * 1024
    """Largest message in either direction, in bytes; RESOURCE_EXHAUSTED above. 10 MiB is what coordinators take."""

    timeout: float | None = None
    """Seconds for a call that states no timeout of its own, all its attempts together. None: no limit."""

    metadata: MetadataSource = ()
    """Metadata of every call: pairs or a mapping, or an async callable that gives them anew for each call, for tokens
    that expire. Keys are lower case; a value is printable ASCII, or bytes under a key that ends in ``-bin``."""

    balancing: Literal["first", "round_robin"] = "first"
    """What to do with a name of several addresses: one connection to the first that answers, or one to each, used in
    turns and looked up again when one goes or 30 s have passed (a Kubernetes headless service is the case)."""

    http2: Literal["lean", "h2"] = "lean"
    """What speaks HTTP/2 below the calls: our own connection, made for gRPC clients, or the h2 package's, which takes
    several times as long."""

    retry_budget: float = 100.0
    """Failures of calls that may follow each other, without a success between them, before nothing is retried any
    more, so that retries cannot multiply an outage."""

    retry_budget_ratio: float = 0.1
    """What one success gives back to the budget: retries are this share of the calls in the long run."""

    circuit_breaker: BreakerConfig | None = None
    """When to leave a failing server alone for a while. None: never."""

    interceptors: Sequence[Interceptor] = ()
    """What wraps every call, the first one outermost."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "interceptors", tuple(self.interceptors))
        self._check(
            "interceptors",
            all(hasattr(each, "intercept") for each in self.interceptors),
            "objects with intercept()",
        )
        self._check("balancing", self.balancing in ("first", "round_robin"), "'first' or 'round_robin'")
        self._check("http2", self.http2 in ("lean", "h2"), "'lean' or 'h2'")
        self._check("retry_budget", _positive(self.retry_budget) and self.retry_budget >= 1, "1 or more")
        self._check("retry_budget_ratio", _positive(self.retry_budget_ratio), "more than 0")
        self._check(
            "circuit_breaker",
            isinstance(self.circuit_breaker, BreakerConfig | None),
            "a BreakerConfig or None",
        )
        for name in ("keepalive_time", "probe_after", "timeout"):
            self._check(
                name,
                getattr(self, name) is None or _positive(getattr(self, name)),
                "seconds above 0, or None",
            )
        for name in ("keepalive_timeout", "connect_timeout"):
            self._check(name, _positive(getattr(self, name)), "seconds above 0")
        limit = self.max_message_bytes
        self._check(
            "max_message_bytes",
            is_whole(limit) and 1 <= limit < 2**32,
            "a number of bytes, 1 or more, below 4 GiB",
        )
        self._check(
            "authority",
            self.authority is None or (isinstance(self.authority, str) and _is_authority(self.authority)),
            "host or host:port, or None",
        )
        if not callable(self.metadata):
            object.__setattr__(self, "metadata", checked_metadata(self.metadata))
        self._check_certificates()

    @property
    def has_certificates(self) -> bool:
        """Whether a certificate field is set, and with it TLS."""
        return any(getattr(self, name) is not None for name in _TLS_FIELDS)

    def ssl_context(self) -> ssl.SSLContext:
        """A TLS client context of these certificates.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT, a certificate or key cannot be read; details ``field``.
        """
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
        if self.root_certificates is not None:
            context = self._trusting(context)
        if self.certificate_chain is not None:
            try:
                with _file(self.certificate_chain) as chain, _file(self.private_key) as key:
                    context.load_cert_chain(chain, key, password=_no_password)
            except (OSError, ValueError) as error:
                raise unfit("certificate_chain", error, "PEM of a certificate and its private_key") from error
        return context

    def _trusting(self, context: ssl.SSLContext) -> ssl.SSLContext:
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        own.minimum_version = context.minimum_version
        own.set_alpn_protocols(["h2"])
        try:
            with _file(self.root_certificates) as roots:
                own.load_verify_locations(cafile=roots)
        except (OSError, ValueError) as error:
            raise unfit("root_certificates", error, "PEM of one or more certificates") from error
        return own

    def _check_certificates(self) -> None:
        for name in _TLS_FIELDS:
            self._check(
                name, isinstance(getattr(self, name), bytes | str | os.PathLike | None), "PEM or a path"
            )
        if (self.certificate_chain is None) != (self.private_key is None):
            missing = "private_key" if self.private_key is None else "certificate_chain"
            raise unfit(missing, None, "certificate_chain and private_key go together")
        if self.has_certificates:
            self.ssl_context()

    def _check(self, name: str, holds: bool, expected: str) -> None:
        require(holds, name, getattr(self, name), expected)


def _positive(value: object) -> bool:
    return is_number(value) and value > 0


def _is_authority(text: str) -> bool:
    return bool(text) and all("!" <= character <= "~" and character not in "/?#@" for character in text)


def _no_password() -> str:
    raise ValueError("the private key is encrypted")


@contextmanager
def _file(pem: Pem) -> Iterator[str]:
    """The path of a PEM: ssl reads private keys from files only."""
    if isinstance(pem, str) and not pem.lstrip().startswith("-----BEGIN"):
        yield pem
    elif isinstance(pem, os.PathLike):
        yield os.fspath(pem)
    else:
        raw = pem.encode() if isinstance(pem, str) else pem or b""
        with _temporary(raw) as path:
            yield path


@contextmanager
def _temporary(raw: bytes) -> Iterator[str]:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("angzarr-pem")
        try:
            os.set_blocking(descriptor, False)
            os.write(descriptor, raw)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "pem")
            with open(path, "wb") as file:
                file.write(raw)
            yield path
