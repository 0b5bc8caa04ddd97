import logging
from collections.abc import Callable
from decimal import Decimal

import pytest

from angzarr import validation
from angzarr.errors import CommandRejectedError

Case = tuple[Callable[[], None], str, str, dict[str, str], str]

REFUSED: list[Case] = [
    (
        lambda: validation.require_exists(False, "player"),
        "NOT_FOUND",
        "ENTITY_NOT_FOUND",
        {"context": "player"},
        "entity not found",
    ),
    (
        lambda: validation.require_not_exists(True, "player"),
        "FAILED_PRECONDITION",
        "ENTITY_ALREADY_EXISTS",
        {"context": "player"},
        "entity already exists",
    ),
    (
        lambda: validation.require_positive(0, "amount"),
        "INVALID_ARGUMENT",
        "VALUE_NOT_POSITIVE",
        {"field": "amount"},
        "value must be positive",
    ),
    (
        lambda: validation.require_positive(float("nan"), "amount"),
        "INVALID_ARGUMENT",
        "VALUE_NOT_POSITIVE",
        {"field": "amount"},
        "value must be positive",
    ),
    (
        lambda: validation.require_non_negative(Decimal("-0.01"), "amount"),
        "INVALID_ARGUMENT",
        "VALUE_NOT_NON_NEGATIVE",
        {"field": "amount"},
        "value must be non-negative",
    ),
    (
        lambda: validation.require_not_empty([], "items"),
        "INVALID_ARGUMENT",
        "COLLECTION_EMPTY",
        {"field": "items"},
        "collection must not be empty",
    ),
    (
        lambda: validation.require_not_empty(None, "items"),
        "INVALID_ARGUMENT",
        "COLLECTION_EMPTY",
        {"field": "items"},
        "collection must not be empty",
    ),
    (
        lambda: validation.require_not_empty_str("", "name"),
        "INVALID_ARGUMENT",
        "VALUE_EMPTY",
        {"field": "name"},
        "value must not be empty",
    ),
    (
        lambda: validation.require_status("open", "closed", "account"),
        "FAILED_PRECONDITION",
        "STATUS_MISMATCH",
        {"context": "account"},
        "status does not match expected",
    ),
    (
        lambda: validation.require_status_not("closed", "closed", "account"),
        "FAILED_PRECONDITION",
        "STATUS_FORBIDDEN",
        {"context": "account"},
        "status is the forbidden value",
    ),
]


@pytest.mark.parametrize(("check", "status", "code", "details", "message"), REFUSED)
def test_a_failed_requirement_is_a_rejection_with_its_code(
    check: Callable[[], None], status: str, code: str, details: dict[str, str], message: str
) -> None:
    with pytest.raises(CommandRejectedError) as caught:
        check()
    error = caught.value
    assert (error.status_code, error.code, error.details, str(error)) == (status, code, details, message)


@pytest.mark.parametrize(
    "check",
    [
        lambda: validation.require_exists(True, "player"),
        lambda: validation.require_not_exists(False, "player"),
        lambda: validation.require_positive(Decimal("0.01"), "amount"),
        lambda: validation.require_non_negative(0, "amount"),
        lambda: validation.require_not_empty(("a",), "items"),
        lambda: validation.require_not_empty_str(" ", "name"),
        lambda: validation.require_status(1, 1, "account"),
        lambda: validation.require_status_not("open", "closed", "account"),
    ],
)
def test_a_met_requirement_says_nothing(check: Callable[[], None]) -> None:
    check()


def test_a_rejection_is_logged_with_field_and_predicate(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="angzarr.validation"), pytest.raises(CommandRejectedError):
        validation.require_positive(-1, "amount")
    assert "validation rejection: value must be positive" in caplog.text
    assert "predicate" in caplog.text
    assert "INVALID_ARGUMENT" in caplog.text
