"""Every name that appears in traces and metrics."""

SCOPE = "angzarr"

# Attributes of spans and metrics, by OpenTelemetry's conventions for RPC
RPC_SYSTEM = "rpc.system"
RPC_SERVICE = "rpc.service"
RPC_METHOD = "rpc.method"
RPC_STATUS = "rpc.grpc.status_code"
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
GRPC = "grpc"

# Our own attributes, on spans only: their values are too many for metrics
CORRELATION_ID = "angzarr.correlation_id"

# Metrics
CLIENT_DURATION = "rpc.client.duration"
SERVER_DURATION = "rpc.server.duration"
SECONDS = "s"
