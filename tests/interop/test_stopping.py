"""`angzarr serve` is told to stop while 64 of grpcio's clients call it."""

import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from angzarr.messages import services
from tests.interop.protos import google
from tests.interop.test_serve_command import bank, command, serve, unpacked

HANDLE = services.COMMAND_HANDLER.rpcs["Handle"].path
CALLERS = 64


def opening() -> bytes:
    """A command that takes the handler a tenth of a second."""
    asked = command(bank("OpenAccount", owner="x"))
    asked.command.cover.domain = "slow"
    data: bytes = asked.SerializeToString()
    return data


def call_until_refused(channel: grpc.Channel, asked: bytes, under_way: Callable[[], Any]) -> Counter[str]:
    """Call again and again, until an answer is not OK."""
    outcomes: Counter[str] = Counter()
    method = channel.unary_unary(HANDLE, response_deserializer=google("BusinessResponse").FromString)
    while True:
        call = method.future(asked, timeout=20)
        code = call.code()
        outcomes[code.name] += 1
        under_way()
        if code is not grpc.StatusCode.OK:
            return outcomes
        assert unpacked(call.result().events.pages[0].event, "AccountOpened").owner == "x"


@pytest.mark.once
@pytest.mark.parametrize(
    ("shared", "transport", "number"),
    [
        (False, "tcp", signal.SIGTERM),
        (True, "tcp", signal.SIGINT),
        (False, "unix", signal.SIGINT),
        (True, "unix", signal.SIGTERM),
    ],
)
def test_every_call_is_answered_or_unavailable(
    shared: bool, transport: str, number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "slow_app.py").write_text("from tests.server.apps import slow\n\nrouter = slow()\n")
    address = "127.0.0.1:0" if transport == "tcp" else f"unix:{tmp_path}/s.sock"
    under_way = threading.Semaphore(0)
    options = [("grpc.enable_retries", 0)]
    with serve(tmp_path, "slow_app:router", "--address", address, "--grace", "60") as (process, started):
        where = started["address"]
        if not shared:
            options.append(("grpc.use_local_subchannel_pool", 1))
        channels = [grpc.insecure_channel(where, options) for _ in range(1 if shared else CALLERS)]
        with ThreadPoolExecutor(CALLERS) as pool:
            calls = [
                pool.submit(call_until_refused, channels[index % len(channels)], opening(), under_way.release)
                for index in range(CALLERS)
            ]
            for _ in range(CALLERS):
                assert under_way.acquire(timeout=30)
            process.send_signal(number)
            outcomes = sum((call.result(30) for call in calls), Counter())
        assert process.wait(20) == 0
        for channel in channels:
            channel.close()
    assert set(outcomes) == {"OK", "UNAVAILABLE"}
    assert outcomes["OK"] >= CALLERS
    assert outcomes["UNAVAILABLE"] == CALLERS
