"""A grpcio server with the coordinator's services, written with google.protobuf's classes."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from tests.interop.protos import PACKAGE, google

_SERIALIZE: Callable[[Any], bytes] = lambda message: message.SerializeToString()  # noqa: E731
_EMPTY = "google.protobuf.Empty"


class Coordinator:
    """Answers by what the domain of the request says; remembers the metadata it saw, and the calls cancelled."""

    def __init__(self) -> None:
        self.metadata: dict[str, str | bytes] = {}
        self.started = threading.Event()
        self.ended = threading.Event()

    def handle_command(self, request: Any, context: Any) -> Any:
        self._remember(context)
        domain = request.command.cover.domain
        if domain == "refuse":
            _abort_with_details(context)
        if domain == "wait":
            self._wait(context)
        response = google("CommandResponse")()
        response.events.cover.CopyFrom(request.command.cover)
        page = response.events.pages.add()
        page.header.sequence = request.command.pages[0].header.sequence
        page.event.CopyFrom(request.command.pages[0].command)
        response.events.next_sequence = page.header.sequence + 1
        context.set_trailing_metadata((("x-cascade", "none"), ("x-blob-bin", b"\0\xff")))
        return response

    def get_event_book(self, query: Any, context: Any) -> Any:
        self._remember(context)
        return _book(query, 0)

    def get_events(self, query: Any, context: Any) -> Iterator[Any]:
        for number in range(query.range.upper + 1):
            yield _book(query, number)
        if query.cover.domain == "break":
            context.abort(grpc.StatusCode.DATA_LOSS, "torn page")

    def synchronize(self, queries: Iterator[Any], context: Any) -> Iterator[Any]:
        for number, query in enumerate(queries):
            yield _book(query, number)

    def get_aggregate_roots(self, empty: Any, context: Any) -> Iterator[Any]:
        for number in range(3):
            root = google("AggregateRoot")(domain="account")
            root.root.value = bytes([number]) * 16
            yield root

    def subscribe(self, filter_: Any, context: Any) -> Iterator[Any]:
        context.add_callback(self.ended.set)
        book = google("EventBook")()
        book.cover.correlation_id = filter_.correlation_id
        yield book
        self._wait(context)

    def _remember(self, context: Any) -> None:
        self.metadata = dict(context.invocation_metadata())

    def _wait(self, context: Any) -> None:
        context.add_callback(self.ended.set)
        self.started.set()
        while context.is_active():
            time.sleep(0.01)


def _book(query: Any, number: int) -> Any:
    book = google("EventBook")()
    book.cover.CopyFrom(query.cover)
    book.next_sequence = number
    if query.cover.domain == "large":
        page = book.pages.add()
        page.event.type_url = "type.googleapis.com/large.Event"
        page.event.value = bytes(query.range.upper)
    return book


def _abort_with_details(context: Any) -> None:
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason="TABLE_FULL", domain="angzarr", metadata={"seats": "9"}))
    status = status_pb2.Status(
        code=code_pb2.FAILED_PRECONDITION, message="Tisch völlig besetzt", details=[info]
    )
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, status.message)


@contextmanager
def foreign_coordinator(
    address: str, credentials: grpc.ServerCredentials | None = None
) -> Iterator[tuple[Coordinator, str]]:
    """A grpcio server in threads, and where it listens; with TLS where it has credentials."""
    coordinator = Coordinator()
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    server.add_generic_rpc_handlers(tuple(_services(coordinator)))
    secured = credentials is not None
    port = server.add_secure_port(address, credentials) if secured else server.add_insecure_port(address)
    server.start()
    try:
        yield coordinator, address if address.startswith("unix:") else f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def _services(coordinator: Coordinator) -> Iterator[grpc.GenericRpcHandler]:
    yield _service(
        "CommandHandlerCoordinatorService",
        HandleCommand=_unary(coordinator.handle_command, "CommandRequest"),
    )
    yield _service(
        "EventQueryService",
        GetEventBook=_unary(coordinator.get_event_book, "Query"),
        GetEvents=_streaming(coordinator.get_events, "Query"),
        GetAggregateRoots=_streaming(coordinator.get_aggregate_roots, None),
        Synchronize=grpc.stream_stream_rpc_method_handler(
            coordinator.synchronize, google("Query").FromString, _SERIALIZE
        ),
    )
    yield _service("EventStreamService", Subscribe=_streaming(coordinator.subscribe, "EventStreamFilter"))


def _service(name: str, **methods: grpc.RpcMethodHandler) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(f"{PACKAGE}.{name}", methods)


def _unary(method: Callable[..., Any], request: str) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(method, google(request).FromString, _SERIALIZE)


def _streaming(method: Callable[..., Any], request: str | None) -> grpc.RpcMethodHandler:
    parse = google(request).FromString if request else google("Empty", "google.protobuf").FromString
    return grpc.unary_stream_rpc_method_handler(method, parse, _SERIALIZE)
