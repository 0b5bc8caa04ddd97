"""Routers as a server process: bound by the environment, healthy when ready, drained on SIGTERM and SIGINT."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import anyio
from structlog.stdlib import BoundLogger

from angzarr.errors import InvalidArgumentError
from angzarr.interceptors import Interceptor
from angzarr.log import get_logger
from angzarr.router.base import BuiltRouter
from angzarr.server import environment
from angzarr.server.grpc_server import GrpcServer, Servable
from angzarr.server.handle import ServerHandle
from angzarr.server.health import HealthService
from angzarr.server.intercepted import Intercepted
from angzarr.server.options import ServerOptions
from angzarr.server.readiness import Probe, TransportProbe, output_probes, probe_config_from_env
from angzarr.server.reflection import OF_EVERY_SERVER, ReflectionService
from angzarr.server.signals import StopSignals
from angzarr.server.stalls import code_of, naming_stalls
from angzarr.server.tls import tls_of_environment
from angzarr.server.transport import transport_of_environment

log: BoundLogger = get_logger(__name__)

NOTICE = 0.1
"""Seconds between NOT_SERVING and the end of listening, so that whoever checks health learns of it first."""


@overload
def create_server(
    services: Servable | Iterable[Servable],
    service_name: str = "",
    /,
    *,
    address: str | None = None,
    options: ServerOptions | None = None,
    interceptors: Sequence[Interceptor] = (),
    tls: ssl.SSLContext | None = None,
) -> ServerHandle: ...
@overload
def create_server(
    services: Callable[[Any], Servable] | None,
    servicer: Any,
    service_name: str = "",
    *,
    address: str | None = None,
    options: ServerOptions | None = None,
    interceptors: Sequence[Interceptor] = (),
    tls: ssl.SSLContext | None = None,
) -> ServerHandle: ...
def create_server(
    services: Any,
    servicer: Any = "",
    service_name: str = "",
    *,
    address: str | None = None,
    options: ServerOptions | None = None,
    interceptors: Sequence[Interceptor] = (),
    tls: ssl.SSLContext | None = None,
) -> ServerHandle:
    """A server of routers or other services, with health and reflection; not started. Call it inside a running loop.

    Health starts as NOT_SERVING for ``""``, for the bare and the full name of each service, and for ``service_name``.

    Args:
        services: what to serve; or, as in the reference client, None or a callable that makes a grpclib service of the
            next argument.
        servicer: in the second form, what to serve.
        service_name: a further name for health.
        address: where to listen; by default what the environment says, see `angzarr.server.transport`.
        options: limits and timings; the message size comes from the environment by default.
        interceptors: go around every call, the first one outermost; see `angzarr.interceptors`.
        tls: for TLS, see `server_tls`; by default what the environment says, see `angzarr.server.tls`.

    Raises:
        InvalidArgumentError: INVALID_PORT, INVALID_ENVIRONMENT or ENDPOINT_INVALID_URI.
    """
    if isinstance(servicer, str):
        served, name = _listed(services), servicer or service_name
    else:
        served, name = [servicer if services is None else services(servicer)], service_name
    options = options or ServerOptions(max_message_bytes=environment.message_limit())
    where = address or transport_of_environment()[1]
    return build(served, name, where, options, interceptors=interceptors, tls=tls or tls_of_environment())


async def serve(
    *routers_or_app: Any,
    address: str | None = None,
    health_service: str | None = None,
    grace: float = 5.0,
    interceptors: Sequence[Interceptor] = (),
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or cancellation, then drain.

    Stopping: health says NOT_SERVING, no new calls are accepted, calls in flight finish within the grace period, the
    socket file goes. A second signal ends the grace period. A handler that holds the event loop for more than a second
    is named in the log, since nothing else happens meanwhile.

    Args:
        routers_or_app: built routers, of any kinds, an ``App``, or other grpclib services.
        address: ``"host:port"`` (0 for any free port) or ``"unix:/path"``; by default what the environment says, see
            `angzarr.server.transport`.
        health_service: a further name for health, beside ``""`` and the services' names.
        grace: seconds that calls in flight get when the server stops.
        interceptors: go around every call, the first one outermost; see `angzarr.interceptors`.
        tls: for TLS, see `server_tls`; by default what the environment says, see `angzarr.server.tls`.

    Raises:
        InvalidArgumentError: nothing to serve, routers of one kind whose options differ, or a wrong address or
            environment.
        ClientError: BIND_FAILED, the address cannot be listened on.
    """
    options = ServerOptions(max_message_bytes=environment.message_limit(), grace=grace)
    where = address or transport_of_environment()[1]
    handle = build(
        _joined(_flattened(routers_or_app)),
        health_service or "",
        where,
        options,
        interceptors=interceptors,
        tls=tls or tls_of_environment(),
    )
    await run(handle, log, {"services": handle.server.services})


async def run(handle: ServerHandle, logger: Any, context: Mapping[str, Any]) -> None:
    """Start a server, supervise it, wait for a reason to stop, drain it.

    Args:
        handle: what `create_server` returned.
        logger: has ``info(event, **context)``; told ``server_started`` and ``server_shutdown``.
        context: what goes into both.

    Raises:
        ClientError: as `ServerHandle.start`, or INVALID_ENVIRONMENT.
    """
    interval, limit = probe_config_from_env()
    with StopSignals() as signals, naming_stalls(handle.handlers):
        started = False
        try:
            await handle.start()
            started = True
            logger.info("server_started", address=", ".join(handle.server.addresses), **context)
            await _supervised(handle, signals, interval, limit)
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(handle, signals)
            if started:
                logger.info("server_shutdown", address=handle.address, **context)


async def _supervised(handle: ServerHandle, signals: StopSignals, interval: float, limit: float) -> None:
    """Until the signal to stop, or until the supervisor breaks, which is an error of its own."""
    supervisor = asyncio.create_task(handle.supervise(interval, limit), name="readiness")
    supervisor.add_done_callback(lambda _: signals.stop.set())
    try:
        await signals.stop.wait()
    finally:
        supervisor.cancel()
        await asyncio.gather(supervisor, return_exceptions=True)
    if not supervisor.cancelled():
        supervisor.result()


async def _stop(handle: ServerHandle, signals: StopSignals) -> None:
    hurry = asyncio.create_task(signals.hurry.wait(), name="hurry")
    hurry.add_done_callback(lambda task: None if task.cancelled() else handle.server.abort())
    await handle.stop(notice=min(NOTICE, handle.server.options.grace))
    hurry.cancel()


def build(
    services: list[Servable],
    name: str,
    address: str,
    options: ServerOptions | None = None,
    *,
    outputs: Iterable[Probe] | None = None,
    interceptors: Sequence[Interceptor] = (),
    tls: ssl.SSLContext | None = None,
) -> ServerHandle:
    """A server of these services with health, reflection and readiness probes, for an address.

    Args:
        services: routers and other grpclib services.
        name: a further name for health; may be empty.
        address: where to listen.
        options: limits and timings.
        outputs: probes of what the services need; by default of what the routers among them send to.
        interceptors: go around every call of the services.
        tls: for TLS; None for plaintext.

    Raises:
        InvalidArgumentError: there is nothing to serve, or two services claim one method.
    """
    full_names = sorted({path.split("/")[1] for service in services for path in service.__mapping__()})
    if not full_names:
        raise InvalidArgumentError("there is nothing to serve: pass built routers, an App, or gRPC services")
    bare_names = [full.rpartition(".")[2] for full in full_names]
    health = HealthService(dict.fromkeys(["", *full_names, *bare_names, name]))
    reflection = ReflectionService([*full_names, *OF_EVERY_SERVER])
    transport, signal = TransportProbe.new()
    return ServerHandle(
        server=GrpcServer(
            services,
            background=[health, Intercepted(reflection, interceptors)],
            interceptors=interceptors,
            options=options,
            address=address,
            tls=tls,
        ),
        address=address,
        transport_signal=signal,
        health_servicer=health,
        probes=[transport, *(_probes_of(services) if outputs is None else outputs)],
        handlers=code_of(services),
    )


def _probes_of(services: Iterable[Any]) -> list[Probe]:
    routers = [service for service in services if hasattr(service, "sync_output_domains")]
    domains = [domain for router in routers for domain in router.sync_output_domains()]
    return output_probes(domains, bus=any(router.has_async_outputs() for router in routers))


def _joined(services: Iterable[Any]) -> list[Servable]:
    """The same with one router for each kind: a kind's RPCs exist once on a server."""
    kinds: dict[object, list[Any]] = {}
    for service in services:
        kinds.setdefault(service.kind if isinstance(service, BuiltRouter) else id(service), []).append(
            service
        )
    try:
        return [first.joined(*others) if others else first for first, *others in kinds.values()]
    except ValueError as error:
        raise InvalidArgumentError(f"cannot serve several routers of one kind as one: {error}") from error


def _flattened(items: Iterable[Any]) -> Iterator[Servable]:
    for item in items:
        if hasattr(item, "__mapping__"):
            yield item
        elif hasattr(item, "routers"):
            yield from item.routers
        else:
            raise InvalidArgumentError(
                f"{item!r} cannot be served: pass built routers, an App, or gRPC services"
            )


def _listed(services: Any) -> list[Servable]:
    return _joined(_flattened([services] if hasattr(services, "__mapping__") else services))
