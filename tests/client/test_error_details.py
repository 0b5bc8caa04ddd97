"""What a server says about an error, and how it arrives."""

from datetime import timedelta
from typing import Any

import grpclib
import grpclib.client
import grpclib.events
import pytest
from grpclib.const import Status

from angzarr import codec
from angzarr._gen.google.rpc import ErrorInfo, RetryInfo
from angzarr._gen.google.rpc import Status as RpcStatus
from angzarr.client import (
    QueryClient,
)
from angzarr.errors import (
    GRPCError,
)
from angzarr.messages import (
    Any as PackedMessage,
)
from angzarr.messages import (
    Cover,
    EventBook,
    Query,
)
from angzarr.messages.services import EVENT_QUERY
from angzarr.retry import ExponentialBackoffRetry
from tests.client.servers import Servicer, answering, serving

ONCE = ExponentialBackoffRetry(max_attempts=1)


def failing(error: grpclib.GRPCError) -> Servicer:
    async def refuse(request: Any) -> Any:
        raise error

    return Servicer(
        EVENT_QUERY,
        get_event_book=answering(refuse),
    )


def rich(code: Status, *details: Any) -> bytes:
    return codec.encode(RpcStatus(code=code.value, message="text", details=list(details)))


def packed(name: str, message: Any) -> PackedMessage:
    return PackedMessage(type_url=f"type.googleapis.com/google.rpc.{name}", value=codec.encode(message))


async def call_refused_with(error: grpclib.GRPCError) -> GRPCError:
    async with serving(failing(error)) as endpoint, QueryClient.connect(endpoint, ONCE) as client:
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query())
    return raised.value


async def test_a_plain_status_travels() -> None:
    error = await call_refused_with(grpclib.GRPCError(Status.NOT_FOUND, "kein Konto für «alice»"))
    assert error.grpc_code is Status.NOT_FOUND
    assert error.grpc_details == "kein Konto für «alice»"
    assert (error.message, error.code, error.details) == ("grpc error", "GRPC_ERROR", {})
    assert error.status().status is Status.NOT_FOUND
    assert error.retry_delay is None
    assert error.current_events is None
    assert error.__cause__ is error.status()


async def test_code_and_details_travel_in_error_info() -> None:
    info = ErrorInfo(reason="VALUE_EMPTY", domain="angzarr", metadata={"field": "name"})
    status = Status.INVALID_ARGUMENT
    error = await call_refused_with(
        grpclib.GRPCError(status, "value must not be empty", rich(status, packed("ErrorInfo", info)))
    )
    assert error.is_invalid_argument()
    assert error.code == "VALUE_EMPTY"
    assert error.details == {"field": "name"}
    assert error.__notes__ == ["INVALID_ARGUMENT: value must not be empty [VALUE_EMPTY]"]


async def test_our_error_info_wins_over_a_foreign_one() -> None:
    foreign = ErrorInfo(reason="QUOTA", domain="googleapis.com")
    ours = ErrorInfo(reason="VALUE_EMPTY", domain="angzarr")
    status = Status.INVALID_ARGUMENT
    details = rich(
        status, packed("ErrorInfo", foreign), packed("Help", ErrorInfo()), packed("ErrorInfo", ours)
    )
    assert (await call_refused_with(grpclib.GRPCError(status, "", details))).code == "VALUE_EMPTY"


async def test_the_retry_delay_comes_from_retry_info() -> None:
    status = Status.RESOURCE_EXHAUSTED
    info = packed("RetryInfo", RetryInfo(retry_delay=timedelta(seconds=1.5)))
    error = await call_refused_with(grpclib.GRPCError(status, "busy", rich(status, info)))
    assert error.retry_delay == timedelta(seconds=1.5)


@pytest.mark.parametrize("status", [Status.FAILED_PRECONDITION, Status.ABORTED])
async def test_a_bare_event_book_in_the_details_is_the_current_events(status: Status) -> None:
    book = EventBook(cover=Cover(domain="player"), next_sequence=7)
    error = await call_refused_with(grpclib.GRPCError(status, "Sequence mismatch", codec.encode(book)))
    assert error.current_events == book
    assert error.code == "GRPC_ERROR"


@pytest.mark.parametrize("details", [b"\xff\xff", b"\x0a\x7f", b"\x08"])
async def test_details_nobody_can_read_do_not_hide_the_status(details: bytes) -> None:
    error = await call_refused_with(grpclib.GRPCError(Status.FAILED_PRECONDITION, "no", details))
    assert error.is_precondition_failed()
    assert error.current_events is None


async def test_trailing_metadata_is_on_the_error() -> None:
    async def refuse(stream: Any) -> None:
        await stream.recv_message()
        await stream.send_trailing_metadata(
            status=Status.ABORTED, metadata={"x-shard": "7", "x-raw-bin": b"\x00\x01"}
        )

    async with (
        serving(Servicer(EVENT_QUERY, get_event_book=refuse)) as endpoint,
        QueryClient.connect(endpoint) as client,
    ):
        with pytest.raises(GRPCError) as raised:
            await client.get_event_book(Query())
    assert raised.value.metadata["x-shard"] == "7"
    assert raised.value.metadata["x-raw-bin"] == b"\x00\x01"
