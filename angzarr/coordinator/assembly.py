"""What a coordinator coordinates: the application's routers and what was given beside them."""

from collections.abc import Iterable, Mapping
from typing import Any

from angzarr.coordinator import errors
from angzarr.coordinator.handlers import (
    Components,
    HandlerEndpoint,
    ProcessManagerComponent,
    ProcessManagerEndpoint,
    ProjectorComponent,
    ProjectorEndpoint,
    SagaComponent,
    SagaEndpoint,
    UpcasterEndpoint,
)
from angzarr.coordinator.local import components_of
from angzarr.coordinator.remote import (
    RemoteHandler,
    RemoteProcessManager,
    RemoteProjector,
    RemoteSaga,
    RemoteUpcaster,
)
from angzarr.errors import ClientError

Handlers = Mapping[str, str | HandlerEndpoint]
Sagas = Mapping[str, tuple[str, str | SagaEndpoint]]
ProcessManagers = Mapping[str, tuple[str, Iterable[str], str | ProcessManagerEndpoint]]
Projectors = Mapping[str, tuple[Iterable[str], str | ProjectorEndpoint]]
Upcasters = Mapping[str, str | UpcasterEndpoint]


def assembled(
    routers: Iterable[Any],
    handlers: Handlers,
    sagas: Sagas,
    process_managers: ProcessManagers,
    projectors: Projectors,
    upcasters: Upcasters,
) -> Components:
    """Everything together, each name once.

    Raises:
        ClientError: COORDINATOR_CONFIG, a name or domain stands for two things.
        InvalidArgumentError: ENDPOINT_INVALID_URI.
    """
    known = components_of(routers)
    commands: dict[str, HandlerEndpoint] = {
        domain: RemoteHandler(one) if isinstance(one, str) else one for domain, one in handlers.items()
    }
    versions: dict[str, UpcasterEndpoint] = {
        domain: RemoteUpcaster(one) if isinstance(one, str) else one for domain, one in upcasters.items()
    }
    _once("domain", known.command_handlers, commands)
    _once("upcasters of", known.upcasters, versions)
    components = Components(
        {**known.command_handlers, **commands},
        (*known.sagas, *(_saga(name, *given) for name, given in sagas.items())),
        (*known.process_managers, *(_manager(name, *given) for name, given in process_managers.items())),
        (*known.projectors, *(_projector(name, *given) for name, given in projectors.items())),
        {**known.upcasters, **versions},
    )
    _distinct("saga", [saga.name for saga in components.sagas])
    _distinct("process manager", [manager.name for manager in components.process_managers])
    _distinct("projector", [projector.name for projector in components.projectors])
    return components


def _saga(name: str, source: str, endpoint: str | SagaEndpoint) -> SagaComponent:
    return SagaComponent(name, source, RemoteSaga(endpoint) if isinstance(endpoint, str) else endpoint)


def _manager(
    name: str, pm_domain: str, sources: Iterable[str], endpoint: str | ProcessManagerEndpoint
) -> ProcessManagerComponent:
    reached = RemoteProcessManager(endpoint) if isinstance(endpoint, str) else endpoint
    return ProcessManagerComponent(name, pm_domain, tuple(sources), reached)


def _projector(name: str, domains: Iterable[str], endpoint: str | ProjectorEndpoint) -> ProjectorComponent:
    reached = RemoteProjector(endpoint) if isinstance(endpoint, str) else endpoint
    return ProjectorComponent(name, tuple(domains), reached)


def _once(what: str, known: Mapping[str, object], given: Mapping[str, object]) -> None:
    for name in given:
        if name in known:
            raise ClientError(
                f"{what} {name!r} is in the application and given beside it: leave one out",
                code=errors.COORDINATOR_CONFIG,
                details={"name": name},
            )


def _distinct(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ClientError(
                f"two {what}s are called {name!r}: rename one, positions and retries are kept by name",
                code=errors.COORDINATOR_CONFIG,
                details={"name": name},
            )


def remotes(components: Components) -> list[Any]:
    """The endpoints that hold connections."""
    endpoints: list[Any] = [
        *components.command_handlers.values(),
        *components.upcasters.values(),
        *(saga.endpoint for saga in components.sagas),
        *(manager.endpoint for manager in components.process_managers),
        *(projector.endpoint for projector in components.projectors),
    ]
    return [endpoint for endpoint in endpoints if hasattr(endpoint, "close")]
