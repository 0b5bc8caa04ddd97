"""Where the coordinator listens: one socket per domain, and one port for all."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from angzarr.coordinator.config import ServingConfig
from angzarr.coordinator.wire import served
from angzarr.messages.services import Service
from angzarr.server.grpc_server import GrpcServer
from angzarr.server.health import SERVING, HealthService
from angzarr.server.options import ServerOptions
from angzarr.server.reflection import OF_EVERY_SERVER, ReflectionService


async def health_of(
    services: Sequence[tuple[Service, object]], names: Iterable[str], unchecked: Collection[str]
) -> HealthService:
    """The health of a coordinator whose services are there: it as a whole, each service, and what else has a name.

    Args:
        services: what it serves.
        names: its domains and components.
        unchecked: those of them that nobody has looked at yet, so that they do not serve so far.
    """
    known = [name for service, _ in services for name in (service.full_name, service.short_name)]
    health = HealthService(["", *known, *names])
    for name in health.names:
        if name not in unchecked:
            await health.set(name, SERVING)
    return health


async def server_for(
    services: Sequence[tuple[Service, object]], health: HealthService, config: ServingConfig
) -> GrpcServer:
    """A server of the coordinator's services, with health and reflection, listening nowhere yet."""
    options = ServerOptions(max_message_bytes=config.max_message_bytes, grace=config.grace)
    names = [service.full_name for service, _ in services]
    reflection = ReflectionService([*names, *OF_EVERY_SERVER])
    return GrpcServer(
        served(services, config.max_details_bytes), background=[health, reflection], options=options
    )


async def listen(server: GrpcServer, domains: Iterable[str], uds_base: str | None, tcp: str | None) -> None:
    """Bind what was asked for: ``ch-<domain>.sock`` below ``uds_base`` for each domain, and ``tcp``.

    Raises:
        ClientError: BIND_FAILED, an address is in use or cannot be made.
        InvalidArgumentError: ENDPOINT_INVALID_URI.
    """
    if uds_base is not None:
        for domain in domains:
            await server.listen(f"unix:{Path(uds_base) / f'ch-{domain}.sock'}")
    if tcp is not None:
        await server.listen(tcp)
