"""The low-level readers, which the router uses on raw requests too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angzarr.codec import wire
from angzarr.errors import DecodeError


@given(st.integers(0, (1 << 64) - 1))
def test_a_varint_reads_as_it_was_written(value: int) -> None:
    data = wire.write_varint(value)
    assert wire.read_varint(b"x" + data + b"y", 1) == (value, len(data) + 1)


@pytest.mark.parametrize(
    ("value", "size"), [(0, 1), (127, 1), (128, 2), (16383, 2), (16384, 3), ((1 << 64) - 1, 10)]
)
def test_a_varint_takes_seven_bits_a_byte(value: int, size: int) -> None:
    assert len(wire.write_varint(value)) == size


def test_a_varint_may_be_padded() -> None:
    assert wire.read_varint(b"\x81\x80\x00", 0) == (1, 3)


def test_a_varint_has_at_most_ten_bytes() -> None:
    with pytest.raises(DecodeError, match="more than ten bytes"):
        wire.read_varint(b"\x80" * 10 + b"\x00", 0)


def test_a_varint_that_is_cut_off_runs_out_of_the_buffer() -> None:
    with pytest.raises(IndexError):
        wire.read_varint(b"\x80", 0)


def test_a_tag_is_number_and_wire_type() -> None:
    assert wire.read_tag(b"\x82\x01", 0) == (16 << 3 | wire.LENGTH, 2)
    assert wire.tag_bytes(16, wire.LENGTH) == b"\x82\x01"


def test_field_number_0_is_refused() -> None:
    with pytest.raises(DecodeError, match="field number 0"):
        wire.read_tag(b"\x02", 0)


def test_a_length_of_two_gibibytes_is_refused() -> None:
    with pytest.raises(DecodeError, match="2 GiB"):
        wire.read_size(b"\x80\x80\x80\x80\x08", 0)


@pytest.mark.parametrize(
    ("tag", "data", "behind"),
    [
        (8, b"\x96\x01", 2),
        (9, b"12345678", 8),
        (10, b"\x03abc", 4),
        (11, b"\x08\x01\x0c", 3),
        (11, b"\x13\x14\x0c", 3),
        (13, b"1234", 4),
    ],
)
def test_skip_steps_over_a_value(tag: int, data: bytes, behind: int) -> None:
    assert wire.skip(data + b"rest", 0, len(data), tag) == behind


@pytest.mark.parametrize("tag", [9, 10, 13])
def test_skip_does_not_step_over_the_end_of_the_message(tag: int) -> None:
    with pytest.raises(DecodeError, match="truncated"):
        wire.skip(b"\x05" + b"0" * 20, 0, 3, tag)


def test_groups_are_skipped_without_recursion_up_to_the_limit() -> None:
    data = b"\x0b" * 99 + b"\x0c" * 100
    assert wire.skip(data, 0, len(data), 11) == 199
    with pytest.raises(DecodeError, match="nested deeper"):
        wire.skip(b"\x0b" * 100 + b"\x0c" * 101, 0, 201, 11)
