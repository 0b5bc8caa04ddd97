"""Telling numbers from what only looks like them."""

from typing import Any

import pytest

from angzarr.arguments import is_number, is_whole, require, unfit
from angzarr.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("value", "number", "whole"),
    [
        (1, True, True),
        (-1, True, True),
        (0.5, True, False),
        (1.0, True, False),
        (True, False, False),
        (float("inf"), False, False),
        (float("nan"), False, False),
        ("1", False, False),
        (None, False, False),
    ],
)
def test_booleans_infinity_and_texts_are_no_numbers(value: Any, number: bool, whole: bool) -> None:
    assert (is_number(value), is_whole(value)) == (number, whole)


def test_an_argument_is_refused_with_its_name_its_value_and_what_would_do() -> None:
    require(True, "size", 1, "1 or more")
    with pytest.raises(InvalidArgumentError) as refused:
        require(False, "size", 0, "1 or more")
    assert refused.value.details == {"field": "size", "actual": "0", "expected": "1 or more"}
    assert refused.value.details == unfit("size", 0, "1 or more").details
