"""The five kinds of router as one type."""

from typing import TYPE_CHECKING, TypeAlias, overload

from angzarr.router.command_handler import CommandHandlerRouter
from angzarr.router.process_manager import ProcessManagerRouter
from angzarr.router.projector import ProjectorRouter
from angzarr.router.saga import SagaRouter
from angzarr.router.upcaster import UpcasterRouter

AnyRouter: TypeAlias = (
    CommandHandlerRouter | SagaRouter | ProcessManagerRouter | ProjectorRouter | UpcasterRouter
)

if TYPE_CHECKING:
    from angzarr.messages import (
        BusinessResponse,
        ContextualCommand,
        EventBook,
        ProcessManagerHandleRequest,
        ProcessManagerHandleResponse,
        Projection,
        SagaHandleRequest,
        SagaResponse,
        UpcastRequest,
        UpcastResponse,
    )

    class RouterOfSomeKind(  # type: ignore[misc]  # their private methods differ
        CommandHandlerRouter, ProcessManagerRouter, ProjectorRouter, SagaRouter, UpcasterRouter
    ):
        """What ``Router.build()`` returns, to type checkers: fits wherever a router of any one kind is asked for.

        The kind depends on a class decorator, which type checkers do not follow. So they let all pass that is right for
        some kind, with its types, and refuse what is right for none. Annotate a variable to be checked for one kind::

            players: CommandHandlerRouter = Router("players").with_handler(Players, Players).build()
        """

        @overload
        async def dispatch(self, request: ContextualCommand) -> BusinessResponse: ...
        @overload
        async def dispatch(self, request: SagaHandleRequest) -> SagaResponse: ...
        @overload
        async def dispatch(self, request: ProcessManagerHandleRequest) -> ProcessManagerHandleResponse: ...
        @overload
        async def dispatch(self, request: EventBook, *, speculative: bool = False) -> Projection: ...
        @overload
        async def dispatch(self, request: UpcastRequest) -> UpcastResponse: ...
        async def dispatch(self, request: object, *, speculative: bool = False) -> object: ...

else:
    RouterOfSomeKind = AnyRouter
