"""OpenTelemetry for clients and servers: the ``[otel]`` extra. Nothing here is imported unless it is used.

::

    config = ChannelConfig(interceptors=[TelemetryInterceptor()])
"""

from time import perf_counter
from typing import Any

from grpclib.const import Status

from angzarr.interceptors import Call, Proceed, observed, status_name
from angzarr.messages import CORRELATION_ID_HEADER
from angzarr.telemetry import names

try:
    from opentelemetry import context, metrics, propagate, trace
except ImportError as _error:
    raise ImportError("angzarr.telemetry needs OpenTelemetry: pip install 'angzarr[otel]'") from _error

__all__ = ["TelemetryInterceptor", "names"]


class TelemetryInterceptor:
    """A span and a duration for every call; the trace context travels as W3C ``traceparent``.

    A client's span is a child of the current one and travels to the server; a server's span is a child of the caller's
    and current while the handler runs.

    Args:
        tracer_provider: None for the global one.
        meter_provider: None for the global one.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer(names.SCOPE, tracer_provider=tracer_provider)
        meter = metrics.get_meter(names.SCOPE, meter_provider=meter_provider)
        self._durations = {
            "client": meter.create_histogram(names.CLIENT_DURATION, names.SECONDS, "duration of calls made"),
            "server": meter.create_histogram(
                names.SERVER_DURATION, names.SECONDS, "duration of calls answered"
            ),
        }

    async def intercept(self, call: Call, proceed: Proceed) -> Any:
        attributes = _attributes(call)
        parent = propagate.extract(dict(_texts(call))) if call.side == "server" else context.get_current()
        kind = trace.SpanKind.SERVER if call.side == "server" else trace.SpanKind.CLIENT
        span = self._tracer.start_span(
            call.rpc.path[1:], parent, kind, attributes={**attributes, **_of_span(call)}
        )
        within = trace.set_span_in_context(span, parent)
        if call.side == "client":
            _inject(call, within)
        started = perf_counter()

        def done(error: BaseException | None) -> None:
            status = status_name(error)
            result = {**attributes, names.RPC_STATUS: Status[status].value}
            if error is not None:
                result[names.ERROR_TYPE] = status
                span.set_status(trace.StatusCode.ERROR, str(error))
                span.record_exception(error)
            span.set_attributes(result)
            span.end()
            self._durations[call.side].record(perf_counter() - started, result, within)

        token = context.attach(within)
        try:
            return await observed(call, proceed, done)
        finally:
            context.detach(token)


def _attributes(call: Call) -> dict[str, Any]:
    service, _, method = call.rpc.path[1:].rpartition("/")
    return {names.RPC_SYSTEM: names.GRPC, names.RPC_SERVICE: service, names.RPC_METHOD: method}


def _of_span(call: Call) -> dict[str, str]:
    found = {names.CORRELATION_ID: call.header(CORRELATION_ID_HEADER), names.SERVER_ADDRESS: call.endpoint}
    return {key: value for key, value in found.items() if value}


def _texts(call: Call) -> list[tuple[str, str]]:
    return [(key, value) for key, value in call.metadata if isinstance(value, str)]


def _inject(call: Call, within: context.Context) -> None:
    carrier: dict[str, str] = {}
    propagate.inject(carrier, within)
    call.metadata[:] = [(key, value) for key, value in call.metadata if key not in carrier]
    call.metadata.extend(carrier.items())
