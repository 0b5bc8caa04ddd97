"""grpc.health.v1: whether the server, and each of its services, may be sent calls."""

import asyncio
from collections.abc import Iterable
from typing import Any, TypeAlias

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from angzarr._gen.grpc.health.v1 import (
    HealthCheckRequest,
    HealthCheckResponse,
    HealthCheckResponseServingStatus,
)

ServingStatus: TypeAlias = HealthCheckResponseServingStatus
SERVING = ServingStatus(1)
NOT_SERVING = ServingStatus(2)
SERVICE_UNKNOWN = ServingStatus(3)
_Stream: TypeAlias = Stream[HealthCheckRequest, HealthCheckResponse]


class HealthService:
    """The health of a server's services, served to whoever asks or watches.

    Every name starts as NOT_SERVING. A name that was never set is NOT_FOUND to Check and SERVICE_UNKNOWN to Watch.

    Args:
        names: names to know from the start; ``""`` stands for the server as a whole.
    """

    def __init__(self, names: Iterable[str] = ("",)) -> None:
        self._statuses = dict.fromkeys(names, NOT_SERVING)
        self._watchers: set[asyncio.Event] = set()
        self._stopping = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names that have a status."""
        return tuple(self._statuses)

    def status(self, service: str = "") -> ServingStatus:
        """The status of a name; SERVICE_UNKNOWN for one that has none."""
        return self._statuses.get(service, SERVICE_UNKNOWN)

    async def set(self, service: str, status: ServingStatus | int) -> None:
        """Set the status of a name and tell who watches it; without effect after `enter_graceful_shutdown`."""
        if not self._stopping:
            self._set({service: ServingStatus(int(status))})

    async def enter_graceful_shutdown(self) -> None:
        """Set every name to NOT_SERVING, for good."""
        self._stopping = True
        self._set(dict.fromkeys(self._statuses, NOT_SERVING))

    def _set(self, statuses: dict[str, ServingStatus]) -> None:
        self._statuses.update(statuses)
        for watcher in self._watchers:
            watcher.set()

    def __mapping__(self) -> dict[str, Handler]:
        return {
            "/grpc.health.v1.Health/Check": Handler(
                self._check, Cardinality.UNARY_UNARY, HealthCheckRequest, HealthCheckResponse
            ),
            "/grpc.health.v1.Health/Watch": Handler(
                self._watch, Cardinality.UNARY_STREAM, HealthCheckRequest, HealthCheckResponse
            ),
        }

    async def _check(self, stream: _Stream) -> None:
        service = await _service(stream)
        if service not in self._statuses:
            raise GRPCError(Status.NOT_FOUND, f"unknown service {service!r}")
        await stream.send_message(HealthCheckResponse(status=self._statuses[service]))

    async def _watch(self, stream: _Stream) -> None:
        service = await _service(stream)
        changed = asyncio.Event()
        self._watchers.add(changed)
        told: Any = None
        try:
            while True:
                changed.clear()
                status = self.status(service)
                if status is not told:
                    told = status
                    await stream.send_message(HealthCheckResponse(status=status))
                await changed.wait()
        finally:
            self._watchers.discard(changed)


async def _service(stream: _Stream) -> str:
    request = await stream.recv_message()
    return "" if request is None else request.service
