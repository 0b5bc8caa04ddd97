"""When a connection is pinged, by a clock of the test's own."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from angzarr.client import ChannelConfig
from angzarr.client.liveness import Liveness


class Handle:
    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Connection:
    """A connection whose pings are recorded; also the loop whose clock they go by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, config: ChannelConfig) -> None:
        self.now = 0.0
        self.heard = 0.0
        self.calls = 0
        self.answers = 0
        self.pings: list[float] = []
        self.aborted: list[str] = []
        self.answered = True
        self._timers: list[Handle] = []
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self)
        self.liveness = Liveness(config, self)
        monkeypatch.undo()
        self.liveness.begin()

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, callback: Callable[[], None]) -> Any:
        self._timers.append(Handle(at, callback))
        return self._timers[-1]

    def call_later(self, delay: float, callback: Callable[[], None]) -> Any:
        return self.call_at(self.now + delay, callback)

    def ping(self, now: float) -> None:
        self.pings.append(now)
        if self.answered:
            self.heard = now + 0.001

    def abort(self, reason: str) -> None:
        self.aborted.append(reason)

    def call(self) -> None:
        self.calls += 1
        self.liveness.call_began()

    def answer(self, *, partly: bool = False) -> None:
        self.heard = self.now
        self.answers += 1
        self.calls -= not partly

    def at(self, when: float) -> None:
        """Let time pass."""
        while due := [timer for timer in self._timers if timer.at <= when and not timer.cancelled]:
            first = min(due, key=lambda timer: timer.at)
            self._timers.remove(first)
            self.now = max(self.now, first.at)
            first.callback()
        self.now = when

    @property
    def timers(self) -> int:
        return sum(not timer.cancelled for timer in self._timers)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Connection:
    return Connection(monkeypatch, ChannelConfig())


def test_an_idle_connection_has_neither_pings_nor_a_timer(connection: Connection) -> None:
    connection.at(100_000)
    assert connection.pings == []
    assert connection.timers == 0


def test_a_call_that_waits_in_silence_is_probed_after_twenty_seconds(connection: Connection) -> None:
    connection.call()
    connection.at(19.9)
    assert connection.pings == []
    connection.at(21)
    assert connection.pings == [20.0]


def test_a_dead_connection_is_given_up_ten_seconds_after_the_probe(connection: Connection) -> None:
    connection.answered = False
    connection.call()
    connection.at(29.9)
    assert connection.aborted == []
    connection.at(31)
    assert connection.aborted == ["keepalive: no answer to a ping within 10 s"]
    assert connection.timers == 0


def test_a_silent_server_that_answers_pings_is_not_pinged_again_for_five_minutes(
    connection: Connection,
) -> None:
    connection.call()
    connection.at(1000)
    assert [round(when) for when in connection.pings] == [20, 323, 626, 929]
    assert connection.aborted == []


def test_a_server_that_sends_something_in_between_may_be_probed_again(connection: Connection) -> None:
    connection.call()
    connection.at(25)
    connection.answer(partly=True)
    connection.at(60)
    assert [round(when) for when in connection.pings] == [20, 45]


def test_calls_that_are_answered_in_time_cause_no_pings(connection: Connection) -> None:
    for second in range(0, 1000, 5):
        connection.at(second)
        connection.call()
        connection.at(second + 1)
        connection.answer()
    connection.at(2000)
    assert connection.pings == []
    assert connection.timers == 0


def test_without_probes_nothing_is_pinged(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection(monkeypatch, ChannelConfig(probe_after=None))
    connection.call()
    connection.at(100_000)
    assert connection.pings == []


def test_keepalive_pings_an_idle_connection_at_its_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection(monkeypatch, ChannelConfig(keepalive_time=60))
    connection.at(245)
    assert [round(when) for when in connection.pings] == [60, 120, 180, 240]


def test_a_rare_keepalive_does_not_put_off_a_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection(monkeypatch, ChannelConfig(keepalive_time=3600))
    connection.at(30)
    connection.heard = 30
    connection.call()
    connection.at(300)
    assert [round(when) for when in connection.pings] == [50]


def test_a_closed_connection_has_no_timer(connection: Connection) -> None:
    connection.call()
    connection.liveness.end()
    connection.call()
    assert connection.timers == 0
