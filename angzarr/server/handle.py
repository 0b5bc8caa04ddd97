"""A server that is built but not started, and how it is started, watched and stopped."""

import asyncio
from dataclasses import dataclass, field
from types import CodeType

from angzarr.server.grpc_server import GrpcServer
from angzarr.server.health import HealthService
from angzarr.server.readiness import Probe, TransportSignal, run_supervisor


@dataclass
class ServerHandle:
    """A server, its health and where it will listen; built by `create_server`, not started.

    Attributes:
        server: what serves.
        address: where to listen, as configured; ``server.addresses`` has the ports that were bound.
        transport_signal: set once the socket is bound; the readiness supervisor looks at it.
        health_servicer: the health of the services.
        probes: what the readiness supervisor looks at.
        handlers: the code of the handlers served, by which one that holds the event loop is named.
    """

    server: GrpcServer
    address: str
    transport_signal: TransportSignal
    health_servicer: HealthService
    probes: list[Probe] = field(default_factory=list)
    handlers: dict[CodeType, str] = field(default_factory=dict, repr=False)

    async def start(self) -> None:
        """Bind and listen.

        Raises:
            InvalidArgumentError: ENDPOINT_INVALID_URI, the address makes no sense.
            ClientError: BIND_FAILED, with the endpoint and the cause.
        """
        await self.server.start()
        self.transport_signal.mark_bound()

    async def supervise(self, interval: float, timeout: float) -> None:
        """Turn the probes into the health of every name, until cancelled.

        Args:
            interval: seconds between rounds of probes.
            timeout: seconds each probe may take.
        """
        await run_supervisor(self.probes, self.health_servicer, self.health_servicer.names, interval, timeout)

    async def stop(self, grace: float | None = None, *, notice: float = 0) -> None:
        """Stop gracefully: health to NOT_SERVING first, then as `GrpcServer.drain`.

        Args:
            grace: seconds for calls in flight; the server's option by default.
            notice: seconds between the two.
        """
        await self.health_servicer.enter_graceful_shutdown()
        await asyncio.sleep(notice)
        await self.server.drain(grace)

    async def wait_for_termination(self) -> None:
        """Wait until the server has stopped."""
        await self.server.wait_stopped()
