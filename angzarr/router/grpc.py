"""Routers as grpclib services: which RPC calls what, and how exceptions become statuses.

The adapters are the five ``*Grpc`` names of ``angzarr.server``; a router's own ``__mapping__`` uses them, so that
``grpclib.server.Server([router])`` serves a router directly, with grpclib's codec or ours.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import grpclib
from grpclib.const import Cardinality, Handler, Status
from grpclib.encoding.base import StatusDetailsCodecBase
from grpclib.server import Stream

from angzarr.errors import DecodeError
from angzarr.messages import (
    BusinessResponse,
    ContextualCommand,
    EventBook,
    FactRequest,
    ProcessManagerHandleRequest,
    ProcessManagerHandleResponse,
    Projection,
    ReplayRequest,
    ReplayResponse,
    SagaHandleRequest,
    SagaResponse,
    UpcastRequest,
    UpcastResponse,
    services,
)
from angzarr.router.base import BuiltRouter
from angzarr.router.command_handler import CommandHandlerRouter
from angzarr.router.process_manager import ProcessManagerRouter
from angzarr.router.projector import ProjectorRouter
from angzarr.router.saga import SagaRouter
from angzarr.router.status import raise_status, status_of
from angzarr.router.upcaster import UpcasterRouter

__all__ = [
    "CommandHandlerGrpc",
    "ProcessManagerGrpc",
    "ProjectorGrpc",
    "RouterGrpc",
    "SagaGrpc",
    "UpcasterGrpc",
    "adapter_of",
]

R = TypeVar("R", bound=BuiltRouter)
T = TypeVar("T")


class RouterGrpc(Generic[R]):
    """A router as a grpclib service; the methods named after the RPCs can be called directly too.

    Each raises ``grpclib.GRPCError`` with the status that the failure travels as.

    Args:
        router: the built router.
    """

    service: ClassVar[services.Service]

    def __init__(self, router: R) -> None:
        self.router = router

    def __mapping__(self) -> Mapping[str, Handler]:
        """grpclib's table: path → handler."""
        return {
            rpc.path: Handler(self._served(rpc), Cardinality.UNARY_UNARY, rpc.request, rpc.response)
            for rpc in self.service.rpcs.values()
        }

    def _served(self, rpc: services.Rpc) -> Callable[[Stream[Any, Any]], Awaitable[None]]:
        method = getattr(self, rpc.name)
        by_bytes = self._dispatches_bytes(rpc)

        async def serve(stream: Stream[Any, Any]) -> None:
            _carry_details_as_bytes(stream)
            if by_bytes and hasattr(stream, "recv_bytes"):  # our server's streams, which leave bytes alone
                data: bytes = await stream.recv_bytes()
                await stream.send_bytes(await self._answer(self.router.dispatch_bytes(data)))  # type: ignore[attr-defined]
                return
            try:
                request = await stream.recv_message()
            except DecodeError as error:
                raise status_of(error) from error
            assert request is not None
            await stream.send_message(await method(request))

        return serve

    def _dispatches_bytes(self, rpc: services.Rpc) -> bool:
        """Whether the RPC is the router's ``dispatch`` and no subclass has put something of its own in between."""
        return rpc is next(iter(self.service.rpcs.values())) and type(self) is _ADAPTERS.get(self.router.kind)

    async def _answer(self, operation: Awaitable[T]) -> T:
        try:
            return await operation
        except BaseException as error:
            raise_status(error, expose_internal_errors=self.router.expose_internal_errors)


class CommandHandlerGrpc(RouterGrpc[CommandHandlerRouter]):
    """CommandHandlerService of a router. HandleFact and Replay are UNIMPLEMENTED unless a handler opts in."""

    service: ClassVar[services.Service] = services.COMMAND_HANDLER

    async def Handle(self, request: ContextualCommand, context: object = None) -> BusinessResponse:
        """Decide on a command."""
        return await self._answer(self.router.dispatch(request))

    async def HandleFact(self, request: FactRequest, context: object = None) -> EventBook:
        """Take facts in. UNIMPLEMENTED: the coordinator stores them as they are."""
        if not self.router.supports_handle_fact():
            raise grpclib.GRPCError(
                Status.UNIMPLEMENTED, "no handler of this router has a method decorated with @handles_fact"
            )
        return await self._answer(self.router.dispatch_fact(request))

    async def Replay(self, request: ReplayRequest, context: object = None) -> ReplayResponse:
        """Compute a state. UNIMPLEMENTED: the coordinator treats MERGE_COMMUTATIVE as MERGE_STRICT."""
        if not self.router.supports_replay():
            raise grpclib.GRPCError(
                Status.UNIMPLEMENTED,
                "no handler of this router is declared with @command_handler(supports_replay=True)",
            )
        return await self._answer(self.router.dispatch_replay(request))


class SagaGrpc(RouterGrpc[SagaRouter]):
    """SagaService of a router."""

    service: ClassVar[services.Service] = services.SAGA

    async def Handle(self, request: SagaHandleRequest, context: object = None) -> SagaResponse:
        """React to events."""
        return await self._answer(self.router.dispatch(request))


class ProcessManagerGrpc(RouterGrpc[ProcessManagerRouter]):
    """ProcessManagerService of a router."""

    service: ClassVar[services.Service] = services.PROCESS_MANAGER

    async def Handle(
        self, request: ProcessManagerHandleRequest, context: object = None
    ) -> ProcessManagerHandleResponse:
        """React to events."""
        return await self._answer(self.router.dispatch(request))


class ProjectorGrpc(RouterGrpc[ProjectorRouter]):
    """ProjectorService of a router."""

    service: ClassVar[services.Service] = services.PROJECTOR

    async def Handle(self, request: EventBook, context: object = None) -> Projection:
        """Take events into the view."""
        return await self._answer(self.router.dispatch(request))

    async def HandleSpeculative(self, request: EventBook, context: object = None) -> Projection:
        """Say what ``Handle`` would; handlers that ask for ``speculative`` are told so."""
        return await self._answer(self.router.dispatch(request, speculative=True))


class UpcasterGrpc(RouterGrpc[UpcasterRouter]):
    """UpcasterService of a router."""

    service: ClassVar[services.Service] = services.UPCASTER

    async def Upcast(self, request: UpcastRequest, context: object = None) -> UpcastResponse:
        """Bring events into their current form."""
        return await self._answer(self.router.dispatch(request))


_ADAPTERS: Mapping[str, Callable[[Any], RouterGrpc[Any]]] = {
    CommandHandlerRouter.kind: CommandHandlerGrpc,
    SagaRouter.kind: SagaGrpc,
    ProcessManagerRouter.kind: ProcessManagerGrpc,
    ProjectorRouter.kind: ProjectorGrpc,
    UpcasterRouter.kind: UpcasterGrpc,
}


def adapter_of(router: BuiltRouter) -> RouterGrpc[Any]:
    """The grpclib service of a router of any kind."""
    return _ADAPTERS[router.kind](router)


class _DetailsAsBytes(StatusDetailsCodecBase):
    """Sends ``GRPCError.details`` as they are: the bytes of grpc-status-details-bin."""

    def encode(self, status: Status, message: str | None, details: Any) -> bytes:
        return bytes(details)

    def decode(self, status: Status, message: str | None, data: bytes) -> Any:
        return data


_DETAILS_AS_BYTES = _DetailsAsBytes()


def _carry_details_as_bytes(stream: Stream[Any, Any]) -> None:
    """grpclib's own details codec wants google.protobuf messages, and is there only where those are installed."""
    stream._status_details_codec = _DETAILS_AS_BYTES
