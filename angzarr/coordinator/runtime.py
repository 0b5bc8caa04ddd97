"""The parts of a running coordinator, put together."""

from anyio.abc import TaskGroup

from angzarr.coordinator.admin import AdminService
from angzarr.coordinator.commands import CommandPipeline
from angzarr.coordinator.component_services import (
    EventStreamService,
    ProcessManagerCoordinatorService,
    ProjectorCoordinatorService,
    SagaCoordinatorService,
)
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.facts import FactPipeline
from angzarr.coordinator.fan_out import Following
from angzarr.coordinator.health import HealthMonitor
from angzarr.coordinator.letters import DeadLetters
from angzarr.coordinator.projections import Projections
from angzarr.coordinator.queries import Queries
from angzarr.coordinator.reactions import Reactions
from angzarr.coordinator.reactors import Reactors
from angzarr.coordinator.rejections import Rejections
from angzarr.coordinator.services import CommandHandlerCoordinatorService, EventQueryService
from angzarr.coordinator.speculation import CompensationPipeline, Speculation
from angzarr.coordinator.stepping import Steps
from angzarr.coordinator.streams import EventStreams
from angzarr.messages.admin import ADMIN
from angzarr.messages.services import (
    COMMAND_HANDLER_COORDINATOR,
    EVENT_QUERY,
    EVENT_STREAM,
    PROCESS_MANAGER_COORDINATOR,
    PROJECTOR_COORDINATOR,
    SAGA_COORDINATOR,
    Service,
)
from angzarr.server.health import HealthService


class Runtime:
    """Pipelines, reactions, projections and services over one engine.

    Args:
        engine: an engine whose store is open.
        group: parent of the background tasks.
    """

    def __init__(self, engine: Engine, group: TaskGroup) -> None:
        serving = engine.config.serving
        commands, facts = CommandPipeline(engine), FactPipeline(engine)
        compensation = CompensationPipeline(engine)
        self.engine = engine
        self.streams: EventStreams = EventStreams(serving.subscriber_buffer)
        self.projections: Projections = Projections(engine, group)
        reactors = Reactors(engine)
        steps = Steps(engine, commands, facts, Rejections(engine, compensation, reactors), reactors)
        self.reactions: Reactions = Reactions(engine, steps, group)
        self.following: Following = Following(
            engine, self.reactions, self.projections, self.streams, compensation, group
        )
        self.letters: DeadLetters = DeadLetters(engine, self.reactions, self.projections, group)
        engine.fan_out = self.following
        self.commands: CommandHandlerCoordinatorService = CommandHandlerCoordinatorService(
            commands, facts, Speculation(engine), compensation
        )
        self.queries: EventQueryService = EventQueryService(Queries(engine.store))
        self.sagas: SagaCoordinatorService = SagaCoordinatorService(engine, self.reactions, group)
        self.process_managers: ProcessManagerCoordinatorService = ProcessManagerCoordinatorService(
            engine, self.reactions, group
        )
        self.projectors: ProjectorCoordinatorService = ProjectorCoordinatorService(engine, self.projections)
        self.event_stream: EventStreamService = EventStreamService(self.streams)
        self.health: HealthMonitor = HealthMonitor(
            engine.components, engine.store, self.projections, engine.config.reactions, self._go_on
        )
        self.admin: AdminService = AdminService(engine.store, self.letters, self.projections, self.health)
        self._group = group

    async def start(self) -> None:
        """Take up what an earlier process left."""
        await self.following.two_phase.revoke_all()
        await self.projections.start()
        await self.reactions.recover()

    def watch_health(self, service: HealthService | None) -> None:
        """Look after business servers and projectors, and let ``service`` know."""
        self.health.service = service
        self._group.start_soon(self.health.watch)

    def _go_on(self) -> None:
        self.reactions.go_on()
        for subscription in self.projections.subscriptions.values():
            subscription.go_on()

    def stop(self) -> None:
        """Start nothing any more."""
        self.reactions.stop()
        self.projections.stop()

    @property
    def services(self) -> list[tuple[Service, object]]:
        """What is served on sockets."""
        return [
            (COMMAND_HANDLER_COORDINATOR, self.commands),
            (EVENT_QUERY, self.queries),
            (SAGA_COORDINATOR, self.sagas),
            (PROCESS_MANAGER_COORDINATOR, self.process_managers),
            (PROJECTOR_COORDINATOR, self.projectors),
            (EVENT_STREAM, self.event_stream),
            (ADMIN, self.admin),
        ]
