"""What a server may not be told."""

from typing import Any

import pytest

from angzarr.errors import InvalidArgumentError
from angzarr.server import ServerOptions


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_message_bytes", 0),
        ("max_message_bytes", 2**32),
        ("max_message_bytes", True),
        ("max_concurrent_streams", 0),
        ("window_bytes", 65_534),
        ("window_bytes", 2**31),
        ("window_bytes", 1e6),
        ("keepalive_time", 0),
        ("keepalive_timeout", -1.0),
        ("grace", -1),
        ("grace", float("nan")),
        ("linger", "1"),
        ("http2", "fast"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        ServerOptions(**{field: value})
    assert refused.value.code == "INVALID_ARGUMENT"
    assert (refused.value.details["field"], refused.value.details["actual"]) == (field, str(value))
    assert refused.value.details["expected"]


def test_the_limits_of_what_makes_sense_are_taken() -> None:
    least = ServerOptions(1, 1, 65_535, 0.001, 0.001, grace=0, linger=0, http2="h2")
    assert (least.window_bytes, least.grace) == (65_535, 0)
    assert ServerOptions(max_message_bytes=2**32 - 1, window_bytes=2**31 - 1).window_bytes == 2_147_483_647
