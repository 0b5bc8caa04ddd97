"""A business server as another language would have it: grpcio and google.protobuf, handlers of every kind."""

import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio.to_thread
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.interop.protos import PACKAGE, google

Handler = Callable[[Any, Any], Any]


class Business:
    """Handlers of every kind; remembers the requests it was given.

    Command ``DoX`` becomes event ``DoneX``; ``Refuse`` is refused with details; ``Slow`` never answers.

    Attributes:
        seconds: how long each call had left when it came in, by method; None without a deadline.
    """

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.seconds: dict[str, float | None] = {}
        self.metadata: list[dict[str, Any]] = []
        self.slow_upcasts = False
        self.released = threading.Event()

    def handle(self, request: Any, context: Any) -> Any:
        self.seen.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        response = google("BusinessResponse")()
        book = response.events
        book.cover.CopyFrom(request.command.cover)
        for number, page in enumerate(request.command.pages):
            name = _name(page.command)
            if name == "Refuse":
                context.set_details("not today")
                context.set_code(grpc.StatusCode.FAILED_PRECONDITION)
                context.set_trailing_metadata((("grpc-status-details-bin", b"\x08\x09raw"),))
                return response
            if name == "Slow":
                self.released.wait(10)
            made = book.pages.add()
            made.header.sequence = request.events.next_sequence + number
            made.event.CopyFrom(payload(name.replace("Do", "Done"), page.command.value))
        return response

    def handle_fact(self, request: Any, context: Any) -> Any:
        self.seen.append(request)
        book = google("EventBook")()
        page = book.pages.add()
        page.event.CopyFrom(payload("Noticed"))
        return book

    def replay(self, request: Any, context: Any) -> Any:
        self.seen.append(request)
        response = google("ReplayResponse")()
        fields = b"".join(bytes([8 + 8 * int(_name(page.event)[-1]), 1]) for page in request.events)
        response.state.CopyFrom(payload("State", fields))
        return response

    def saga(self, request: Any, context: Any) -> Any:
        self.seen.append(request)
        response = google("SagaResponse")()
        for page in request.source.pages:
            if _name(page.event) == "DoneSeat":
                book = response.commands.add()
                book.cover.domain = "table"
                book.cover.root.value = request.source.cover.root.value
                book.pages.add().command.CopyFrom(payload("DoJoin"))
        return response

    def process_manager(self, request: Any, context: Any) -> Any:
        self.seen.append(request)
        response = google("ProcessManagerHandleResponse")()
        for page in request.trigger.pages:
            if _name(page.event) == "DoneSeat":
                response.process_events.add().pages.add().event.CopyFrom(payload("Begun"))
                book = response.commands.add()
                book.cover.domain = "table"
                book.cover.root.value = request.trigger.cover.root.value
                book.pages.add().command.CopyFrom(payload("DoJoin"))
        return response

    def project(self, request: Any, context: Any) -> Any:
        self.seen.append(request)
        projection = google("Projection")(projector="foreign", sequence=request.next_sequence)
        projection.cover.CopyFrom(request.cover)
        projection.projection.CopyFrom(payload("View", str(len(request.pages)).encode()))
        return projection

    def upcast(self, request: Any, context: Any) -> Any:
        if self.slow_upcasts:
            self.released.wait(10)
        response = google("UpcastResponse")()
        for page in request.events:
            made = response.events.add()
            made.CopyFrom(page)
            made.event.type_url = page.event.type_url.replace("Old", "New")
        return response


def payload(name: str, value: bytes = b"") -> Any:
    return google("Any", "google.protobuf")(type_url=f"type.googleapis.com/world.{name}", value=value)


def _name(packed: Any) -> str:
    return str(packed.type_url.rpartition(".")[2])


def _services(business: Business) -> dict[str, dict[str, tuple[Handler, str]]]:
    return {
        "CommandHandlerService": {
            "Handle": (business.handle, "ContextualCommand"),
            "HandleFact": (business.handle_fact, "FactRequest"),
            "Replay": (business.replay, "ReplayRequest"),
        },
        "SagaService": {"Handle": (business.saga, "SagaHandleRequest")},
        "ProcessManagerService": {"Handle": (business.process_manager, "ProcessManagerHandleRequest")},
        "ProjectorService": {
            "Handle": (business.project, "EventBook"),
            "HandleSpeculative": (business.project, "EventBook"),
        },
        "UpcasterService": {"Upcast": (business.upcast, "UpcastRequest")},
    }


class Server:
    """A grpcio server of a Business at an address, with a health service unless told otherwise."""

    def __init__(self, business: Business, address: str, *, with_health: bool = True) -> None:
        self._server = grpc.server(ThreadPoolExecutor(8))
        for name, methods in _services(business).items():
            self._server.add_generic_rpc_handlers([_generic(business, name, methods)])
        self.health = health.HealthServicer()
        if with_health:
            health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
            self.say(health_pb2.HealthCheckResponse.SERVING)
        self._server.add_insecure_port(address)
        self._server.start()

    def say(self, status: Any) -> None:
        self.health.set("", status)

    def stop(self) -> None:
        self._server.stop(None).wait()


def _timed(business: Business, method: str, function: Handler) -> Handler:
    def handle(request: Any, context: Any) -> Any:
        business.seconds[method] = context.time_remaining()
        return function(request, context)

    return handle


def _generic(business: Business, service: str, methods: dict[str, tuple[Handler, str]]) -> Any:
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            _timed(business, f"{service}.{name}", function),
            google(request).FromString,
            lambda message: message.SerializeToString(),
        )
        for name, (function, request) in methods.items()
    }
    return grpc.method_handlers_generic_handler(f"{PACKAGE}.{service}", handlers)


@contextlib.asynccontextmanager
async def serving(business: Business, address: str, *, with_health: bool = True) -> AsyncIterator[Server]:
    """The server, as long as the block lasts."""
    server = await anyio.to_thread.run_sync(lambda: Server(business, address, with_health=with_health))
    try:
        yield server
    finally:
        business.released.set()
        await anyio.to_thread.run_sync(server.stop)


def names(requests: list[Any]) -> Iterator[str]:
    """Types of the requests."""
    return (request.DESCRIPTOR.name for request in requests)
