"""A foreign client of the coordinator: grpcio and google.protobuf, nothing of ours."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc

from angzarr.coordinator import EmbeddedCoordinator
from tests.interop.callers import Blocking, Reply
from tests.interop.protos import PACKAGE, google

COMMANDS = "CommandHandlerCoordinatorService"
QUERIES = "EventQueryService"
_ANSWERS = {
    "HandleCommand": "CommandResponse",
    "HandleEvent": "FactInjectionResponse",
    "HandleSyncSpeculative": "CommandResponse",
    "HandleCompensation": "BusinessResponse",
    "GetEventBook": "EventBook",
    "GetEvents": "EventBook",
    "Synchronize": "EventBook",
    "GetAggregateRoots": "AggregateRoot",
    "Subscribe": "EventBook",
    "Execute": "SagaResponse",
    "ExecuteSpeculative": "SagaResponse",
    "HandleSync": "Projection",
}


class Refused(Exception):
    """A status other than OK."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.details)
        self.code = reply.code
        self.text = reply.details
        self.trailing = reply.trailing

    @property
    def book(self) -> Any:
        """The EventBook in the error's details."""
        return google("EventBook").FromString(self.trailing["grpc-status-details-bin"])


class Foreigner:
    """Calls a coordinator at an address."""

    def __init__(self, address: str) -> None:
        self._caller = Blocking(address)
        self.trailing: dict[str, str | bytes] = {}

    async def __call__(
        self, service: str, method: str, *requests: Any, answer: str = "", **options: Any
    ) -> Any:
        """The answer; of streaming methods the list of answers.

        Raises:
            Refused: the status is not OK.
        """
        reply = await self._caller.call(
            f"/{PACKAGE}.{service}/{method}", *(one.SerializeToString() for one in requests), **options
        )
        self.trailing = reply.trailing
        if reply.code is not grpc.StatusCode.OK:
            raise Refused(reply)
        read = google(answer or _ANSWERS[method]).FromString
        found = [read(message) for message in reply.messages]
        return found if options.get("server_streaming") else found[0]

    async def send(self, *pages: Any, to: Any = None, **fields: Any) -> Any:
        """HandleCommand."""
        return await self(COMMANDS, "HandleCommand", request(*pages, to=to, **fields))

    async def book(self, to: Any, **selection: Any) -> Any:
        """GetEventBook."""
        return await self(QUERIES, "GetEventBook", google("Query")(cover=to, **selection))


@contextlib.asynccontextmanager
async def visited(**components: Any) -> AsyncIterator[tuple[EmbeddedCoordinator, Foreigner]]:
    """A coordinator, and a foreign client of it."""
    async with EmbeddedCoordinator(tcp="127.0.0.1:0", **components) as running:
        yield running, Foreigner(running.addresses[0])


def cover(domain: str, root: bytes | None, correlation_id: str = "", edition: str = "", **at: int) -> Any:
    """A cover; ``at`` are the edition's divergences, by domain."""
    made = google("Cover")(domain=domain, correlation_id=correlation_id)
    if root is not None:
        made.root.value = root
    if edition:
        made.edition.name = edition
    for name, sequence in at.items():
        made.edition.divergences.add(domain=name, sequence=sequence)
    return made


def page(
    name: str, value: bytes = b"", *, sequence: int | None = None, strategy: str = "", **header: Any
) -> Any:
    """A command page."""
    made = google("CommandPage")()
    if sequence is not None:
        made.header.sequence = sequence
    if header:
        made.header.CopyFrom(google("PageHeader")(**header))
    made.command.type_url, made.command.value = f"type.googleapis.com/world.{name}", value
    if strategy:
        made.merge_strategy = (
            google("CommandPage")
            .DESCRIPTOR.file.enum_types_by_name["MergeStrategy"]
            .values_by_name[strategy]
            .number
        )
    return made


def fact(name: str, **header: Any) -> Any:
    """An event page."""
    made = google("EventPage")()
    if header:
        made.header.CopyFrom(google("PageHeader")(**header))
    made.event.type_url = f"type.googleapis.com/world.{name}"
    return made


def command(*pages: Any, to: Any = None) -> Any:
    """A command book."""
    made = google("CommandBook")(pages=pages)
    if to is not None:
        made.cover.CopyFrom(to)
    return made


def request(*pages: Any, to: Any = None, **fields: Any) -> Any:
    """A command request."""
    return google("CommandRequest")(command=command(*pages, to=to), **fields)


def names(book: Any) -> list[str]:
    """Types of a book's events."""
    return [one.event.type_url.rpartition(".")[2] for one in book.pages]
