"""The circuit breaker."""

import grpclib
import pytest
from grpclib.const import Status

from angzarr.client import BreakerConfig, ChannelConfig, QueryClient
from angzarr.client.breaker import Breaker
from angzarr.client.calls import Calls
from angzarr.client.failures import from_status
from angzarr.errors import ConnectionError, GRPCError, InvalidArgumentError
from angzarr.messages import EventBook, Query
from angzarr.retry import ExponentialBackoffRetry
from tests.client.stubs import Recording

REFUSED = ConnectionError()
NOT_FOUND = from_status(grpclib.GRPCError(Status.NOT_FOUND, ""))


def breaker(failures: int = 2) -> Breaker:
    return Breaker(BreakerConfig(failures=failures, reset_after=10.0), "localhost:1310")


def is_open(circuit: Breaker, now: float) -> bool:
    try:
        circuit.check(now)
    except ConnectionError:
        return True
    return False


def test_it_opens_after_failures_in_a_row() -> None:
    circuit = breaker()
    circuit.failed(REFUSED, 0.0)
    assert not is_open(circuit, 0.0)
    circuit.failed(REFUSED, 1.0)
    assert is_open(circuit, 1.0)
    assert is_open(circuit, 10.9)


def test_the_error_says_where_and_for_how_long() -> None:
    circuit = breaker(failures=1)
    circuit.failed(REFUSED, 0.0)
    with pytest.raises(ConnectionError) as raised:
        circuit.check(2.5)
    assert raised.value.code == "CIRCUIT_OPEN"
    assert raised.value.details == {"endpoint": "localhost:1310", "retry_after": "7.5"}


def test_a_success_between_failures_starts_the_count_again() -> None:
    circuit = breaker()
    circuit.failed(REFUSED, 0.0)
    circuit.succeeded()
    circuit.failed(REFUSED, 1.0)
    assert not is_open(circuit, 1.0)


def test_an_answer_is_a_success_whatever_its_status() -> None:
    circuit = breaker()
    circuit.failed(REFUSED, 0.0)
    circuit.failed(NOT_FOUND, 0.0)
    circuit.failed(REFUSED, 0.0)
    assert not is_open(circuit, 0.0)


def test_one_call_tries_it_when_the_time_has_come() -> None:
    circuit = breaker(failures=1)
    circuit.failed(REFUSED, 0.0)
    assert not is_open(circuit, 10.0)
    assert is_open(circuit, 10.0)


def test_a_failed_trial_opens_it_for_the_whole_time_again() -> None:
    circuit = breaker(failures=1)
    circuit.failed(REFUSED, 0.0)
    circuit.check(10.0)
    circuit.failed(REFUSED, 12.0)
    assert is_open(circuit, 21.9)
    assert not is_open(circuit, 22.0)


def test_a_trial_that_succeeds_closes_it() -> None:
    circuit = breaker(failures=1)
    circuit.failed(REFUSED, 0.0)
    circuit.check(10.0)
    circuit.succeeded()
    assert not is_open(circuit, 10.0)
    assert not is_open(circuit, 10.0)


@pytest.mark.parametrize(
    ("field", "fields"),
    [("failures", {"failures": 0}), ("failures", {"failures": 1.5}), ("reset_after", {"reset_after": 0})],
)
def test_a_configuration_that_makes_no_sense_names_the_field(field: str, fields: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        BreakerConfig(**fields)  # type: ignore[arg-type]
    assert raised.value.details["field"] == field


def test_it_is_off_by_default() -> None:
    assert ChannelConfig().circuit_breaker is None
    assert Calls().breaker is None


async def test_an_open_circuit_keeps_calls_from_the_server() -> None:
    unavailable = grpclib.GRPCError(Status.UNAVAILABLE, "down")
    stub = Recording(unavailable, unavailable, EventBook())
    config = ChannelConfig(circuit_breaker=BreakerConfig(failures=2, reset_after=60))
    client = QueryClient.from_stub(stub, retry=ExponentialBackoffRetry(max_attempts=1), config=config)
    for _ in range(2):
        with pytest.raises(GRPCError):
            await client.get_event_book(Query())
    with pytest.raises(ConnectionError) as raised:
        await client.get_event_book(Query())
    assert raised.value.code == "CIRCUIT_OPEN"
    assert len(stub.calls) == 2


async def test_a_circuit_that_opens_ends_the_retries() -> None:
    unavailable = grpclib.GRPCError(Status.UNAVAILABLE, "down")
    stub = Recording(*[unavailable] * 10)
    config = ChannelConfig(circuit_breaker=BreakerConfig(failures=3, reset_after=60))
    policy = ExponentialBackoffRetry(min_delay=0, max_delay=0)
    client = QueryClient.from_stub(stub, retry=policy, config=config)
    with pytest.raises(ConnectionError) as raised:
        await client.get_event_book(Query())
    assert raised.value.code == "CIRCUIT_OPEN"
    assert len(stub.calls) == 3
