"""How the parts of a coordinator are: business servers that cannot be reached, projectors that do not get on.

A projector's progress is compared with the store's newest event, not with itself.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import anyio

from angzarr.coordinator.errors import StoreError
from angzarr.coordinator.handlers import Components
from angzarr.coordinator.remote import Remote
from angzarr.log import get_logger
from angzarr.server.health import NOT_SERVING, SERVING, HealthService

if TYPE_CHECKING:
    from angzarr.coordinator.config import ReactionConfig
    from angzarr.coordinator.projections import Projections
    from angzarr.coordinator.store import Store
    from angzarr.coordinator.subscription import Subscription

_STRETCH = 10_000
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """How one component is.

    Attributes:
        kind: ``command_handler``, ``saga``, ``process_manager``, ``projector``, ``upcaster`` or ``store``.
        name: its name; for command handlers and upcasters the domain.
        endpoint: where it is; ``""`` when it runs in this process.
        problem: what is wrong with it; ``""`` for nothing.
    """

    kind: str
    name: str
    endpoint: str = ""
    problem: str = ""

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problem


class Progress:
    """Whether a projector gets on, seen from one look to the next."""

    def __init__(self, store: "Store", subscription: "Subscription") -> None:
        self._store = store
        self._subscription = subscription
        self._mark = -1
        self._since = 0.0
        self._looked = 0

    def is_of(self, subscription: "Subscription") -> bool:
        """Whether that is the projector in question: a rebuilt one is another."""
        return self._subscription is subscription

    async def problem(self, patience: float) -> str:
        """What is wrong with it; ``""`` while it is at the head of the store, or got on lately.

        Args:
            patience: seconds it may stay where it is while there are events for it.
        """
        now = asyncio.get_running_loop().time()
        mark = self._subscription.handed_over
        if mark != self._mark or not await self._behind():
            self._mark, self._since = mark, now
            return ""
        waited = now - self._since
        if waited < patience:
            return ""
        return f"has taken nothing in for {waited:.0f} s although there are events for it"

    async def _behind(self) -> bool:
        subscription = self._subscription
        if subscription.has_work:
            return True
        self._looked = max(self._looked, subscription.cursor)
        upto = min(await self._store.head(), self._looked + _STRETCH)
        if await self._store.since(self._looked, 1, subscription.domains, upto):
            return True
        self._looked = upto
        return False


class HealthMonitor:
    """Looks after the parts of a running coordinator, from time to time.

    Args:
        components: what it coordinates.
        store: its store.
        projections: its projectors.
        config: how often it looks, and how long it is patient.
        recovered: called when a business server can be reached again.
    """

    def __init__(
        self,
        components: Components,
        store: "Store",
        projections: "Projections",
        config: "ReactionConfig",
        recovered: Callable[[], None],
    ) -> None:
        self._store = store
        self._config = config
        self._recovered = recovered
        self._remotes = list(_remotes(components))
        self._local = list(_local(components))
        self._progress: dict[str, Progress] = {}
        self._projections = projections
        self._problems: dict[tuple[str, str], str] = {}
        self._domains = components.domains
        self.service: HealthService | None = None

    @property
    def remote_names(self) -> frozenset[str]:
        """Domains and components whose business server is another process."""
        return frozenset(one.name for one, _ in self._remotes)

    async def watch(self) -> None:
        """Look, again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._config.health_interval)

    async def look(self) -> "list[ComponentHealth]":
        """Look at everything once, and let it be known; answers how everything is."""
        found = [
            *await self._look_at_remotes(),
            await self._look_at_store(),
            *await self._look_at_projectors(),
        ]
        for one in found:
            self._note(one)
        await self._tell(found)
        return found

    async def _look_at_remotes(self) -> "list[ComponentHealth]":
        problems = [""] * len(self._remotes)

        async def ask(number: int, remote: Remote) -> None:
            problems[number] = await _checked(remote, self._config.health_timeout)

        async with anyio.create_task_group() as group:
            for number, (_, remote) in enumerate(self._remotes):
                group.start_soon(ask, number, remote)
        return [replace(one, problem=problems[n]) for n, (one, _) in enumerate(self._remotes)]

    async def _look_at_store(self) -> ComponentHealth:
        try:
            await self._store.head()
        except StoreError as error:
            return ComponentHealth("store", "", problem=str(error))
        return ComponentHealth("store", "")

    async def _look_at_projectors(self) -> "list[ComponentHealth]":
        remote = {one.name for one, _ in self._remotes if one.kind == "projector"}
        found = list(self._local)
        for name, subscription in self._projections.subscriptions.items():
            progress = self._progress.get(name)
            if progress is None or not progress.is_of(subscription):
                progress = self._progress[name] = Progress(self._store, subscription)
            try:
                problem = await progress.problem(self._config.stalled_after)
            except StoreError:
                continue
            if problem or name not in remote:
                found.append(ComponentHealth("projector", name, problem=problem))
        return found

    def _note(self, one: ComponentHealth) -> None:
        before = self._problems.get((one.kind, one.name), "")
        self._problems[one.kind, one.name] = one.problem
        facts = {"kind": one.kind, "name": one.name, "endpoint": one.endpoint}
        if one.problem and not before:
            _log.warning("component_unhealthy", **facts, problem=one.problem)
        elif before and not one.problem:
            _log.info("component_healthy_again", **facts)
            self._recovered()

    async def _tell(self, found: "list[ComponentHealth]") -> None:
        if self.service is None:
            return
        ill = {(one.kind, one.name) for one in found if not one.healthy}
        await self.service.set("", NOT_SERVING if ("store", "") in ill else SERVING)
        for domain in self._domains:
            down = {("command_handler", domain), ("upcaster", domain), ("store", "")} & ill
            await self.service.set(domain, NOT_SERVING if down else SERVING)
        for one in found:
            if one.kind in {"saga", "process_manager", "projector"} and one.name not in self._domains:
                ailing = (one.kind, one.name) in ill
                await self.service.set(one.name, NOT_SERVING if ailing else SERVING)


async def _checked(remote: Remote, limit: float) -> str:
    try:
        async with asyncio.timeout(limit):
            return await remote.check()
    except TimeoutError:
        remote.failure = f"no answer to a health check within {limit:g} s"
        return remote.failure


def _each(components: Components) -> Iterator[tuple[str, str, Any]]:
    for domain, handler in components.command_handlers.items():
        yield "command_handler", domain, handler
    for domain, upcaster in components.upcasters.items():
        yield "upcaster", domain, upcaster
    for saga in components.sagas:
        yield "saga", saga.name, saga.endpoint
    for manager in components.process_managers:
        yield "process_manager", manager.name, manager.endpoint
    for projector in components.projectors:
        yield "projector", projector.name, projector.endpoint


def _remotes(components: Components) -> Iterator[tuple[ComponentHealth, Remote]]:
    for kind, name, endpoint in _each(components):
        if isinstance(endpoint, Remote):
            yield ComponentHealth(kind, name, endpoint.address), endpoint


def _local(components: Components) -> Iterator[ComponentHealth]:
    for kind, name, endpoint in _each(components):
        if not isinstance(endpoint, Remote) and kind != "projector":
            yield ComponentHealth(kind, name)
