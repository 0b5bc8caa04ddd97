"""Traces and metrics of calls, as the OpenTelemetry SDK collects them."""

import sys
from collections.abc import Iterator
from typing import Any

import grpclib
import pytest
from grpclib.const import Status
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from angzarr.client import ChannelConfig, QueryClient
from angzarr.client.calls import Calls
from angzarr.errors import GRPCError
from angzarr.interceptors import Call
from angzarr.messages import Cover, EventBook, Query
from angzarr.messages.services import EVENT_QUERY
from angzarr.telemetry import TelemetryInterceptor, names
from tests.client.stubs import Recording

BOOK = EventBook(next_sequence=3)
QUERY = Query(cover=Cover(correlation_id="corr"))
GET = EVENT_QUERY.rpcs["GetEventBook"]


class Telemetry:
    """What the SDK collects from an interceptor."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._metrics], shutdown_on_exit=False)
        self.interceptor = TelemetryInterceptor(self.tracers, self.meters)

    def client(self, *answers: Any) -> tuple[QueryClient, Recording]:
        stub = Recording(*answers)
        config = ChannelConfig(interceptors=[self.interceptor])
        return QueryClient._composed((stub,), Calls(config, "localhost:1310")), stub

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._spans.get_finished_spans()

    def durations(self) -> dict[str, Any]:
        data = self._metrics.get_metrics_data()
        assert data is not None
        [metric] = data.resource_metrics[0].scope_metrics[0].metrics
        points: Any = metric.data.data_points
        [point] = points
        return {"name": metric.name, "unit": metric.unit, "count": point.count, **dict(point.attributes)}


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    made = Telemetry()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


def parts(traceparent: Any) -> list[str]:
    return str(traceparent).split("-")


async def test_a_call_is_a_client_span(telemetry: Telemetry) -> None:
    client, _ = telemetry.client(BOOK)
    assert await client.get_event_book(QUERY) is BOOK
    [span] = telemetry.spans
    assert span.name == "angzarr_client.proto.angzarr.EventQueryService/GetEventBook"
    assert span.kind is trace.SpanKind.CLIENT
    assert dict(span.attributes or {}) == {
        "rpc.system": "grpc",
        "rpc.service": "angzarr_client.proto.angzarr.EventQueryService",
        "rpc.method": "GetEventBook",
        "rpc.grpc.status_code": 0,
        "angzarr.correlation_id": "corr",
        "server.address": "localhost:1310",
    }


async def test_the_span_travels_as_traceparent(telemetry: Telemetry) -> None:
    client, stub = telemetry.client(BOOK)
    with telemetry.tracers.get_tracer("test").start_as_current_span("outer") as outer:
        await client.get_event_book(QUERY)
    sent = dict(stub.calls[0][3])
    inner = telemetry.spans[0]
    _, trace_id, span_id, _ = parts(sent["traceparent"])
    assert trace_id == f"{outer.get_span_context().trace_id:032x}"
    assert inner.context is not None
    assert span_id == f"{inner.context.span_id:016x}"
    assert inner.parent is not None
    assert inner.parent.span_id == outer.get_span_context().span_id
    assert sent["x-correlation-id"] == "corr"


async def test_a_failed_call_is_a_failed_span(telemetry: Telemetry) -> None:
    client, _ = telemetry.client(grpclib.GRPCError(Status.NOT_FOUND, "no"))
    with pytest.raises(GRPCError):
        await client.get_event_book(QUERY)
    [span] = telemetry.spans
    assert span.status.status_code is trace.StatusCode.ERROR
    assert (span.attributes or {})["rpc.grpc.status_code"] == 5
    assert (span.attributes or {})["error.type"] == "NOT_FOUND"
    assert span.events[0].name == "exception"


async def test_the_span_of_a_stream_ends_with_its_answers(telemetry: Telemetry) -> None:
    client, _ = telemetry.client([BOOK, BOOK])
    books = client.stream_events(QUERY)
    await anext(books)
    assert telemetry.spans == ()
    await anext(books)
    with pytest.raises(StopAsyncIteration):
        await anext(books)
    assert len(telemetry.spans) == 1


async def test_a_servers_span_is_a_child_of_the_callers_and_current_in_the_handler(
    telemetry: Telemetry,
) -> None:
    current: list[trace.SpanContext] = []

    async def handler(call: Call) -> EventBook:
        current.append(trace.get_current_span().get_span_context())
        return BOOK

    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    call = Call(GET, QUERY, [("traceparent", parent)], side="server")
    await telemetry.interceptor.intercept(call, handler)
    [span] = telemetry.spans
    assert span.kind is trace.SpanKind.SERVER
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert span.context == current[0]
    assert call.metadata == [("traceparent", parent)]
    assert not trace.get_current_span().get_span_context().is_valid


async def test_the_duration_of_calls_is_measured(telemetry: Telemetry) -> None:
    client, _ = telemetry.client(BOOK, BOOK)
    await client.get_event_book(QUERY)
    await client.get_event_book(QUERY)
    assert telemetry.durations() == {
        "name": "rpc.client.duration",
        "unit": "s",
        "count": 2,
        "rpc.system": "grpc",
        "rpc.service": "angzarr_client.proto.angzarr.EventQueryService",
        "rpc.method": "GetEventBook",
        "rpc.grpc.status_code": 0,
    }


async def test_servers_have_a_metric_of_their_own(telemetry: Telemetry) -> None:
    async def handler(call: Call) -> EventBook:
        return BOOK

    await telemetry.interceptor.intercept(Call(GET, QUERY, side="server"), handler)
    assert telemetry.durations()["name"] == names.SERVER_DURATION


def test_without_opentelemetry_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("opentelemetry", "angzarr.telemetry"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ImportError, match=r"pip install 'angzarr\[otel\]'"):
        import angzarr.telemetry  # noqa: F401


def test_clients_do_not_import_it() -> None:
    import subprocess

    code = (
        "import sys, angzarr.client; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
