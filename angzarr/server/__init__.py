"""Routers on the wire: serving, health, readiness, transport, reflection, logs."""

from angzarr.router.grpc import (
    CommandHandlerGrpc,
    ProcessManagerGrpc,
    ProjectorGrpc,
    SagaGrpc,
    UpcasterGrpc,
)
from angzarr.server.grpc_server import GrpcServer, Servable
from angzarr.server.handle import ServerHandle
from angzarr.server.health import HealthService
from angzarr.server.logs import configure_logging
from angzarr.server.options import ServerOptions
from angzarr.server.reflection import ReflectionService
from angzarr.server.runners import (
    run_command_handler_server,
    run_process_manager_server,
    run_projector_server,
    run_saga_server,
    run_server,
    run_upcaster_server,
)
from angzarr.server.serving import create_server, serve
from angzarr.server.tls import server_tls
from angzarr.server.transport import (
    DEFAULT_BIND_HOST,
    ENV_BIND_ADDRESS,
    ServerConfig,
    cleanup_socket,
    get_transport_config,
    resolve_bind_address,
)

__all__ = [
    "DEFAULT_BIND_HOST",
    "ENV_BIND_ADDRESS",
    "CommandHandlerGrpc",
    "GrpcServer",
    "HealthService",
    "ProcessManagerGrpc",
    "ProjectorGrpc",
    "ReflectionService",
    "SagaGrpc",
    "Servable",
    "ServerConfig",
    "ServerHandle",
    "ServerOptions",
    "UpcasterGrpc",
    "cleanup_socket",
    "configure_logging",
    "create_server",
    "get_transport_config",
    "resolve_bind_address",
    "run_command_handler_server",
    "run_process_manager_server",
    "run_projector_server",
    "run_saga_server",
    "run_server",
    "run_upcaster_server",
    "serve",
    "server_tls",
]
