"""CoordinatorAdminService: what the command line looks into a running coordinator with."""

from collections.abc import AsyncIterator, Awaitable, Callable

from grpclib import GRPCError
from grpclib.const import Status

from angzarr import codec
from angzarr.coordinator import books, causality
from angzarr.coordinator.health import HealthMonitor
from angzarr.coordinator.letters import ID, DeadLetters
from angzarr.coordinator.projections import Projections
from angzarr.coordinator.services import Metadata, answered, failing_cleanly
from angzarr.coordinator.store import Store
from angzarr.messages import AngzarrDeadLetter, CommandBook, Empty, root_uuid_of
from angzarr.messages.admin import (
    Cause,
    Component,
    DeadLetterRequest,
    ExplainRequest,
    FoundCommand,
    ListComponentsResponse,
    ListDeadLettersRequest,
    ListDeadLettersResponse,
    ListProjectorsResponse,
    Projected,
    Projector,
    RebuildProgress,
    RebuildProjectorRequest,
)


class AdminService:
    """Dead letters, causes and projectors of one coordinator.

    Args:
        store: its store.
        letters: its dead letters.
        projections: its projectors.
        health: how its components are.
    """

    def __init__(
        self, store: Store, letters: DeadLetters, projections: Projections, health: HealthMonitor
    ) -> None:
        self._store = store
        self._letters = letters
        self._projections = projections
        self._health = health

    async def list_dead_letters(
        self, request: ListDeadLettersRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> ListDeadLettersResponse:
        """ListDeadLetters."""
        listed = self._letters.list(request.domain or None, request.component or None)
        return ListDeadLettersResponse(letters=await answered(listed, timeout))

    async def replay_dead_letter(
        self, request: DeadLetterRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> Empty:
        """ReplayDeadLetter."""
        return await answered(self._with_letter(request.id, self._letters.replay), timeout)

    async def skip_dead_letter(
        self, request: DeadLetterRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> Empty:
        """SkipDeadLetter."""
        return await answered(self._with_letter(request.id, self._letters.skip), timeout)

    async def _with_letter(
        self, wanted: str, action: Callable[[AngzarrDeadLetter], Awaitable[None]]
    ) -> Empty:
        for letter in await self._letters.list(None, None):
            if letter.metadata.get(ID) == wanted:
                await action(letter)
                return Empty()
        raise GRPCError(Status.NOT_FOUND, f"No dead letter {wanted!r}")

    async def explain(
        self, request: ExplainRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> Cause:
        """Explain."""
        return await answered(self._explain(request), timeout)

    async def _explain(self, request: ExplainRequest) -> Cause:
        key = books.key_of(request.cover)
        found = await causality.tree(self._store, key, request.sequence)
        if found is None:
            root = root_uuid_of(request.cover)
            raise GRPCError(Status.NOT_FOUND, f"No event {request.sequence} of {key.domain}/{root}")
        return _cause(found)

    async def find_command(
        self, request: ExplainRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> FoundCommand:
        """FindCommand."""
        return await answered(self._find_command(request), timeout)

    async def _find_command(self, request: ExplainRequest) -> FoundCommand:
        key = books.key_of(request.cover)
        found = await self._store.command_of(key, request.sequence)
        if found is None:
            at = f"{key.domain}/{root_uuid_of(request.cover)}/{request.sequence}"
            raise GRPCError(Status.NOT_FOUND, f"No command is known to have caused {at}")
        command = codec.decode(CommandBook, found.data)
        command.cover = books.cover_of(key, found.correlation_id)
        return FoundCommand(
            command=command,
            first_sequence=found.first_sequence,
            last_sequence=found.last_sequence,
            received_at=books.moment(found.received_at),
        )

    async def list_projectors(
        self, request: Empty | None = None, timeout: float | None = None, metadata: Metadata = None
    ) -> ListProjectorsResponse:
        """ListProjectors."""
        return await answered(self._list_projectors(), timeout)

    async def _list_projectors(self) -> ListProjectorsResponse:
        return ListProjectorsResponse(
            projectors=[
                Projector(
                    name=name,
                    domains=list(subscription.projector.domains),
                    behind=len(subscription.pending()),
                    parked=len(await self._letters.list(None, name)),
                )
                for name, subscription in self._projections.subscriptions.items()
            ]
        )

    async def list_components(
        self, request: Empty | None = None, timeout: float | None = None, metadata: Metadata = None
    ) -> ListComponentsResponse:
        """ListComponents."""
        found = await answered(self._health.look(), timeout)
        return ListComponentsResponse(
            components=[
                Component(kind=one.kind, name=one.name, endpoint=one.endpoint, problem=one.problem)
                for one in found
            ]
        )

    def rebuild_projector(
        self, request: RebuildProjectorRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> AsyncIterator[RebuildProgress]:
        """RebuildProjector."""
        return failing_cleanly(lambda: self._rebuild(request.name))

    async def _rebuild(self, name: str) -> AsyncIterator[RebuildProgress]:
        try:
            self._projections.find(name)
        except KeyError as error:
            raise GRPCError(Status.NOT_FOUND, str(error.args[0])) from error
        async for done, total in self._projections.rebuild(name):
            yield RebuildProgress(done=done, total=total)


def _cause(node: causality.Cause) -> Cause:
    return Cause(
        cover=books.cover_of(node.key, node.correlation_id),
        sequence=node.sequence,
        event_type=node.event_type,
        command_type=node.command_type,
        component=node.component,
        received_at=books.moment(node.received_at),
        stored_at=books.moment(node.stored_at),
        caused=[_cause(caused) for caused in node.caused],
        projections=[_projected(name, at) for name, at in node.projections.items()],
    )


def _projected(name: str, at: int | None) -> Projected:
    return Projected(projector=name) if at is None else Projected(projector=name, at=books.moment(at))
