import datetime as dt
import logging
import os
import random
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from angzarr.messages import now
from angzarr.testing.purity import is_chance, noticed


@dataclass(frozen=True)
class Point:
    """Hashes its parts, as values do."""

    x: int
    y: int


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
        (lambda: random.SystemRandom().choice("ab"), "SystemRandom.choice"),
        (lambda: uuid.uuid4(), "uuid.uuid4"),
        (lambda: secrets.choice("ab"), "SystemRandom.choice"),
        (lambda: os.environ.get("HOME"), "os.getenv"),
        (lambda: os.environ["PATH"], "os.getenv"),
        (lambda: os.getenv("HOME"), "os.getenv"),
        (lambda: hash("a"), "hash"),
        (lambda: Path(__file__).read_text(), "Path.read_text"),
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
        lambda: random.Random(7).shuffle([1, 2]),
        lambda: random.Random(7).random(),
        lambda: {Point(1, 2)},
        lambda: {"a": 1}["a"],
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


@pytest.mark.parametrize(
    ("roll", "chance"),
    [
        (lambda: random.random(), True),
        (lambda: uuid.uuid4(), True),
        (lambda: secrets.token_hex(4), True),
        (lambda: time.time(), False),
        (lambda: now(), False),
    ],
)
def test_dice_are_told_from_clocks(roll: Callable[[], object], chance: bool) -> None:
    with noticed({"tests"}) as found:
        roll()
    assert [is_chance(line) for line in found] == [chance]
