"""Several connections to one name: round robin over the healthy ones, and looking the name up again when one goes."""

import asyncio
from collections.abc import Awaitable, Callable

from angzarr.client import failures
from angzarr.client.protocol import ClientProtocol
from angzarr.error_codes import keys
from angzarr.errors import ConnectionError
from angzarr.log import get_logger

_log = get_logger(__name__)

_SOONEST = 1.0
_LATEST = 30.0


class Balancer:
    """Keeps one connection to each address of a name.

    The name is looked up when there is no connection, when one was lost, and every 30 s, but while there is a healthy
    connection not more often than once a second and never in the way of a call.

    Args:
        resolve: gives the addresses, raises ConnectionError.
        connect: opens a connection to an address, raises ConnectionError.
    """

    def __init__(
        self,
        resolve: Callable[[], Awaitable[list[str]]],
        connect: Callable[[str], Awaitable[ClientProtocol]],
    ) -> None:
        self._resolve = resolve
        self._connect = connect
        self._connections: dict[str, ClientProtocol] = {}
        self._wanted: list[str] = []
        self._turn = 0
        self._refreshed = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None
        self._failure: ConnectionError | None = None

    async def pick(self) -> ClientProtocol:
        """The connection whose turn it is.

        Raises:
            ConnectionError: CONNECTION_FAILED, no address can be reached; the failure of the last one.
            TransportError: the channel was closed meanwhile.
        """
        healthy = self._healthy()
        age = asyncio.get_running_loop().time() - self._refreshed
        if not healthy:
            refreshing = self._refresh()
            await asyncio.wait([refreshing])
            if refreshing.cancelled():
                raise failures.closed()
            refreshing.result()
            healthy = self._healthy()
            if not healthy:
                raise self._failure or ConnectionError(details={keys.CAUSE: "every connection broke at once"})
        elif age > (_SOONEST if len(healthy) < len(self._wanted) else _LATEST):
            self._refresh()
        self._turn += 1
        return healthy[self._turn % len(healthy)]

    def _healthy(self) -> list[ClientProtocol]:
        lost = [address for address, connection in self._connections.items() if not connection.usable]
        for address in lost:
            del self._connections[address]
        return list(self._connections.values())

    def _refresh(self) -> asyncio.Task[None]:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._look_up_and_connect())
        return self._refreshing

    async def _look_up_and_connect(self) -> None:
        self._refreshed = asyncio.get_running_loop().time()
        self._failure = None
        try:
            self._wanted = await self._resolve()
        except ConnectionError as error:
            self._failure = error
            return
        for address in self._connections.keys() - self._wanted:
            self._connections.pop(address).retire()
        missing = [address for address in self._wanted if address not in self._connections]
        async with asyncio.TaskGroup() as group:
            for address in missing:
                group.create_task(self._add(address))
        _log.debug("balanced", addresses=self._wanted, connections=len(self._connections))

    async def _add(self, address: str) -> None:
        try:
            self._connections[address] = await self._connect(address)
        except ConnectionError as error:
            self._failure = error

    async def close(self) -> None:
        """Stop looking up; the connections are the caller's to close."""
        refreshing, self._refreshing = self._refreshing, None
        if refreshing is not None and not refreshing.done():
            refreshing.cancel()
            await asyncio.wait([refreshing])
