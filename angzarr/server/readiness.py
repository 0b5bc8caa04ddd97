"""Whether a server is ready for traffic: probes of what it needs, and the supervisor that turns them into health.

Of the domains a router sends commands to, only those it waits for (sync targets) are probed; what goes through the
bus needs the bus alone.

| variable | meaning | default |
|---|---|---|
| ANGZARR_READINESS_PROBE_INTERVAL | seconds between rounds of probes | 30 |
| ANGZARR_READINESS_PROBE_TIMEOUT | seconds each probe may take | 2 |
| ANGZARR_BUS_ENDPOINT | where the message broker is: host:port, or a socket's path | not probed |
| ANGZARR_MODE and others | where coordinators are, see `resolve_ch_endpoint` | |
"""

import abc
import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Iterable, Sequence
from typing import Protocol, Self

from structlog.stdlib import BoundLogger

from angzarr.log import get_logger
from angzarr.server import environment
from angzarr.server.health import NOT_SERVING, SERVING, ServingStatus

log: BoundLogger = get_logger(__name__)

ENV_INTERVAL = "ANGZARR_READINESS_PROBE_INTERVAL"
ENV_TIMEOUT = "ANGZARR_READINESS_PROBE_TIMEOUT"
ENV_BUS_ENDPOINT = "ANGZARR_BUS_ENDPOINT"
DEFAULT_PROBE_INTERVAL = 30.0
DEFAULT_PROBE_TIMEOUT = 2.0


class HealthServicer(Protocol):
    """Where the supervisor writes to: `HealthService`, or anything else with its ``set``."""

    def set(self, service: str, status: ServingStatus, /) -> Awaitable[None] | None: ...


class Probe(abc.ABC):
    """One thing a server needs in order to serve."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What the log calls it."""

    @abc.abstractmethod
    async def check(self) -> bool:
        """Whether it is there now. May raise or take long; the supervisor copes with both."""


class TransportSignal:
    """Set once the server's own socket is bound."""

    def __init__(self) -> None:
        self._bound = False

    def mark_bound(self) -> None:
        """The socket is bound; there is no way back."""
        self._bound = True

    def is_bound(self) -> bool:
        """Whether the socket has been bound."""
        return self._bound


class TransportProbe(Probe):
    """Whether the server's own socket is bound.

    Args:
        signal: what the server sets when it is.
    """

    def __init__(self, signal: TransportSignal) -> None:
        self._signal = signal

    @classmethod
    def new(cls) -> tuple[Self, TransportSignal]:
        """A probe and the signal it looks at."""
        signal = TransportSignal()
        return cls(signal), signal

    @property
    def name(self) -> str:
        return "transport"

    async def check(self) -> bool:
        return self._signal.is_bound()


class OutputDomainProbe(Probe):
    """Whether the coordinator of a domain accepts connections.

    Args:
        domain: the domain; the probe's name.
        endpoint: ``host:port``, ``unix:path`` or ``/path``.
    """

    def __init__(self, domain: str, endpoint: str) -> None:
        self.domain = domain
        self.endpoint = endpoint

    @classmethod
    def for_domain(cls, domain: str) -> Self:
        """A probe of where `resolve_ch_endpoint` says the domain's coordinator is, now.

        Raises:
            ClientError: INVALID_TRANSPORT_MODE or INVALID_PORT, the environment is wrong.
        """
        from angzarr.client.endpoint import resolve_ch_endpoint

        return cls(domain, resolve_ch_endpoint(domain))

    @property
    def name(self) -> str:
        return self.domain

    async def check(self) -> bool:
        return await _accepts_connections(self.endpoint)


class BusProbe(Probe):
    """Whether the message broker accepts connections.

    Args:
        endpoint: the broker's address, in the forms `OutputDomainProbe` takes.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    @classmethod
    def from_env(cls) -> Self | None:
        """A probe of ANGZARR_BUS_ENDPOINT, or None when that is unset or blank."""
        endpoint = environment.text(ENV_BUS_ENDPOINT).strip()
        return cls(endpoint) if endpoint else None

    @property
    def name(self) -> str:
        return "bus"

    async def check(self) -> bool:
        return await _accepts_connections(self.endpoint)


def output_probes(domains: Iterable[str], *, bus: bool) -> list[Probe]:
    """Probes of what a router sends to.

    Args:
        domains: domains it waits for; each is probed once.
        bus: whether it sends through the bus, which is probed if ANGZARR_BUS_ENDPOINT says where it is.

    Raises:
        ClientError: INVALID_TRANSPORT_MODE or INVALID_PORT, the environment is wrong.
    """
    probes: list[Probe] = [OutputDomainProbe.for_domain(domain) for domain in dict.fromkeys(domains)]
    broker = BusProbe.from_env() if bus else None
    return probes if broker is None else [*probes, broker]


def probe_config_from_env() -> tuple[float, float]:
    """Seconds between rounds of probes, and seconds each probe may take (defaults 30 and 2).

    Raises:
        InvalidArgumentError: INVALID_ENVIRONMENT, with the variable and its value.
    """
    return (
        environment.seconds(ENV_INTERVAL, default=DEFAULT_PROBE_INTERVAL),
        environment.seconds(ENV_TIMEOUT, default=DEFAULT_PROBE_TIMEOUT),
    )


async def run_supervisor(
    probes: Sequence[Probe],
    health_servicer: HealthServicer,
    service_names: Iterable[str],
    interval: float = DEFAULT_PROBE_INTERVAL,
    timeout: float = DEFAULT_PROBE_TIMEOUT,
) -> None:
    """Probe forever: all probes well means SERVING, otherwise NOT_SERVING, for every name, every round.

    The first round runs at once; each failing probe is one log line a round. Runs until it is cancelled.

    Args:
        probes: what to look at, one after the other; none means SERVING.
        health_servicer: where the result goes.
        service_names: the names it is set for.
        interval: seconds between rounds.
        timeout: seconds each probe may take.
    """
    names = tuple(service_names)
    while True:
        passed = [await _passes(probe, timeout) for probe in probes]
        status = SERVING if all(passed) else NOT_SERVING
        for name in names:
            done = health_servicer.set(name, status)
            if inspect.isawaitable(done):
                await done
        await asyncio.sleep(interval)


async def _passes(probe: Probe, limit: float) -> bool:
    try:
        async with asyncio.timeout(limit) as scope:
            passed = await probe.check()
    except TimeoutError as error:
        if scope.expired():
            log.warning("readiness probe timed out", probe=probe.name, timeout=limit)
        else:
            log.error(f"readiness probe {probe.name} raised", probe=probe.name, exc_info=error)
        return False
    except Exception as error:  # a probe that breaks is a probe that fails
        log.error(f"readiness probe {probe.name} raised", probe=probe.name, exc_info=error)
        return False
    if not passed:
        log.warning("readiness probe failed", probe=probe.name)
    return bool(passed)


async def _accepts_connections(endpoint: str) -> bool:
    try:
        if (path := _unix_path(endpoint)) is not None:
            _, writer = await asyncio.open_unix_connection(path)
        else:
            host, port = _host_and_port(endpoint)
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, ValueError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def _unix_path(endpoint: str) -> str | None:
    if endpoint.startswith("unix:"):
        return endpoint.removeprefix("unix:")
    return endpoint if endpoint.startswith("/") else None


def _host_and_port(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"no port in {endpoint!r}")
    return host.removeprefix("[").removesuffix("]") or "localhost", int(port)
