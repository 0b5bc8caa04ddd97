"""Routers of this process behind the seam: no sockets, no encoding."""

from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator.handlers import (
    Components,
    HandlerEndpoint,
    ProcessManagerComponent,
    ProjectorComponent,
    SagaComponent,
)
from angzarr.coordinator.hot import HotHistory, NeedsEventsError
from angzarr.messages import (
    BusinessResponse,
    CommandBook,
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
)
from angzarr.router.status import raise_status

T = TypeVar("T")


async def _told(router: Any, operation: Awaitable[T]) -> T:
    """Await a router's answer; whatever it raises becomes the status it would have on the wire."""
    try:
        return await operation
    except BaseException as error:
        raise_status(error, expose_internal_errors=router.expose_internal_errors)


class LocalHandler:
    """A command handler router."""

    def __init__(self, router: Any) -> None:
        self.router = router

    async def handle(self, request: ContextualCommand) -> BusinessResponse:
        """See HandlerEndpoint.handle."""
        return await _told(self.router, self.router.dispatch(request))

    async def decide(self, command: CommandBook, history: HotHistory) -> BusinessResponse:
        """As ``handle``, over states that are kept.

        Raises:
            NeedsEventsError: a state is not known; nothing was decided.
        """
        try:
            answer: BusinessResponse = await self.router.decide(command, history)
            return answer
        except NeedsEventsError:
            raise
        except BaseException as error:
            raise_status(error, expose_internal_errors=self.router.expose_internal_errors)

    async def handle_fact(self, request: FactRequest) -> EventBook:
        """See HandlerEndpoint.handle_fact."""
        if not self.router.supports_handle_fact():
            raise GRPCError(Status.UNIMPLEMENTED, "no handler of this domain has @handles_fact methods")
        return await _told(self.router, self.router.dispatch_fact(request))

    async def replay(self, request: ReplayRequest) -> ReplayResponse:
        """See HandlerEndpoint.replay."""
        if not self.router.supports_replay():
            raise GRPCError(Status.UNIMPLEMENTED, "no handler of this domain has supports_replay=True")
        return await _told(self.router, self.router.dispatch_replay(request))


class LocalSaga:
    """A saga router."""

    def __init__(self, router: Any) -> None:
        self.router = router

    async def handle(self, request: SagaHandleRequest) -> SagaResponse:
        """See SagaEndpoint.handle."""
        return await _told(self.router, self.router.dispatch(request))


class LocalProcessManager:
    """A process manager router."""

    def __init__(self, router: Any) -> None:
        self.router = router

    async def handle(self, request: ProcessManagerHandleRequest) -> ProcessManagerHandleResponse:
        """See ProcessManagerEndpoint.handle."""
        return await _told(self.router, self.router.dispatch(request))


class LocalProjector:
    """A projector router."""

    def __init__(self, router: Any) -> None:
        self.router = router

    async def handle(self, book: EventBook) -> Projection:
        """See ProjectorEndpoint.handle."""
        return await _told(self.router, self.router.dispatch(book))

    async def handle_speculative(self, book: EventBook) -> Projection:
        """See ProjectorEndpoint.handle_speculative."""
        return await _told(self.router, self.router.dispatch(book, speculative=True))


class LocalUpcaster:
    """The upcaster routers of a domain, each given what the one before it answered."""

    def __init__(self, *routers: Any) -> None:
        self.routers = routers

    async def upcast(self, request: UpcastRequest) -> UpcastResponse:
        """See UpcasterEndpoint.upcast."""
        answer = UpcastResponse(events=request.events)
        for router in self.routers:
            request = UpcastRequest(domain=request.domain, events=answer.events)
            answer = await _told(router, router.dispatch(request))
        return answer


def components_of(routers: Iterable[Any]) -> Components:
    """What the routers of an application are to the coordinator: each class of a router by its own name."""
    commands: dict[str, HandlerEndpoint] = {}
    versions: dict[str, list[Any]] = {}
    sagas: list[SagaComponent] = []
    managers: list[ProcessManagerComponent] = []
    projectors: list[ProjectorComponent] = []
    for router in routers:
        if router.kind == "command_handler":
            commands.update({info.domain: LocalHandler(router) for info in router.handlers})
        elif router.kind == "upcaster":
            for domain in {info.domain for info in router.handlers}:
                versions.setdefault(domain, []).append(router)
        for one, info in _single(router):
            if router.kind == "saga":
                sagas.append(
                    SagaComponent(info.name, info.source, LocalSaga(one), info.targets, info.rejected)
                )
            elif router.kind == "process_manager":
                managers.append(
                    ProcessManagerComponent(
                        info.name, info.pm_domain, info.sources, LocalProcessManager(one), info.targets
                    )
                )
            elif router.kind == "projector":
                projectors.append(ProjectorComponent(info.name, info.domains, LocalProjector(one), info.cls))
    upcasters = {domain: LocalUpcaster(*of_domain) for domain, of_domain in versions.items()}
    return Components(commands, tuple(sagas), tuple(managers), tuple(projectors), upcasters)


def _single(router: Any) -> list[tuple[Any, Any]]:
    """Routers of one class each, so that each class has its own positions, retries and dead letters."""
    if router.handler_count() == 1:
        return [(router, router.handlers[0])]
    return [(router.only(info.name), info) for info in router.handlers]
