import asyncio
import logging
from pathlib import Path

import pytest

from angzarr.errors import InvalidArgumentError
from angzarr.server import readiness
from angzarr.server.health import NOT_SERVING, SERVING, HealthService
from angzarr.server.readiness import BusProbe, OutputDomainProbe, Probe, TransportProbe, run_supervisor
from tests.server.peers import Bytes, server_of


class Scripted(Probe):
    """Answers, raises or hangs as told, round for round; the last round repeats."""

    def __init__(self, *rounds: bool | Exception | None) -> None:
        self._rounds = list(rounds)

    @property
    def name(self) -> str:
        return "scripted"

    async def check(self) -> bool:
        answer = self._rounds.pop(0) if len(self._rounds) > 1 else self._rounds[0]
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)


class Recorder:
    """A health servicer that remembers, and lets a test wait for so many entries."""

    def __init__(self, enough: int) -> None:
        self.told: list[tuple[str, int]] = []
        self.done = asyncio.Event()
        self._enough = enough

    async def set(self, service: str, status: int) -> None:
        self.told.append((service, int(status)))
        if len(self.told) == self._enough:
            self.done.set()


async def supervised(
    probes: list[Probe], enough: int, names: list[str] | None = None
) -> list[tuple[str, int]]:
    recorder = Recorder(enough)
    task = asyncio.create_task(run_supervisor(probes, recorder, names or [""], 0.001, 0.02))
    await recorder.done.wait()
    task.cancel()
    return recorder.told[:enough]


async def test_the_first_round_runs_at_once() -> None:
    health = HealthService()
    task = asyncio.create_task(run_supervisor([], health, [""], 3600, 1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert health.status() is SERVING
    task.cancel()


async def test_every_name_is_set_every_round() -> None:
    assert await supervised([Scripted(True)], 4, ["", "player"]) == [("", 1), ("player", 1)] * 2


async def test_one_failing_probe_is_enough_for_not_serving() -> None:
    assert await supervised([Scripted(True), Scripted(False)], 1) == [("", 2)]


async def test_health_flips_with_the_probes_and_back() -> None:
    told = await supervised([Scripted(False, True, False, True)], 4)
    assert [status for _, status in told] == [NOT_SERVING, SERVING, NOT_SERVING, SERVING]


async def test_a_probe_that_hangs_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    assert await supervised([Scripted(None)], 1) == [("", 2)]
    assert "readiness probe timed out" in caplog.text


async def test_a_probe_that_raises_has_failed_and_the_supervisor_lives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = await supervised([Scripted(RuntimeError("no"), TimeoutError(), True)], 3)
    assert [status for _, status in told] == [NOT_SERVING, NOT_SERVING, SERVING]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert ["scripted" in record.getMessage() for record in errors] == [True, True]
    assert errors[0].exc_info


async def test_each_failing_probe_is_one_line_a_round(caplog: pytest.LogCaptureFixture) -> None:
    await supervised([Scripted(False)], 2)
    failed = [record for record in caplog.records if "readiness probe failed" in record.getMessage()]
    assert len(failed) == 2


async def test_the_transport_probe_passes_once_the_socket_is_bound() -> None:
    probe, signal = TransportProbe.new()
    assert (probe.name, await probe.check(), signal.is_bound()) == ("transport", False, False)
    signal.mark_bound()
    assert (await probe.check(), signal.is_bound()) == (True, True)


async def test_a_domain_probe_connects_over_tcp_and_unix_sockets(tmp_path: Path) -> None:
    async with server_of(Bytes()) as server:
        for endpoint in ("127.0.0.1:0", f"{tmp_path}/a.sock", f"unix:{tmp_path}/b.sock"):
            probe = OutputDomainProbe("table", await server.listen(endpoint))
            assert (probe.name, await probe.check()) == ("table", True)
    assert not await probe.check()


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1", "127.0.0.1:http", "127.0.0.1:1", "./a.sock", "/no/such.sock", ""]
)
async def test_an_endpoint_that_cannot_be_connected_to_has_failed(endpoint: str) -> None:
    assert not await OutputDomainProbe("table", endpoint).check()


def test_a_domain_probe_looks_where_the_coordinator_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANGZARR_MODE", "standalone")
    monkeypatch.delenv("ANGZARR_UDS_BASE", raising=False)
    assert OutputDomainProbe.for_domain("table").endpoint == "/tmp/angzarr/ch-table.sock"


@pytest.mark.parametrize(("value", "endpoint"), [("kafka:9092", "kafka:9092"), (" nats:4222 ", "nats:4222")])
def test_the_bus_probe_looks_where_the_environment_says(
    value: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANGZARR_BUS_ENDPOINT", value)
    probe = BusProbe.from_env()
    assert probe is not None
    assert (probe.name, probe.endpoint) == ("bus", endpoint)


@pytest.mark.parametrize("value", ["", "  "])
def test_without_an_endpoint_there_is_no_bus_probe(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANGZARR_BUS_ENDPOINT", value)
    assert BusProbe.from_env() is None


def test_intervals_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(readiness.ENV_INTERVAL, raising=False)
    monkeypatch.setenv(readiness.ENV_TIMEOUT, "")
    assert readiness.probe_config_from_env() == (30.0, 2.0)
    monkeypatch.setenv("ANGZARR_READINESS_PROBE_INTERVAL", "0.5")
    monkeypatch.setenv("ANGZARR_READINESS_PROBE_TIMEOUT", "7")
    assert readiness.probe_config_from_env() == (0.5, 7.0)


@pytest.mark.parametrize("value", ["often", "0", "-1", "nan", "inf"])
@pytest.mark.parametrize("name", ["ANGZARR_READINESS_PROBE_INTERVAL", "ANGZARR_READINESS_PROBE_TIMEOUT"])
def test_a_wrong_interval_is_an_error_that_names_it(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidArgumentError) as caught:
        readiness.probe_config_from_env()
    assert caught.value.details == {"env_var": name, "input": value}


def test_each_domain_is_probed_once_and_the_bus_only_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANGZARR_BUS_ENDPOINT", "kafka:9092")
    with_bus = readiness.output_probes(["table", "hand", "table"], bus=True)
    assert [probe.name for probe in with_bus] == ["table", "hand", "bus"]
    assert [probe.name for probe in readiness.output_probes(["table"], bus=False)] == ["table"]
