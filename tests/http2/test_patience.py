"""The budget for frames that help no call."""

import pytest

from angzarr.http2.patience import FloodError, Patience


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def spend(patience: Patience, frames: int) -> None:
    for _ in range(frames):
        patience.spend()


def spend_each_second(clock: Clock, patience: Patience, frames: int) -> None:
    for second in range(1000):
        clock.now = second
        spend(patience, frames)


def test_two_thousand_frames_at_once_are_taken_and_no_more() -> None:
    patience = Patience(Clock())
    spend(patience, 2000)
    with pytest.raises(FloodError):
        patience.spend()


def test_a_hundred_frames_a_second_are_taken_for_ever() -> None:
    clock = Clock()
    patience = Patience(clock)
    spend_each_second(clock, patience, 100)


def test_two_hundred_a_second_are_not() -> None:
    clock = Clock()
    patience = Patience(clock)
    with pytest.raises(FloodError):
        spend_each_second(clock, patience, 200)


def test_a_long_silence_is_worth_one_full_budget() -> None:
    clock = Clock()
    patience = Patience(clock)
    clock.now = 1e6
    spend(patience, 4000)
    with pytest.raises(FloodError):
        patience.spend()


def test_work_for_calls_gives_back() -> None:
    patience = Patience(Clock())
    for _ in range(10_000):
        spend(patience, 2)
        patience.earn(2)
