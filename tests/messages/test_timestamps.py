from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angzarr.errors import InvalidTimestampError
from angzarr.messages import now, parse_timestamp
from angzarr.messages.timestamps import frozen


@pytest.mark.parametrize(
    ("text", "seconds", "microseconds"),
    [
        ("2024-01-15T10:30:00Z", 1705314600, 0),
        ("2024-01-15T10:30:00.Z", 1705314600, 0),
        ("2024-01-15T10:30:00.5Z", 1705314600, 500000),
        ("2024-01-15T10:30:00.123456789Z", 1705314600, 123456),
        ("2024-01-15T10:30:00+02:00", 1705307400, 0),
        ("2024-01-15T10:30:00-05:30", 1705334400, 0),
    ],
)
def test_an_rfc3339_text_is_a_point_in_time(text: str, seconds: int, microseconds: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=microseconds)
    assert parse_timestamp(text) == expected
    assert parse_timestamp(text).utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"])
def test_the_years_one_to_9999_can_be_read(text: str) -> None:
    assert parse_timestamp(text).year in {1, 9999}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-01-15",
        "2024-01-15T10:30:00",
        "2024-01-15t10:30:00Z",
        "2024-01-15T10:30:00z",
        "2024-01-15 10:30:00Z",
        "2024-01-15T10:30:00+0200",
        "2024-01-15T10:30:00.1234567890Z",
        "2024-01-15T10:30Z",
        "2024-01-15T10:30:60Z",
        "2024-13-15T10:30:00Z",
        " 2024-01-15T10:30:00Z",
        "2024-01-15T10:30:00Z\n",
        "2024-01-15T10:30:00+24:00",
        "٢٠٢٤-01-15T10:30:00Z",
        "0001-01-01T00:00:00+01:00",
    ],
)
def test_anything_else_is_refused_with_the_text_that_was_given(text: str) -> None:
    with pytest.raises(InvalidTimestampError) as caught:
        parse_timestamp(text)
    assert caught.value.code == "INVALID_TIMESTAMP"
    assert caught.value.details["input"] == text
    assert caught.value.details["cause"]


@pytest.mark.parametrize("value", [None, 1705314600])
def test_what_is_not_a_text_is_refused(value: object) -> None:
    with pytest.raises(InvalidTimestampError):
        parse_timestamp(value)  # type: ignore[arg-type]


@given(
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),
    st.integers(min_value=-23 * 60 - 59, max_value=23 * 60 + 59).map(
        lambda m: timezone(timedelta(minutes=m))
    ),
)
def test_what_python_writes_is_read_back(naive: datetime, zone: timezone) -> None:
    moment = naive.replace(tzinfo=zone)
    assert parse_timestamp(moment.isoformat()) == moment


def test_now_is_aware_and_utc() -> None:
    assert now().utcoffset() == timedelta(0)


def test_a_frozen_clock_stands_still_until_it_is_released() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    with frozen(moment):
        assert (now(), now()) == (moment, moment)
    assert now() > moment


def test_a_clock_cannot_be_frozen_at_a_naive_time() -> None:
    with pytest.raises(ValueError, match="aware"), frozen(datetime(2026, 1, 1)):
        pass
