import copy
import pickle

import grpclib
import pytest
from grpclib.const import Status

from angzarr import errors
from angzarr.error_codes import codes, keys, messages

PREDICATES = ("is_not_found", "is_precondition_failed", "is_invalid_argument", "is_connection_error")


def predicates_of(error: errors.ClientError) -> set[str]:
    return {name for name in PREDICATES if getattr(error, name)()}


def test_a_client_error_is_its_message_and_answers_no_to_everything() -> None:
    error = errors.ClientError("no", details={"count": 3})
    assert str(error) == "no"
    assert (error.message, error.code, error.details, error.cause) == ("no", "", {"count": "3"}, None)
    assert predicates_of(error) == set()


def test_a_connection_error_has_its_code_without_being_told() -> None:
    error = errors.ConnectionError()
    assert (str(error), error.code) == ("connection failed", "CONNECTION_FAILED")
    assert predicates_of(error) == {"is_connection_error"}


def test_a_transport_error_keeps_its_cause() -> None:
    cause = OSError("reset")
    error = errors.TransportError(cause)
    assert (str(error), error.code, error.cause) == ("transport error", "TRANSPORT_ERROR", cause)
    assert predicates_of(error) == {"is_connection_error"}


@pytest.mark.parametrize(
    ("status", "predicates"),
    [
        (Status.NOT_FOUND, {"is_not_found"}),
        (Status.FAILED_PRECONDITION, {"is_precondition_failed"}),
        (Status.INVALID_ARGUMENT, {"is_invalid_argument"}),
        (Status.UNAVAILABLE, {"is_connection_error"}),
        (Status.INTERNAL, set()),
    ],
)
def test_a_grpc_error_answers_by_its_status(status: Status, predicates: set[str]) -> None:
    cause = grpclib.GRPCError(status, "the server's words")
    error = errors.GRPCError(cause)
    assert predicates_of(error) == predicates
    assert (error.grpc_code, error.grpc_details, error.status()) == (status, "the server's words", cause)
    assert (str(error), error.code) == ("grpc error", "GRPC_ERROR")


def test_an_unknown_outcome_is_a_connection_error_whatever_its_status() -> None:
    error = errors.OutcomeUnknownError(grpclib.GRPCError(Status.DEADLINE_EXCEEDED))
    assert predicates_of(error) == {"is_connection_error"}
    assert error.grpc_code is Status.DEADLINE_EXCEEDED


def test_an_invalid_timestamp_is_not_an_invalid_argument() -> None:
    error = errors.InvalidTimestampError()
    assert (str(error), error.code, predicates_of(error)) == ("invalid timestamp", "INVALID_TIMESTAMP", set())


@pytest.mark.parametrize(
    ("factory", "status", "predicate"),
    [
        (errors.CommandRejectedError.precondition_failed, "FAILED_PRECONDITION", "is_precondition_failed"),
        (errors.CommandRejectedError.invalid_argument, "INVALID_ARGUMENT", "is_invalid_argument"),
        (errors.CommandRejectedError.not_found, "NOT_FOUND", "is_not_found"),
    ],
)
def test_a_rejection_factory_takes_code_then_message(factory: object, status: str, predicate: str) -> None:
    assert callable(factory)
    error = factory("PLAYER_EXISTS", "player is already registered", {"name": "alice"})
    assert (error.status_code, error.code, str(error), error.details, error.cover) == (
        status,
        "PLAYER_EXISTS",
        "player is already registered",
        {"name": "alice"},
        None,
    )
    assert predicates_of(error) == {predicate}


def test_a_dispatch_error_is_a_grpc_status_with_a_code() -> None:
    error = errors.DispatchError(Status.INVALID_ARGUMENT, "text", error_code="SOME_CODE", extras={"n": 1})
    assert isinstance(error, grpclib.GRPCError)
    assert (error.code(), error.status, error.message, str(error)) == (
        Status.INVALID_ARGUMENT,
        Status.INVALID_ARGUMENT,
        "text",
        "text",
    )
    assert (error.error_code, error.extras) == ("SOME_CODE", {"n": "1"})


def test_a_build_error_is_not_a_client_error() -> None:
    error = errors.BuildError("text", code="C", details={"k": 1})
    assert not isinstance(error, errors.ClientError)
    assert (str(error), error.code, error.details) == ("text", "C", {"k": "1"})


def test_a_decode_error_is_a_value_error_that_says_where() -> None:
    error = errors.DecodeError("truncated", "pages[3].event.value")
    assert isinstance(error, ValueError)
    assert (error.path, str(error)) == ("pages[3].event.value", "pages[3].event.value: truncated")


def test_an_unregistered_message_says_both_remedies() -> None:
    text = str(errors.UnregisteredMessageError("bank.Opened"))
    assert "angzarr protos compile" in text
    assert "register_package" in text


def test_the_connection_error_is_not_the_builtin() -> None:
    assert not issubclass(errors.ConnectionError, OSError)


def test_every_code_is_its_own_name_and_has_a_message() -> None:
    names = [name for name in vars(codes) if name.isupper()]
    assert all(getattr(codes, name) == name for name in names)
    assert {name for name in vars(messages) if name.isupper()} == set(names)


def test_every_detail_key_is_its_own_name_in_lower_case() -> None:
    names = [name for name in vars(keys) if name.isupper()]
    assert all(getattr(keys, name) == name.lower() for name in names)


@pytest.mark.parametrize(
    "error",
    [
        errors.ClientError("m", code="C", details={"a": "b"}),
        errors.ConnectionError("m", details={"endpoint": "e"}),
        errors.TransportError(OSError("gone")),
        errors.GRPCError(grpclib.GRPCError(Status.NOT_FOUND, "text")),
        errors.OutcomeUnknownError(grpclib.GRPCError(Status.UNAVAILABLE, "text")),
        errors.InvalidArgumentError("m", code="C"),
        errors.InvalidTimestampError("m"),
        errors.CommandRejectedError("m", "NOT_FOUND", code="C", details={"a": "b"}),
        errors.BuildError("m", code="C"),
        errors.DispatchError(Status.INTERNAL, "m", error_code="C", extras={"a": "b"}),
        errors.DecodeError("truncated", "pages[3]"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_can_be_pickled_and_copied(error: Exception) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert {k: repr(v) for k, v in vars(again).items()} == {k: repr(v) for k, v in vars(error).items()}
