"""Timestamp and Duration as datetime and timedelta, and what those cannot hold."""

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType

import betterproto
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from angzarr import codec
from angzarr.codec.wellknown import write_duration, write_timestamp
from angzarr.errors import DecodeError
from tests.codec.oracle import load_kitchen

KITCHEN = load_kitchen()


def instant_field(seconds: int, nanos: int) -> bytes:
    payload = Timestamp(seconds=seconds, nanos=nanos).SerializeToString()
    return b"\x0a" + bytes([len(payload)]) + payload


def span_field(seconds: int, nanos: int) -> bytes:
    payload = Duration(seconds=seconds, nanos=nanos).SerializeToString()
    return b"\x12" + bytes([len(payload)]) + payload


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_datetime_is_written_as_google_writes_it(at: datetime) -> None:
    expected = Timestamp()
    expected.FromDatetime(at)
    assert write_timestamp(at) == expected.SerializeToString()


@given(st.timedeltas(timedelta(days=-3_000_000), timedelta(days=3_000_000)))
def test_every_timedelta_is_written_as_google_writes_it(span: timedelta) -> None:
    expected = Duration()
    expected.FromTimedelta(span)
    assert write_duration(span) == expected.SerializeToString()


@given(st.datetimes(timezones=st.just(UTC)), st.timedeltas())
def test_times_survive(at: datetime, span: timedelta) -> None:
    message = codec.decode(KITCHEN.WellKnown, codec.encode(KITCHEN.WellKnown(instant=at, span=span)))
    assert (message.instant, message.span) == (at, span)


def test_half_a_second_less_than_nothing(kitchen: ModuleType) -> None:
    message = kitchen.WellKnown(span=timedelta(seconds=-0.5))
    assert codec.encode(message) == span_field(0, -500_000_000)
    assert codec.decode(kitchen.WellKnown, codec.encode(message)).span == timedelta(seconds=-0.5)


def test_before_1970(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.WellKnown, instant_field(-1, 250_000_000))
    assert message.instant == datetime(1969, 12, 31, 23, 59, 59, 250_000, tzinfo=UTC)


def test_nanoseconds_survive_when_nobody_reads_them(kitchen: ModuleType) -> None:
    data = instant_field(1_700_000_000, 123_456_789)
    assert codec.encode(codec.decode(kitchen.WellKnown, data)) == data


def test_nanoseconds_survive_being_read(kitchen: ModuleType) -> None:
    data = instant_field(1_700_000_000, 123_456_789) + span_field(-5, -999)
    message = codec.decode(kitchen.WellKnown, data)
    assert message.instant == datetime(2023, 11, 14, 22, 13, 20, 123_456, tzinfo=UTC)
    assert message.span == timedelta(seconds=-5)
    assert codec.encode(message) == data


def test_nanoseconds_do_not_survive_arithmetic(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.WellKnown, instant_field(1, 123_456_789))
    message.instant += timedelta(seconds=1)
    assert codec.encode(message) == instant_field(2, 123_456_000)


def test_a_new_value_replaces_what_was_decoded(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.WellKnown, instant_field(5, 1))
    message.instant = datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC)
    assert codec.encode(message) == instant_field(7, 0)


@pytest.mark.parametrize("seconds", [253_402_300_800, -62_135_596_801, (1 << 63) - 1, -(1 << 63)])
def test_a_time_beyond_datetime_goes_out_as_it_came_in(seconds: int, kitchen: ModuleType) -> None:
    data = instant_field(seconds, 5)
    assert codec.encode(codec.decode(kitchen.WellKnown, data)) == data


def test_reading_a_time_beyond_datetime_says_what_is_wrong(prepared: ModuleType) -> None:
    message = codec.decode(prepared.WellKnown, instant_field(253_402_300_800, 0))
    with pytest.raises(
        DecodeError, match=r"instant: 253402300800 seconds .* outside what datetime .* can hold"
    ):
        _ = message.instant


def test_reading_a_span_beyond_timedelta_says_what_is_wrong(prepared: ModuleType) -> None:
    message = codec.decode(prepared.WellKnown, span_field((1 << 63) - 1, 0))
    with pytest.raises(DecodeError, match="outside what timedelta can hold"):
        _ = message.span


def test_a_time_beyond_datetime_in_an_unprepared_message_raises_on_use(plain: ModuleType) -> None:
    instant = codec.decode(plain.WellKnown, instant_field(253_402_300_800, 0)).instant
    with pytest.raises(DecodeError, match="outside what datetime"):
        _ = instant.year


def test_a_time_beyond_datetime_in_a_list_raises_on_use_and_goes_out_as_it_came_in(
    kitchen: ModuleType,
) -> None:
    payload = Timestamp(seconds=1 << 62).SerializeToString()
    data = b"\x92\x01" + bytes([len(payload)]) + payload
    message = codec.decode(kitchen.Lists, data)
    with pytest.raises(DecodeError, match="outside what datetime"):
        _ = message.instants[0].year
    assert codec.encode(message) == data
    assert codec.encode(codec.clone(message)) == data
    assert "out of range" in repr(message)


def test_nanoseconds_in_lists_and_maps_survive(kitchen: ModuleType) -> None:
    payload = Timestamp(seconds=1, nanos=1).SerializeToString()
    data = b"\x92\x01" + bytes([len(payload)]) + payload
    message = codec.decode(kitchen.Lists, data)
    assert message.instants == [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)]
    assert codec.encode(message) == data


def test_a_copied_exact_time_is_still_a_datetime(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.Lists, b"\x92\x01\x04\x08\x01\x10\x01")
    assert copy.deepcopy(message.instants) == message.instants


@pytest.mark.parametrize("again", [codec.clone, copy.copy, copy.deepcopy])
def test_copies_keep_what_a_datetime_cannot_hold(
    kitchen: ModuleType, again: Callable[[betterproto.Message], betterproto.Message]
) -> None:
    in_list = codec.decode(kitchen.Lists, b"\x92\x01\x04\x08\x01\x10\x01")
    in_field = codec.decode(kitchen.WellKnown, instant_field(1, 1))
    assert in_field.instant.year == 1970
    assert codec.encode(again(in_list)) == b"\x92\x01\x04\x08\x01\x10\x01"
    assert codec.encode(again(in_field)) == instant_field(1, 1)


def test_pickles_keep_what_times_cannot_hold(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.Lists, b"\x92\x01\x04\x08\x01\x10\x01\x9a\x01\x04\x08\x02\x10\x03")
    instants, spans = pickle.loads(pickle.dumps((message.instants, message.spans)))
    assert (instants, spans) == (message.instants, message.spans)
    assert codec.encode(kitchen.Lists(instants=instants, spans=spans)) == codec.encode(message)


def test_parts_of_a_timestamp_that_comes_twice_are_merged(kitchen: ModuleType) -> None:
    message = codec.decode(kitchen.WellKnown, instant_field(5, 0) + instant_field(0, 1000))
    assert message.instant == datetime(1970, 1, 1, 0, 0, 5, 1, tzinfo=UTC)
    assert codec.encode(message) == instant_field(5, 1000)


def test_unknown_fields_of_a_timestamp_survive(kitchen: ModuleType) -> None:
    data = b"\x0a\x05\x08\x05\x98\x06\x01"
    message = codec.decode(kitchen.WellKnown, data)
    assert message.instant == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert codec.encode(message) == data


@pytest.mark.parametrize(
    "payload", ["08", "0880", "10", "08ffffffffffffffffffff01", "0c", "0b", "0d0000", "0001"]
)
def test_a_malformed_timestamp_is_refused_though_nobody_reads_it(payload: str, kitchen: ModuleType) -> None:
    data = bytes.fromhex(payload)
    with pytest.raises(DecodeError) as caught:
        codec.decode(kitchen.WellKnown, b"\x0a" + bytes([len(data)]) + data)
    assert caught.value.path == "instant"


def test_an_unread_timestamp_is_the_one_that_was_sent(prepared: ModuleType) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    message = codec.decode(prepared.WellKnown, codec.encode(prepared.WellKnown(instant=at)))
    assert repr(message) == repr(prepared.WellKnown(instant=at))
    assert message == prepared.WellKnown(instant=at)
    assert message.to_dict() == {"instant": "2026-01-02T03:04:05Z"}
