"""A gRPC server for anything with grpclib's ``__mapping__``: several addresses, a size limit, a graceful end.

::

    async with GrpcServer([router, coordinator_service], background=[health]) as server:
        address = await server.listen("127.0.0.1:0")        # "127.0.0.1:41234"
        await server.listen("unix:/tmp/angzarr/ch-player.sock")
        ...
        await server.drain(grace=5.0)                       # or leave the block: drains with options.grace

Draining, in order: health says NOT_SERVING; stop listening and remove socket files; refuse new calls with
REFUSED_STREAM, which says that they were not executed; let calls in flight finish within the grace period, then answer
them UNAVAILABLE; GOAWAY to each connection once it is idle; wait for the clients to hang up, at most until the grace
period ends. Nothing that a client does or omits makes it take longer.
"""

import asyncio
import ssl as ssl_module
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

import anyio
from anyio import to_thread
from grpclib.config import Configuration
from grpclib.const import Handler
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError
from structlog.stdlib import BoundLogger

from angzarr.codec import GrpcCodec
from angzarr.errors import InvalidArgumentError
from angzarr.interceptors import Interceptor
from angzarr.log import get_logger
from angzarr.router.status import status_of
from angzarr.server.addresses import BindAddress, Listener, bind, parse_bind_address
from angzarr.server.calls import Call, Serving
from angzarr.server.connections import PARTING, ServerConnection
from angzarr.server.intercepted import intercepted
from angzarr.server.options import ServerOptions

log: BoundLogger = get_logger(__name__)

_LAST_WORDS = 0.2
_ROUNDS_TO_ACCEPT = 5


class Servable(Protocol):
    """Anything grpclib could serve: a router, a `*Grpc` adapter, a service of the coordinator, health."""

    def __mapping__(self) -> Mapping[str, Handler]: ...


class GrpcServer:
    """Serves gRPC services over TCP and Unix sockets. Build and use it inside a running asyncio loop.

    Args:
        services: what to serve. A path that two of them claim is an error.
        background: services whose calls neither hold a stopping server open nor are refused by one: health and
            reflection. Those with an ``enter_graceful_shutdown``, as health has, are told when the server stops.
        interceptors: go around every call of the services, the first one outermost; not around the background's.
        options: limits and timings.
        codec: how messages become bytes; angzarr's own by default.
        status_of: the status that ends a call whose handler raised something other than ``grpclib.GRPCError``.
        address: where `start` listens.
        tls: for TLS there.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, two services claim the same method.
    """

    def __init__(
        self,
        services: Iterable[Servable] = (),
        *,
        background: Iterable[Servable] = (),
        interceptors: Sequence[Interceptor] = (),
        options: ServerOptions | None = None,
        codec: CodecBase | None = None,
        status_of: Callable[[BaseException], GRPCError] | None = None,
        address: str = "",
        tls: ssl_module.SSLContext | None = None,
    ) -> None:
        self._where = address, tls
        self.options: ServerOptions = options or ServerOptions()
        self._background = tuple(background)
        quiet = _methods(self._background)
        offered = _methods(services, taken=quiet)
        self.serving: Serving = Serving(
            methods=intercepted(offered, interceptors) | quiet,
            codec=codec or GrpcCodec(),
            options=self.options,
            status_of=status_of or self._status_of,
            background=frozenset(quiet),
        )
        self.draining: bool = False
        self._hurried = False
        self._config = Configuration(
            _keepalive_time=self.options.keepalive_time,
            _keepalive_timeout=self.options.keepalive_timeout,
            _keepalive_permit_without_calls=True,
            _http2_max_pings_without_data=0,
            _http2_min_sent_ping_interval_without_data=min(self.options.keepalive_time, 10.0),
            http2_connection_window_size=self.options.window_bytes,
            http2_stream_window_size=self.options.window_bytes,
        )
        self._listening: list[tuple[Listener, asyncio.Server]] = []
        self._connections: set[ServerConnection] = set()
        self._calls: set[Call] = set()
        self._last_answer = 0.0
        self._changed = asyncio.Event()
        self._stopped = asyncio.Event()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the server listens, ports as bound; empty before `listen` and once it drains."""
        return tuple(dict.fromkeys(str(listener.address) for listener, _ in self._listening))

    @property
    def services(self) -> tuple[str, ...]:
        """Full names of the services served, sorted."""
        return tuple(sorted({path.split("/")[1] for path in self.serving.methods}))

    @property
    def calls_in_flight(self) -> int:
        """Calls whose handler runs or whose answer is not sent, those of background services aside."""
        return sum(not call.background for call in self._calls)

    @property
    def connections(self) -> int:
        """Clients connected."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen where the server was built for, as grpcio's servers start.

        Raises:
            ClientError: as `listen`.
        """
        address, tls = self._where
        await self.listen(address, ssl=tls)

    async def stop(self, grace: float | None = None) -> None:
        """`drain`, by the name it has with grpcio."""
        await self.drain(grace)

    async def wait_for_termination(self) -> None:
        """`wait_stopped`, by the name it has with grpcio."""
        await self.wait_stopped()

    async def listen(self, address: str, *, ssl: ssl_module.SSLContext | None = None) -> str:
        """Accept connections at an address; may be called for several.

        Args:
            address: ``host:port`` (0: any free port), ``[v6]:port``, ``unix:/path``, ``/path``. ``[::]`` and an
                empty host are every interface, IPv4 and IPv6.
            ssl: for TLS; plaintext by default.

        Returns:
            The address as bound.

        Raises:
            InvalidArgumentError: ENDPOINT_INVALID_URI.
            ClientError: BIND_FAILED, with endpoint and cause.
        """
        listeners = await _bound(parse_bind_address(address))
        try:
            while listeners:
                await self._accept(listeners[0], ssl)
                bound = listeners.pop(0)
        finally:
            for listener in listeners:
                await to_thread.run_sync(listener.close)
        return str(bound.address)

    async def _accept(self, listener: Listener, ssl: ssl_module.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._protocol, sock=listener.sock, ssl=ssl, start_serving=False)
        self._listening.append((listener, server))
        await server.start_serving()

    async def drain(self, grace: float | None = None) -> None:
        """Stop gracefully; see the module's text for the order of things. Draining twice waits for the first.

        Args:
            grace: seconds for calls in flight and for clients to take their answers; the options' by default.
        """
        if self.draining:
            await self._stopped.wait()
            return
        self.draining = True
        deadline = asyncio.get_running_loop().time() + (self.options.grace if grace is None else grace)
        try:
            await self._tell_background()
            await self._stop_listening()
            for connection in list(self._connections):
                connection.drain()
            await self._until(lambda: not self.calls_in_flight, deadline)
            await self._until(lambda: False, min(deadline, self._last_answer + PARTING))
            await self._part(deadline)
        finally:
            for connection in list(self._connections):
                connection.abort()
            self._stopped.set()

    def abort(self) -> None:
        """End the grace period of a drain now."""
        self._hurried = True
        self._changed.set()

    async def wait_stopped(self) -> None:
        """Wait until the server has been drained."""
        await self._stopped.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.drain(None if error is None else 0)

    async def _tell_background(self) -> None:
        for service in self._background:
            if enter := getattr(service, "enter_graceful_shutdown", None):
                await enter()

    async def _stop_listening(self) -> None:
        await _let_accepted_connections_arrive()
        listening, self._listening = self._listening, []
        for _, server in listening:
            server.close()
        await _let_accepted_connections_arrive()
        for listener, _ in listening:
            await to_thread.run_sync(listener.remove_file)

    async def _part(self, deadline: float) -> None:
        """Break off what still runs, say goodbye, let clients hang up, then hang up on them."""
        if self.calls_in_flight:
            log.warning(
                "grace_period_over", calls=sorted(call.path for call in self._calls if not call.background)
            )
        for connection in list(self._connections):
            connection.break_off()
        await self._until(self._is_empty, asyncio.get_running_loop().time() + PARTING)
        for connection in list(self._connections):
            connection.say_goodbye()
        now = asyncio.get_running_loop().time()
        await self._until(self._is_empty, max(now + _LAST_WORDS, min(deadline, now + self.options.linger)))
        for connection in list(self._connections):
            connection.hang_up()
        await self._until(self._is_empty, max(deadline, now + 2 * _LAST_WORDS))
        if self._calls:
            log.error("handlers_ignore_cancellation", calls=sorted(call.path for call in self._calls))

    def _is_empty(self) -> bool:
        return not self._connections and not self._calls

    async def _until(self, done: Callable[[], bool], deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                while not done() and not self._hurried:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    def _protocol(self) -> ServerConnection:
        return ServerConnection(self, self._config)

    def _status_of(self, error: BaseException) -> GRPCError:
        return status_of(error, expose_internal_errors=self.options.expose_internal_errors)

    def opened(self, connection: ServerConnection) -> None:
        """Called by a connection that has been made."""
        if self._stopped.is_set():
            connection.abort()
            return
        self._connections.add(connection)
        if self.draining:
            connection.drain()

    def closed(self, connection: ServerConnection) -> None:
        """Called by a connection that is no more."""
        self._connections.discard(connection)
        self._changed.set()

    def call_started(self, call: Call) -> None:
        """Called by a connection for every call it takes."""
        self._calls.add(call)

    def call_ended(self, call: Call) -> None:
        """Called by a connection for every call that has ended."""
        self._calls.discard(call)
        self._last_answer = asyncio.get_running_loop().time()
        if self.draining:
            self._changed.set()


async def _let_accepted_connections_arrive() -> None:
    """asyncio takes a few rounds of the loop from the kernel's accept to the protocol's connection_made."""
    for _ in range(_ROUNDS_TO_ACCEPT):
        await asyncio.sleep(0)


async def _bound(address: BindAddress) -> list[Listener]:
    binding = asyncio.ensure_future(to_thread.run_sync(bind, address))
    try:
        return await asyncio.shield(binding)
    except asyncio.CancelledError:
        for listener in await binding:
            await to_thread.run_sync(listener.close)
        raise


def _methods(services: Iterable[Servable], taken: Collection[str] = ()) -> dict[str, Handler]:
    methods: dict[str, Handler] = {}
    for service in services:
        for path, handler in service.__mapping__().items():
            if path in methods or path in taken:
                raise InvalidArgumentError(f"two services claim {path}; serve them on two servers")
            methods[path] = handler
    return methods
