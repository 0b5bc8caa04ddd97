"""Our server beside angzarr-client 0.3.1's, each with its own router, both called by grpc.aio from a third process.

    python -m benchmarks.rpc_server [--seconds 0.7] [--rounds 5] [--python PATH] [--json]

A call is a Deposit after 10, 100 or 1,000 events, at 1 and 64 calls at once. Rounds are interleaved and medians are
reported: calls per second, 99th percentile of latency, and the servers' processor time per call, whose ratio holds on a
busy machine too. ``--python`` has the other client; by default an environment is made.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.environments import python_with

HERE = Path(__file__).parent
ALTERNATIVE = "angzarr-client==0.3.1"
SIZES = (10, 100, 1000)
CONCURRENCY = (1, 64)
TARGETS = {(10, 1): 1.2, (10, 64): 1.3, (100, 1): 1.0, (100, 64): 1.2, (1000, 1): 1.0, (1000, 64): 1.2}
PATH = "/angzarr_client.proto.angzarr.CommandHandlerService/Handle"


@dataclass(frozen=True)
class Server:
    """A server process: where it listens, what to call, and the request of each size."""

    pid: int
    port: int
    path: str
    requests: Path


def serve_ours(directory: str) -> None:
    """Serve our router until told to stop; writes the requests into a directory first."""
    from angzarr.server import run_command_handler_server
    from benchmarks.dispatch_ours import request, router

    for size in SIZES:
        Path(directory, f"{size}.bin").write_bytes(request(size, 2))
    Path(directory, "path").write_text(PATH)
    run_command_handler_server(router(2), domain="account")


@contextmanager
def running(command: list[str], directory: Path) -> Iterator[Server]:
    """A server process that accepts connections."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "ANGZARR_BIND_ADDRESS": f"127.0.0.1:{port}"}
    process = subprocess.Popen([*command, str(directory)], env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield Server(process.pid, port, (directory / "path").read_text(), directory)
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "the server ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the server does not listen")


async def call(port: int, path: str, body: bytes, concurrency: int, seconds: float) -> dict[str, float]:
    """Calls made and the 99th percentile of their latency in ms; run in a process of its own."""
    import grpc.aio

    latencies: list[float] = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = channel.unary_unary(path)
        for _ in range(20):
            assert len(await method(body)) > 20
        started = time.perf_counter()
        end = started + seconds

        async def worker() -> None:
            while (sent := time.perf_counter()) < end:
                await method(body)
                latencies.append(time.perf_counter() - sent)

        await asyncio.gather(*(worker() for _ in range(concurrency)))
        elapsed = time.perf_counter() - started
    latencies.sort()
    return {
        "calls": len(latencies) + 20,
        "per_second": len(latencies) / elapsed,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
    }


def measured(server: Server, size: int, concurrency: int, seconds: float) -> dict[str, float]:
    before = processor_seconds(server.pid)
    command = [sys.executable, "-m", "benchmarks.rpc_server", "--role", "client", "--seconds", str(seconds)]
    command += [
        "--call",
        json.dumps([server.port, server.path, str(server.requests / f"{size}.bin"), concurrency]),
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    figures["cpu_us"] = (processor_seconds(server.pid) - before) / figures["calls"] * 1e6
    return figures


def processor_seconds(pid: int) -> float:
    """What a process has used; 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def compare(seconds: float, rounds: int, python: str | None) -> dict[str, Any]:
    """Run both servers side by side and call them in turns."""
    from benchmarks.dispatch import _describe

    samples: dict[tuple[int, int], tuple[list[Any], list[Any]]] = {
        (size, count): ([], []) for size in SIZES for count in CONCURRENCY
    }
    with TemporaryDirectory() as directory:
        home = Path(directory)
        (home / "ours").mkdir()
        (home / "theirs").mkdir()
        _describe(home / "bank.binpb")
        ours = [sys.executable, "-m", "benchmarks.rpc_server", "--role", "server", "--directory"]
        theirs = [
            python or python_with(ALTERNATIVE),
            str(HERE / "rpc_server_theirs.py"),
            str(home / "bank.binpb"),
        ]
        with running(ours, home / "ours") as mine, running(theirs, home / "theirs") as other:
            for _ in range(rounds):
                for (size, count), (into_mine, into_other) in samples.items():
                    into_mine.append(measured(mine, size, count, seconds))
                    into_other.append(measured(other, size, count, seconds))
    return {
        f"{size} pages, {count} at once": summary(mine_all, other_all, TARGETS[size, count])
        for (size, count), (mine_all, other_all) in samples.items()
    }


def summary(ours: list[dict[str, float]], theirs: list[dict[str, float]], target: float) -> dict[str, float]:
    def middle(samples: list[dict[str, float]], name: str) -> float:
        return median(sample[name] for sample in samples)

    return {
        "ours_per_second": round(middle(ours, "per_second")),
        "theirs_per_second": round(middle(theirs, "per_second")),
        "ratio": round(middle(ours, "per_second") / middle(theirs, "per_second"), 2),
        "target": target,
        "ours_p99_ms": round(middle(ours, "p99_ms"), 2),
        "theirs_p99_ms": round(middle(theirs, "p99_ms"), 2),
        "ours_cpu_us": round(middle(ours, "cpu_us")),
        "theirs_cpu_us": round(middle(theirs, "cpu_us")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--role", choices=("compare", "server", "client"), default="compare")
    parser.add_argument("--directory", default="")
    parser.add_argument("--call", default="")
    parser.add_argument("--seconds", type=float, default=0.7)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.role == "server":
        serve_ours(options.directory)
    elif options.role == "client":
        port, path, request, concurrency = json.loads(options.call)
        print(
            json.dumps(
                asyncio.run(call(port, path, Path(request).read_bytes(), concurrency, options.seconds))
            )
        )
    else:
        result = compare(options.seconds, options.rounds, options.python)
        print(json.dumps(result, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
