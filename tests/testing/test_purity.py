import datetime as dt
import logging
import random
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from angzarr.messages import now
from angzarr.testing.purity import noticed


@pytest.mark.parametrize(
    ("impure", "name"),
    [
        (lambda: time.time(), "time.time"),
        (lambda: time.time_ns(), "time.time_ns"),
        (lambda: datetime.now(UTC), "datetime.now"),
        (lambda: dt.datetime.now(UTC), "datetime.now"),
        (lambda: date.today(), "date.today"),
        (lambda: now(), "now"),
        (lambda: random.random(), "random.random"),
        (lambda: random.randint(1, 6), "random.randint"),
        (lambda: uuid.uuid4(), "uuid.uuid4"),
    ],
)
def test_it_is_noticed(impure: Callable[[], object], name: str) -> None:
    with noticed({"tests"}) as found:
        impure()
    assert len(found) == 1
    assert found[0].startswith(f"{name}() at test_purity.py:")


@pytest.mark.parametrize(
    "pure",
    [
        lambda: time.perf_counter(),
        lambda: datetime(2026, 1, 1, tzinfo=UTC),
        lambda: uuid.uuid5(uuid.NAMESPACE_DNS, "a"),
        lambda: sorted([3, 1]),
        lambda: logging.getLogger("tests").warning("the time of a log line is no impurity"),
    ],
)
def test_it_is_no_impurity(pure: Callable[[], object]) -> None:
    with noticed({"tests"}) as found:
        pure()
    assert found == []


def test_code_of_other_packages_does_not_count() -> None:
    with noticed({"players"}) as found:
        time.time()
    assert found == []
