"""Real server processes, told to stop by real signals."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpclib.client
import pytest
from grpclib.client import UnaryStreamMethod, UnaryUnaryMethod
from grpclib.exceptions import GRPCError, StreamTerminatedError

from angzarr._gen.grpc.health.v1 import HealthCheckRequest, HealthCheckResponse
from angzarr.client.channel import Channel
from angzarr.codec import GrpcCodec
from angzarr.errors import ConnectionError
from angzarr.messages import ContextualCommand, services
from tests.bank.messages import OpenAccount
from tests.router.helpers import request
from tests.server.peers import until

HANDLE = services.COMMAND_HANDLER.rpcs["Handle"]
ROOT = Path(__file__).parents[2]
SERVING, NOT_SERVING = 1, 2


class Process:
    """A server process and what it logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.log: list[dict[str, Any]] = []

    async def wait_for(self, event: str) -> dict[str, Any]:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            try:
                self.log.append(json.loads(line))
            except ValueError:
                self.log.append({"event": line.decode()})
            if self.log[-1]["event"] == event:
                return self.log[-1]
        raise AssertionError(f"the process ended without {event!r}; it said {self.log}")

    def tell(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def exit_code(self) -> int:
        async with asyncio.timeout(60):
            return await self._process.wait()


@asynccontextmanager
async def process(kind: str, **environment: str) -> AsyncIterator[tuple[Process, dict[str, Any]]]:
    """A server process that has started, and its ``server_started``; killed at the end if it still runs."""
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.server.apps",
        kind,
        cwd=ROOT,
        env={**os.environ, **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    running = Process(started)
    try:
        async with asyncio.timeout(120):
            yield running, await running.wait_for("server_started")
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


def open_slowly(tenths: int) -> ContextualCommand:
    command = request(OpenAccount(owner="x" * tenths))
    command.command.cover.domain = "slow"
    return command


def channel_to(address: str) -> grpclib.client.Channel:
    """A channel of ours: grpclib's own drops answers that it has not yet read when the server says goodbye."""
    channel = Channel(f"127.0.0.1:{address.rpartition(':')[2]}")
    channel._codec = GrpcCodec()
    return channel


async def call(channel: grpclib.client.Channel, command: ContextualCommand) -> Any:
    return await UnaryUnaryMethod(channel, HANDLE.path, HANDLE.request, HANDLE.response)(command)


async def begun(call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A call that is on its way before those that are made after this."""
    task = asyncio.create_task(call)
    await asyncio.sleep(0)
    return task


async def health(channel: grpclib.client.Channel) -> int:
    """The status that the server states; what was sent on the channel before is with the server then."""
    check = UnaryUnaryMethod(channel, "/grpc.health.v1.Health/Check", HealthCheckRequest, HealthCheckResponse)
    reply = await check(HealthCheckRequest())
    assert reply is not None
    return int(reply.status)


async def stopping(channel: grpclib.client.Channel) -> None:
    """Return when the server has taken in the signal to stop: two at once would be one."""
    while await health(channel) != NOT_SERVING:
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("kind", ["router", "serve"])
async def test_a_signal_ends_the_process_with_exit_code_0(kind: str, number: signal.Signals) -> None:
    async with process(kind, ANGZARR_BIND_ADDRESS="127.0.0.1:0") as (server, _):
        server.tell(number)
        assert await server.exit_code() == 0


async def test_the_reference_clients_arguments_are_taken() -> None:
    async with process("reference", ANGZARR_BIND_ADDRESS="127.0.0.1:0") as (server, started):
        assert (started["service"], started["domain"], started["transport"]) == ("slow", "slow", "tcp")
        server.tell(signal.SIGTERM)
        assert await server.exit_code() == 0


async def test_where_no_logging_is_configured_a_line_on_stdout_says_that_the_server_has_started() -> None:
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.server.apps", "silent"),
        cwd=ROOT,
        env={**os.environ, "ANGZARR_BIND_ADDRESS": "127.0.0.1:0"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert started.stdout is not None
    async with asyncio.timeout(60):
        line = (await started.stdout.readline()).decode()
        started.terminate()
        out, err = await started.communicate()
    assert re.fullmatch(r"Server started: CommandHandlerService \(slow\) on 127\.0\.0\.1:\d+ \(tcp\)\n", line)
    assert (started.returncode, out, err) == (0, b"", b"")


async def test_a_socket_is_served_and_its_file_removed(tmp_path: Path) -> None:
    environment = {"TRANSPORT_TYPE": "uds", "UDS_BASE_PATH": str(tmp_path), "DOMAIN": "slow"}
    async with process("router", **environment) as (server, started):
        path = tmp_path / "business-slow.sock"
        assert started["address"] == f"unix:{path}"
        async with grpclib.client.Channel(path=str(path), codec=GrpcCodec()) as channel:
            assert await call(channel, open_slowly(0))
        server.tell(signal.SIGTERM)
        assert await server.exit_code() == 0
        assert not path.exists()


async def test_a_call_in_flight_is_answered_before_the_process_ends() -> None:
    async with process("router", ANGZARR_BIND_ADDRESS="127.0.0.1:0") as (server, started):
        async with channel_to(started["address"]) as channel:
            answer = await begun(call(channel, open_slowly(8)))
            await call(channel, open_slowly(0))
            server.tell(signal.SIGTERM)
            assert len((await answer).events.pages) == 1
        assert await server.exit_code() == 0


async def test_a_second_signal_ends_the_grace_period() -> None:
    async with (
        process("patient", ANGZARR_BIND_ADDRESS="127.0.0.1:0") as (server, started),
        channel_to(started["address"]) as channel,
    ):
        answer = await begun(call(channel, open_slowly(600)))
        await call(channel, open_slowly(0))
        server.tell(signal.SIGTERM)
        await stopping(channel)
        server.tell(signal.SIGTERM)
        assert await server.exit_code() == 0
        with pytest.raises((GRPCError, StreamTerminatedError)):
            await answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_handler_stuck_in_its_thread_does_not_outlive_the_grace_period(
    number: signal.Signals,
) -> None:
    async with (
        process("stuck in a loop", ANGZARR_BIND_ADDRESS="127.0.0.1:0") as (server, started),
        channel_to(started["address"]) as channel,
    ):
        answers = [await begun(call(channel, open_slowly(1))) for _ in range(64)]
        assert await health(channel) == SERVING
        server.tell(number)
        assert await server.exit_code() == 0
        outcomes = await asyncio.gather(*answers, return_exceptions=True)
    assert [outcome.status.name for outcome in outcomes if isinstance(outcome, GRPCError)] == [
        "UNAVAILABLE"
    ] * 64


async def test_a_process_of_its_own_leaves_a_stuck_handler_behind() -> None:
    async with (
        process("stuck", ANGZARR_BIND_ADDRESS="127.0.0.1:0") as (server, started),
        channel_to(started["address"]) as channel,
    ):
        answer = await begun(call(channel, open_slowly(1)))
        assert await health(channel) == SERVING
        server.tell(signal.SIGTERM)
        await stopping(channel)
        server.tell(signal.SIGTERM)
        assert await server.exit_code() == 0
        with pytest.raises((GRPCError, StreamTerminatedError)):
            await answer
        assert (await server.wait_for("handler_left_in_thread"))["handler"] == "Stuck.open"


async def test_whoever_watches_the_health_is_told_before_the_process_ends() -> None:
    async with process("router", ANGZARR_BIND_ADDRESS="127.0.0.1:0") as (server, started):
        async with channel_to(started["address"]) as channel:
            watch = UnaryStreamMethod(
                channel, "/grpc.health.v1.Health/Watch", HealthCheckRequest, HealthCheckResponse
            )
            async with watch.open() as stream:
                await stream.send_message(HealthCheckRequest(), end=True)
                answer = await stream.recv_message()
                assert answer is not None
                assert answer.status == SERVING
                server.tell(signal.SIGTERM)
                answer = await stream.recv_message()
                assert answer is not None
                assert answer.status == NOT_SERVING
                await stream.cancel()
        assert await server.exit_code() == 0


async def test_64_callers_of_a_process_that_is_stopped_are_answered_or_refused_and_none_hangs() -> None:
    outcomes: dict[str, int] = {"answered": 0, "refused": 0}

    async def caller(address: str, busy: asyncio.Barrier) -> None:
        async with channel_to(address) as channel:
            await call(channel, open_slowly(0))
            await busy.wait()
            while True:
                try:
                    response = await call(channel, open_slowly(1))
                except (StreamTerminatedError, ConnectionError):
                    outcomes["refused"] += 1
                    return
                assert len(response.events.pages) == 1
                outcomes["answered"] += 1

    async with process("router", ANGZARR_BIND_ADDRESS="127.0.0.1:0") as (server, started):
        busy = asyncio.Barrier(65)
        async with asyncio.timeout(60), asyncio.TaskGroup() as callers:
            for _ in range(64):
                callers.create_task(caller(started["address"], busy))
            await busy.wait()
            await until(lambda: outcomes["answered"] >= 64)
            server.tell(signal.SIGTERM)
        assert await server.exit_code() == 0
        end = await server.wait_for("server_shutdown")
        assert end["domain"] == "slow"
    assert outcomes["answered"] >= 64
    assert outcomes["refused"] == 64


async def test_a_wrong_port_ends_the_process_with_a_clear_error() -> None:
    with pytest.raises(AssertionError, match="invalid port env value: PORT='http'"):
        async with process("router", ANGZARR_BIND_ADDRESS="", PORT="http"):
            pass
