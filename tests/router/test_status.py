import grpclib
import pytest
from grpclib.const import Status
from structlog.testing import capture_logs

from angzarr._gen.google.rpc import ErrorInfo
from angzarr._gen.google.rpc import Status as RpcStatus
from angzarr.errors import (
    ClientError,
    CommandRejectedError,
    ConnectionError,
    DecodeError,
    DispatchError,
    GRPCError,
    InvalidArgumentError,
    InvalidTimestampError,
    TransportError,
)
from angzarr.messages import decode
from angzarr.router import command_handler, handles
from angzarr.router.status import status_of
from tests.bank.messages import Account, Deposit
from tests.router.helpers import command_router, request


def info_of(error: grpclib.GRPCError) -> ErrorInfo:
    carried = decode(RpcStatus, error.details)
    assert (carried.code, carried.message) == (error.status.value, error.message)
    assert carried.details[0].type_url == "type.googleapis.com/google.rpc.ErrorInfo"
    return decode(ErrorInfo, carried.details[0].value)


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (CommandRejectedError("no"), Status.FAILED_PRECONDITION, "no"),
        (CommandRejectedError("no", "INVALID_ARGUMENT"), Status.INVALID_ARGUMENT, "no"),
        (CommandRejectedError("no", "NOT_FOUND"), Status.NOT_FOUND, "no"),
        (CommandRejectedError("no", "ALREADY_EXISTS"), Status.FAILED_PRECONDITION, "no"),
        (DispatchError(Status.INTERNAL, "odd"), Status.INTERNAL, "odd"),
        (GRPCError(grpclib.GRPCError(Status.ABORTED, "upstream")), Status.ABORTED, "upstream"),
        (InvalidArgumentError("bad"), Status.INVALID_ARGUMENT, "bad"),
        (InvalidTimestampError("when"), Status.INVALID_ARGUMENT, "when"),
        (ConnectionError("down"), Status.UNAVAILABLE, "down"),
        (TransportError(OSError("x")), Status.UNAVAILABLE, "transport error"),
        (ClientError("ours"), Status.INTERNAL, "ours"),
        (DecodeError("truncated", "pages[0]"), Status.INVALID_ARGUMENT, "pages[0]: truncated"),
    ],
)
def test_each_exception_has_its_status(error: Exception, status: Status, text: str) -> None:
    with capture_logs():
        found = status_of(error)
    assert (found.status, found.message) == (status, text)


def test_code_and_details_travel_as_error_info() -> None:
    found = status_of(CommandRejectedError.not_found("NO_SUCH_ACCOUNT", "none", {"account": 7}))
    assert info_of(found) == ErrorInfo(reason="NO_SUCH_ACCOUNT", domain="angzarr", metadata={"account": "7"})


def test_the_extras_of_a_dispatch_error_travel_too() -> None:
    error = DispatchError(Status.INVALID_ARGUMENT, "t", error_code="CODE", extras={"path": "a.b"})
    assert info_of(status_of(error)) == ErrorInfo(reason="CODE", domain="angzarr", metadata={"path": "a.b"})


def test_details_that_would_not_fit_a_header_are_shortened() -> None:
    found = status_of(CommandRejectedError("no", code="C", details={"long": "x" * 5000}))
    assert info_of(found).metadata["long"] == "x" * 1024 + "…"


def test_a_rejection_without_code_or_details_carries_none() -> None:
    assert status_of(CommandRejectedError("no")).details is None


def test_a_grpc_error_passes_as_it_is() -> None:
    error = grpclib.GRPCError(Status.FAILED_PRECONDITION, "stale", b"book")
    assert status_of(error) is error


def test_an_unexpected_exception_shows_its_class_and_a_correlation_id_but_not_its_text() -> None:
    with capture_logs() as logs:
        found = status_of(ValueError("password"))
    assert found.status is Status.INTERNAL
    assert found.message is not None
    assert found.message.startswith("ValueError; correlation id ")
    assert "password" not in found.message
    assert logs[0]["log_level"] == "error"
    assert logs[0]["correlation_id"] in found.message
    assert isinstance(logs[0]["exc_info"], ValueError)


def test_the_text_is_shown_when_told_to() -> None:
    with capture_logs():
        found = status_of(ValueError("the till is jammed"), expose_internal_errors=True)
    assert found.message is not None
    assert found.message.endswith(": the till is jammed")


async def test_what_a_handler_was_handling_is_told_and_logged() -> None:
    @command_handler(domain="account", state=Account)
    class Broken:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> None:
            raise KeyError("till")

    with pytest.raises(KeyError) as caught:
        await command_router(Broken).dispatch(request(Deposit()))
    with capture_logs() as logs:
        found = status_of(caught.value)
    assert found.message == (
        "KeyError in Broken.deposit, handling bank.Deposit of "
        "account/000102030405060708090a0b0c0d0e0f; correlation id corr-1"
    )
    assert logs[0]["handler"] == "Broken.deposit"
    assert logs[0]["message"] == "bank.Deposit"
    assert logs[0]["correlation_id"] == "corr-1"


async def test_a_decode_error_of_a_handlers_own_is_internal() -> None:
    @command_handler(domain="account", state=Account)
    class Decoding:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> None:
            decode(Deposit, b"\x08")

    with pytest.raises(DecodeError) as caught:
        await command_router(Decoding).dispatch(request(Deposit()))
    with capture_logs():
        assert status_of(caught.value).status is Status.INTERNAL


async def test_what_a_sync_handler_cannot_raise_as_it_is_names_the_handler_all_the_same() -> None:
    @command_handler(domain="account", state=Account)
    class Iterating:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> None:
            next(iter(()))

    with pytest.raises(RuntimeError) as caught:
        await command_router(Iterating).dispatch(request(Deposit()))
    with capture_logs():
        found = status_of(caught.value)
    assert found.message == (
        "RuntimeError in Iterating.deposit, handling bank.Deposit of "
        "account/000102030405060708090a0b0c0d0e0f; correlation id corr-1"
    )


def test_extras_do_not_replace_what_the_log_line_says() -> None:
    error = DispatchError(
        Status.INTERNAL, "odd", error_code="C", extras={"event": "e", "code": "5", "self": "s", "field": "f"}
    )
    with capture_logs() as logs:
        found = status_of(error)
    assert logs == [{"event": "handler_answered_wrongly", "log_level": "error", "code": "C", "field": "f"}]
    assert info_of(found).metadata == {"event": "e", "code": "5", "self": "s", "field": "f"}


@pytest.mark.parametrize(
    "error",
    [grpclib.GRPCError(Status.OK, "fine"), DispatchError(Status.OK, "fine")],
    ids=lambda e: type(e).__name__,
)
def test_an_error_whose_status_is_ok_is_internal(error: Exception) -> None:
    with capture_logs():
        assert status_of(error).status is Status.INTERNAL


def test_texts_with_lone_surrogates_travel_without_them() -> None:
    found = status_of(CommandRejectedError("no \ud800", code="C", details={"file": "\udcff.txt"}))
    carried = decode(RpcStatus, found.details)
    assert carried.message == "no ?"
    assert decode(ErrorInfo, carried.details[0].value).metadata == {"file": "?.txt"}
