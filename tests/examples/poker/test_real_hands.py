from pathlib import Path

import pytest

import examples.poker
from examples.poker.replay.record import HandRecord, read_records
from tests.examples.poker.pure import replay

pytestmark = pytest.mark.once

HANDS = Path(examples.poker.__file__).parent / "data" / "pluribus-hands.jsonl"


@pytest.fixture(scope="module")
def records() -> list[HandRecord]:
    return read_records(HANDS)


def test_the_file_has_943_hands(records: list[HandRecord]) -> None:
    assert len(records) == 943
    assert sum(len(record.actions) for record in records) == 16020


def test_every_recorded_hand_ends_with_the_recorded_stacks(records: list[HandRecord]) -> None:
    mismatches = [record.key for record in records if tuple(replay(record)) != record.finishing_stacks]
    assert mismatches == []
