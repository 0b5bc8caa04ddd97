"""EmbeddedCoordinator: an application running in this process."""

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
from grpclib import GRPCError

from angzarr.client.failures import from_status
from angzarr.coordinator import books, errors
from angzarr.coordinator.assembly import (
    Handlers,
    ProcessManagers,
    Projectors,
    Sagas,
    Upcasters,
    assembled,
    remotes,
)
from angzarr.coordinator.config import CoordinatorConfig
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.handlers import Components, ProjectorEndpoint
from angzarr.coordinator.health import ComponentHealth
from angzarr.coordinator.listening import health_of, listen, server_for
from angzarr.coordinator.runtime import Runtime
from angzarr.coordinator.store import MEMORY, SqliteStore, Store
from angzarr.coordinator.store.records import MAIN, Key
from angzarr.errors import ClientError
from angzarr.identity import root_from_text
from angzarr.messages import AngzarrDeadLetter, CommandResponse, EventBook, Query

if TYPE_CHECKING:
    from angzarr.app import App
    from angzarr.client import DomainClient
    from angzarr.server.grpc_server import GrpcServer


class EmbeddedCoordinator:
    """Runs an application in this process, on SQLite, for as long as the ``async with`` block lasts.

    Args:
        app: the application; None for one of remote handlers only.
        store: path of the database file, made where missing; ``":memory:"`` (the default) for none; or a Store.
        uds_base: directory for one Unix socket per domain, ``ch-<domain>.sock``; None (the default) for none.
        tcp: ``host:port`` to serve every domain on, port 0 for a free one; None (the default) for none.
        handlers: domain → endpoint of a business server in another process or language, such as
            ``"127.0.0.1:50303"``.
        sagas: name → (source domain, endpoint) of a saga server.
        process_managers: name → (its own domain, source domains, endpoint) of a process manager server.
        projectors: name → (domains, endpoint) of a projector server.
        upcasters: domain → endpoint of an upcaster server.
        config: limits, timings and durability.

    Entering raises:
        StoreOpenError: STORE_LOCKED, STORE_NOT_SQLITE, STORE_FOREIGN, STORE_SCHEMA_NEWER, STORE_UNWRITABLE.
        ClientError: BIND_FAILED, an address is in use.

    ::

        async with EmbeddedCoordinator(app) as coordinator:
            player = coordinator.client("player")
            await player.send(RegisterPlayer(name="alice"), root=alice)
    """

    def __init__(
        self,
        app: "App | None" = None,
        *,
        store: str | Path | Store = MEMORY,
        uds_base: str | Path | None = None,
        tcp: str | None = None,
        handlers: Handlers | None = None,
        sagas: Sagas | None = None,
        process_managers: ProcessManagers | None = None,
        projectors: Projectors | None = None,
        upcasters: Upcasters | None = None,
        config: CoordinatorConfig | None = None,
    ) -> None:
        self.app = app
        self.config: CoordinatorConfig = config or CoordinatorConfig()
        self._store: Store = SqliteStore(store, self.config.store) if isinstance(store, str | Path) else store
        self._uds_base = None if uds_base is None else str(uds_base)
        self._tcp = tcp
        self._stack: AsyncExitStack | None = None
        self._entered = False
        self._runtime: Runtime | None = None
        self._server: GrpcServer | None = None
        self.components: Components = assembled(
            app.routers if app is not None else (),
            handlers or {},
            sagas or {},
            process_managers or {},
            projectors or {},
            upcasters or {},
        )

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ClientError(
                "a coordinator can be entered once: make another one", code=errors.COORDINATOR_CONFIG
            )
        self._entered = True
        stack = AsyncExitStack()
        try:
            await self._start(stack)
        except BaseException:
            # Through the task group it would come out as a group of one.
            await stack.aclose()
            raise
        self._stack = stack
        return self

    async def _start(self, stack: AsyncExitStack) -> None:
        await self._store.open()
        stack.push_async_callback(self._close_store)
        for endpoint in remotes(self.components):
            stack.push_async_callback(endpoint.close)
        group = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(group.cancel_scope.cancel)
        runtime = Runtime(Engine(self._store, self.components, self.config), group)
        stack.callback(runtime.stop)
        await runtime.start()
        health = None
        if self._uds_base is not None or self._tcp is not None:
            health = await health_of(runtime.services, self.components.names, runtime.health.remote_names)
            self._server = await stack.enter_async_context(
                await server_for(runtime.services, health, self.config.serving)
            )
            await listen(self._server, self.components.domains, self._uds_base, self._tcp)
        runtime.watch_health(health)
        self._runtime = runtime

    async def _close_store(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._store.close()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            # What the block raised is not the background's failure: only cancellation concerns the task group.
            cancelled = isinstance(error, asyncio.CancelledError)
            await stack.__aexit__(*((kind, error, trace) if cancelled else (None, None, None)))
        self._server = None

    @property
    def runtime(self) -> Runtime:
        """The parts of the running coordinator: its services, which are stubs for clients in this process.

        Raises:
            ClientError: COORDINATOR_CONFIG, it has not been entered.
        """
        if self._runtime is None:
            raise ClientError(
                "the coordinator does not run: use it inside `async with EmbeddedCoordinator(...)`",
                code=errors.COORDINATOR_CONFIG,
            )
        return self._runtime

    @property
    def addresses(self) -> list[str]:
        """What is bound: ``unix:/path`` and ``host:port``, ports as the system chose them."""
        return [] if self._server is None else list(self._server.addresses)

    @property
    def domains(self) -> tuple[str, ...]:
        """Every domain of the application, sorted."""
        return self.components.domains

    def client(self, domain: str) -> "DomainClient":
        """A client of a domain that calls this coordinator directly, without sockets.

        Args:
            domain: one of the application's.
        """
        from angzarr.client import CommandHandlerClient, DomainClient, QueryClient, SpeculativeClient

        runtime = self.runtime
        speculative = SpeculativeClient.from_stubs(
            runtime.commands, runtime.sagas, runtime.projectors, runtime.process_managers
        )
        client = DomainClient.from_clients(
            CommandHandlerClient.from_stub(runtime.commands),
            QueryClient.from_stub(runtime.queries),
            speculative,
            domain=domain,
        )
        client._projected = self._wait_for
        return client

    async def _wait_for(
        self, response: CommandResponse, projectors: Sequence[type | str], timeout: float | None
    ) -> None:
        limit = self.config.reactions.handler_timeout if timeout is None else timeout
        try:
            await self.projected(response, projectors, timeout=limit)
        except GRPCError as error:
            raise from_status(error) from error

    async def events(self, domain: str, root: uuid.UUID | bytes | str, *, edition: str = "") -> EventBook:
        """An aggregate's events, from the first.

        Args:
            domain: the aggregate's domain.
            root: its root: a UUID, 16 bytes, or a text (a UUID's, or the aggregate's business key).
            edition: a timeline other than main.

        Raises:
            GRPCError: grpclib's; INVALID_ARGUMENT, a name is malformed.
        """
        if isinstance(root, str):
            root = root_from_text(domain, root)
        raw = root.bytes if isinstance(root, uuid.UUID) else root
        return await self.runtime.queries.get_event_book(
            Query(cover=books.cover_of(Key(domain, edition or MAIN, raw)))
        )

    async def dead_letters(
        self, *, domain: str | None = None, component: str | None = None
    ) -> list[AngzarrDeadLetter]:
        """What could not be done, newest last.

        Args:
            domain: only letters whose cover is of this domain.
            component: only letters of this saga, process manager, projector or command handler domain.
        """
        return await self.runtime.letters.list(domain, component)

    async def replay(self, letter: AngzarrDeadLetter) -> None:
        """Try again what a dead letter is about; it goes when that succeeds, or is on its way.

        Args:
            letter: one of ``dead_letters()``.

        Raises:
            GRPCError: grpclib's; NOT_FOUND, the letter is gone; what a command is refused with, and the letter stays.
        """
        await self.runtime.letters.replay(letter)

    async def skip(self, letter: AngzarrDeadLetter) -> None:
        """Let what a dead letter is about be; what waited behind it goes on.

        Args:
            letter: one of ``dead_letters()``.

        Raises:
            GRPCError: grpclib's; NOT_FOUND, the letter is gone.
        """
        await self.runtime.letters.skip(letter)

    async def projected(
        self, response: CommandResponse, projectors: Sequence[type | str], *, timeout: float
    ) -> None:
        """Wait until projectors have taken in what a command caused: read your own writes.

        Args:
            response: the command's answer.
            projectors: their classes or names.
            timeout: seconds to wait at most.

        Raises:
            TimeoutError: one is not there yet; the text names it and how far it lags behind.
            GRPCError: grpclib's; one has failed or is parked.
            KeyError: there is no such projector.
        """
        await self.runtime.projections.wait(response.events, projectors, timeout)

    def rebuild(
        self, projector: type | str, replacement: ProjectorEndpoint | None = None
    ) -> AsyncIterator[tuple[int, int]]:
        """Feed a projector every event from the first, beside the live one, which it then replaces.

        Args:
            projector: its class or name.
            replacement: what is fed, such as one that writes to a new table; the projector itself by default.

        Yields:
            How many of how many positions of the store have been handed over.

        Raises:
            KeyError: there is no such projector.
        """
        return self.runtime.projections.rebuild(projector, replacement)

    async def settle(self, timeout: float, *, correlation_id: str | None = None) -> None:
        """Wait until everything that was caused so far is done: reactions, what they caused, projections.

        Args:
            timeout: seconds to wait at most.
            correlation_id: only what belongs to it; None (the default) for everything.

        Raises:
            SettleTimeout: something is not done; its text is a table, its ``pending`` the rows.
        """
        await self.runtime.following.settle(timeout, correlation_id)

    async def health(self) -> list[ComponentHealth]:
        """Look at every component now: which business servers can be reached, which projectors get on."""
        return await self.runtime.health.look()

    async def serve_forever(self) -> None:
        """Wait until cancelled, or until SIGTERM or SIGINT arrives; leaving the block then stops gracefully."""
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                return
