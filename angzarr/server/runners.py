"""Blocking entry points: a whole process that serves, as the reference client spells it."""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from structlog.stdlib import BoundLogger

from angzarr.log import get_logger
from angzarr.server import environment
from angzarr.server.grpc_server import Servable
from angzarr.server.options import ServerOptions
from angzarr.server.readiness import output_probes
from angzarr.server.serving import build, run
from angzarr.server.tls import tls_of_environment
from angzarr.server.transport import DEFAULT_PORT, transport_of_environment

log: BoundLogger = get_logger(__name__)


class _Console:
    """The library's log, and a line on stdout about the start where logging is not configured to show it."""

    @staticmethod
    def info(event: str, **context: Any) -> None:
        log.info(event, **context)
        if event == "server_started" and not log.isEnabledFor(logging.INFO):
            text = "Server started: {service} ({domain}) on {address} ({transport})\n".format_map(context)
            sys.stdout.write(text)
            sys.stdout.flush()


def run_server(
    add_servicer_func: Callable[[Any], Servable] | None,
    servicer: Any,
    service_name: str = "",
    domain: str = "",
    default_port: int | str = DEFAULT_PORT,
    sync_output_domains: Sequence[str] | None = None,
    has_async_outputs: bool = False,
    logger: Any = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return. Blocks; runs its own event loop (uvloop's if installed).

    Args:
        add_servicer_func: None, or makes a grpclib service of the servicer.
        servicer: a router or other grpclib service.
        service_name: a further name for health.
        domain: goes into the log.
        default_port: port when PORT is not set.
        sync_output_domains: domains whose coordinators readiness needs; the router's own by default.
        has_async_outputs: whether readiness needs the message bus (ANGZARR_BUS_ENDPOINT).
        logger: has ``info(event, **context)``; structlog's by default, and where that shows nothing, a line on stdout
            says that the server has started.

    Raises:
        InvalidArgumentError: INVALID_PORT, INVALID_ENVIRONMENT, ENDPOINT_INVALID_URI.
        ClientError: BIND_FAILED, the address cannot be listened on.
    """
    service = servicer if add_servicer_func is None else add_servicer_func(servicer)
    domains = sync_output_domains
    if domains is None:
        domains = list(getattr(servicer, "sync_output_domains", list)())
    run_blocking(
        lambda: _serve(service, service_name, domain, int(default_port), domains, has_async_outputs, logger)
    )


def run_command_handler_server(router: Any, domain: str = "", default_port: int = DEFAULT_PORT) -> None:
    """Serve a command handler router until SIGTERM or SIGINT; see `run_server`.

    Args:
        router: what ``Router(...).build()`` returned.
        domain: goes into the log.
        default_port: port when PORT is not set.

    Raises:
        ClientError: as `run_server`.
    """
    _run_router(router, "CommandHandlerService", domain, default_port)


def run_saga_server(router: Any, domain: str = "", default_port: int = DEFAULT_PORT) -> None:
    """As `run_command_handler_server`, for a saga router; ready once the domains of its sync sagas are reachable."""
    _run_router(router, "SagaService", domain, default_port)


def run_process_manager_server(router: Any, domain: str = "", default_port: int = DEFAULT_PORT) -> None:
    """As `run_command_handler_server`, for a process manager router; ready once its sync targets are reachable."""
    _run_router(router, "ProcessManagerService", domain, default_port)


def run_projector_server(router: Any, domain: str = "", default_port: int = DEFAULT_PORT) -> None:
    """As `run_command_handler_server`, for a projector router."""
    _run_router(router, "ProjectorService", domain, default_port)


def run_upcaster_server(router: Any, domain: str = "", default_port: int = DEFAULT_PORT) -> None:
    """As `run_command_handler_server`, for an upcaster router."""
    _run_router(router, "UpcasterService", domain, default_port)


def run_blocking(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function in a new event loop, uvloop's if it is installed.

    Args:
        main: called without arguments inside the loop.
    """
    with asyncio.Runner(loop_factory=_uvloop()) as runner:
        runner.run(main())


def _run_router(router: Any, service_name: str, domain: str, default_port: int) -> None:
    outputs = getattr(router, "has_async_outputs", lambda: False)()
    run_server(None, router, service_name, domain, default_port, has_async_outputs=outputs)


async def _serve(
    service: Servable,
    service_name: str,
    domain: str,
    default_port: int,
    sync_output_domains: Sequence[str],
    has_async_outputs: bool,
    logger: Any,
) -> None:
    transport, address = transport_of_environment(default_port)
    options = ServerOptions(max_message_bytes=environment.message_limit())
    outputs = output_probes(sync_output_domains, bus=has_async_outputs)
    handle = build([service], service_name, address, options, outputs=outputs, tls=tls_of_environment())
    await run(
        handle, logger or _Console(), {"service": service_name, "domain": domain, "transport": transport}
    )


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
