"""The seam between the coordinator and what it coordinates.

The coordinator speaks these small protocols; behind them is a router in this process, a business server reached by
gRPC, or whatever a test puts there. A refusal is raised as ``grpclib.GRPCError`` and travels to the caller unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

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
)


class HandlerEndpoint(Protocol):
    """The command handlers of a domain. Each method raises GRPCError; UNIMPLEMENTED says it is not offered."""

    async def handle(self, request: ContextualCommand) -> BusinessResponse:
        """Decide about a command, given the aggregate's history."""

    async def handle_fact(self, request: FactRequest) -> EventBook:
        """Take in facts from outside; answers the events to store for them."""

    async def replay(self, request: ReplayRequest) -> ReplayResponse:
        """Compute the state that events lead to."""


class SagaEndpoint(Protocol):
    """A saga."""

    async def handle(self, request: SagaHandleRequest) -> SagaResponse:
        """React to the events of one command."""


class ProcessManagerEndpoint(Protocol):
    """A process manager."""

    async def handle(self, request: ProcessManagerHandleRequest) -> ProcessManagerHandleResponse:
        """React to the events of one command, given the process's own history."""


class ProjectorEndpoint(Protocol):
    """A projector."""

    async def handle(self, book: EventBook) -> Projection:
        """Take events into the read model."""

    async def handle_speculative(self, book: EventBook) -> Projection:
        """Say what ``handle`` would, and change nothing."""


class UpcasterEndpoint(Protocol):
    """The upcasters of a domain."""

    async def upcast(self, request: UpcastRequest) -> UpcastResponse:
        """Bring stored events up to the newest version of their types."""


@dataclass(frozen=True)
class SagaComponent:
    """A saga as the coordinator knows it.

    Attributes:
        name: under which its retries and dead letters are kept.
        source: the domain whose events it is given.
        endpoint: the saga.
        targets: the domains it says it sends commands to.
        rejected: domain and short name of the commands whose rejection it wants to hear of, besides its source.
    """

    name: str
    source: str
    endpoint: SagaEndpoint
    targets: tuple[str, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ProcessManagerComponent:
    """A process manager as the coordinator knows it."""

    name: str
    pm_domain: str
    sources: tuple[str, ...]
    endpoint: ProcessManagerEndpoint
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProjectorComponent:
    """A projector as the coordinator knows it; domain ``*`` is all of them."""

    name: str
    domains: tuple[str, ...]
    endpoint: ProjectorEndpoint
    handler: type | None = None

    def takes(self, domain: str) -> bool:
        """Whether it subscribes to the domain; nobody does to those that begin with an underscore."""
        return not domain.startswith("_") and (domain in self.domains or "*" in self.domains)


@dataclass(frozen=True)
class Components:
    """Everything a coordinator coordinates."""

    command_handlers: Mapping[str, HandlerEndpoint] = field(default_factory=dict)
    sagas: tuple[SagaComponent, ...] = ()
    process_managers: tuple[ProcessManagerComponent, ...] = ()
    projectors: tuple[ProjectorComponent, ...] = ()
    upcasters: Mapping[str, UpcasterEndpoint] = field(default_factory=dict)

    @property
    def domains(self) -> tuple[str, ...]:
        """Every domain that takes commands or holds a process, sorted."""
        return tuple(
            sorted({*self.command_handlers, *(manager.pm_domain for manager in self.process_managers)})
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Every domain, saga, process manager and projector, sorted."""
        names = [one.name for one in self.sagas] + [one.name for one in self.process_managers]
        return tuple(sorted({*self.domains, *names, *(one.name for one in self.projectors)}))
