"""The RPCs of the wire contract, as data: clients, servers and the coordinator make their calls from these tables."""

from collections.abc import Mapping
from dataclasses import dataclass

import betterproto
from betterproto.lib.google.protobuf import Empty

from angzarr._gen.angzarr_client.proto import angzarr as pb

PACKAGE = "angzarr_client.proto.angzarr"


@dataclass(frozen=True, slots=True)
class Rpc:
    """One method of a service.

    Attributes:
        path: the HTTP/2 path, ``/package.Service/Method``.
        name: the method's name in the contract, such as ``HandleCommand``.
        request: class of the request message.
        response: class of the response message.
        client_streaming: whether the caller sends many requests.
        server_streaming: whether the server sends many responses.
    """

    path: str
    name: str
    request: type[betterproto.Message]
    response: type[betterproto.Message]
    client_streaming: bool = False
    server_streaming: bool = False

    @property
    def python_name(self) -> str:
        """The method's name on stubs and services, such as ``handle_command``."""
        return betterproto.casing.snake_case(self.name)


@dataclass(frozen=True, slots=True)
class Service:
    """One service: its full protobuf name and its methods by name."""

    full_name: str
    rpcs: Mapping[str, Rpc]

    @property
    def short_name(self) -> str:
        """The name without its package."""
        return self.full_name.rpartition(".")[2]


_Signature = tuple[type[betterproto.Message], type[betterproto.Message]]


def service(full_name: str, *, streaming: Mapping[str, str] | None = None, **rpcs: _Signature) -> Service:
    """Describe a service.

    Args:
        full_name: package and name.
        streaming: method name → ``"server"`` or ``"both"``; methods that are not named are unary.
        rpcs: method name → (request class, response class).
    """
    kinds = streaming or {}
    return Service(
        full_name,
        {
            name: Rpc(
                path=f"/{full_name}/{name}",
                name=name,
                request=request,
                response=response,
                client_streaming=kinds.get(name) == "both",
                server_streaming=name in kinds,
            )
            for name, (request, response) in rpcs.items()
        },
    )


def _own(name: str, *, streaming: Mapping[str, str] | None = None, **rpcs: _Signature) -> Service:
    return service(f"{PACKAGE}.{name}", streaming=streaming, **rpcs)


COMMAND_HANDLER = _own(
    "CommandHandlerService",
    Handle=(pb.ContextualCommand, pb.BusinessResponse),
    HandleFact=(pb.FactRequest, pb.EventBook),
    Replay=(pb.ReplayRequest, pb.ReplayResponse),
)
COMMAND_HANDLER_COORDINATOR = _own(
    "CommandHandlerCoordinatorService",
    HandleCommand=(pb.CommandRequest, pb.CommandResponse),
    HandleEvent=(pb.EventRequest, pb.FactInjectionResponse),
    HandleSyncSpeculative=(pb.SpeculateCommandHandlerRequest, pb.CommandResponse),
    HandleCompensation=(pb.CommandRequest, pb.BusinessResponse),
)
EVENT_QUERY = _own(
    "EventQueryService",
    streaming={"GetEvents": "server", "Synchronize": "both", "GetAggregateRoots": "server"},
    GetEventBook=(pb.Query, pb.EventBook),
    GetEvents=(pb.Query, pb.EventBook),
    Synchronize=(pb.Query, pb.EventBook),
    GetAggregateRoots=(Empty, pb.AggregateRoot),
)
EVENT_STREAM = _own(
    "EventStreamService",
    streaming={"Subscribe": "server"},
    Subscribe=(pb.EventStreamFilter, pb.EventBook),
)
SAGA = _own("SagaService", Handle=(pb.SagaHandleRequest, pb.SagaResponse))
SAGA_COORDINATOR = _own(
    "SagaCoordinatorService",
    Execute=(pb.SagaHandleRequest, pb.SagaResponse),
    ExecuteSpeculative=(pb.SpeculateSagaRequest, pb.SagaResponse),
)
PROCESS_MANAGER = _own(
    "ProcessManagerService", Handle=(pb.ProcessManagerHandleRequest, pb.ProcessManagerHandleResponse)
)
PROCESS_MANAGER_COORDINATOR = _own(
    "ProcessManagerCoordinatorService",
    Handle=(pb.ProcessManagerCoordinatorRequest, pb.ProcessManagerHandleResponse),
    HandleSpeculative=(pb.SpeculatePmRequest, pb.ProcessManagerHandleResponse),
)
PROJECTOR = _own(
    "ProjectorService",
    Handle=(pb.EventBook, pb.Projection),
    HandleSpeculative=(pb.EventBook, pb.Projection),
)
PROJECTOR_COORDINATOR = _own(
    "ProjectorCoordinatorService",
    HandleSync=(pb.EventRequest, pb.Projection),
    Handle=(pb.EventBook, Empty),
    HandleSpeculative=(pb.SpeculateProjectorRequest, pb.Projection),
)
UPCASTER = _own("UpcasterService", Upcast=(pb.UpcastRequest, pb.UpcastResponse))

SERVICES: tuple[Service, ...] = (
    COMMAND_HANDLER,
    COMMAND_HANDLER_COORDINATOR,
    EVENT_QUERY,
    EVENT_STREAM,
    SAGA,
    SAGA_COORDINATOR,
    PROCESS_MANAGER,
    PROCESS_MANAGER_COORDINATOR,
    PROJECTOR,
    PROJECTOR_COORDINATOR,
    UPCASTER,
)
