"""Our client against grpc.aio's: the same calls to the same grpcio server in a process of its own.

    python -m benchmarks.rpc_client [--seconds 1.0] [--rounds 7] [--hold] [--json]

Each round runs both clients, each in a fresh process, at 1 and 64 calls at once; the ratio is of medians of calls per
second, ours to theirs, and `cpu_us` is the client process's processor time for a call, which a busy machine disturbs
less. The call is GetEventBook with an answer of ten pages.

The server's eight threads hand one lock around, on several processors at a cost that varies more than the clients do:
``--hold`` keeps the server on one processor, for both clients.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent import futures
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

PATH = "/angzarr_client.proto.angzarr.EventQueryService/GetEventBook"
CONCURRENCY = (1, 64)


def answer() -> bytes:
    """A book of ten pages, encoded."""
    from angzarr import codec
    from angzarr.messages import UUID, Cover, EventBook, EventPage, PageHeader
    from angzarr.messages import Any as PackedMessage

    pages = [
        EventPage(
            header=PageHeader(sequence=sequence),
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            event=PackedMessage(
                type_url="type.googleapis.com/poker.FundsDeposited", value=b"\x08\x32\x10\x64"
            ),
        )
        for sequence in range(10)
    ]
    cover = Cover(domain="player", root=UUID(value=uuid.UUID(int=1).bytes), correlation_id="corr")
    return codec.encode(EventBook(cover=cover, pages=pages, next_sequence=10))


def serve(hold: bool) -> None:
    """A grpcio server that answers every call with the same bytes; it prints its port."""
    import grpc

    if hold and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    body = answer()

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(lambda request, context: body)

    server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[Handler()])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


async def ours(endpoint: str, measure: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]) -> Any:
    """Measure our client."""
    from angzarr.client import QueryClient

    async with QueryClient.connect(endpoint) as client:
        query = client.query("player", uuid.UUID(int=1)).by_correlation_id("corr").build()

        async def call() -> None:
            book = await client.get_event_book(query)
            assert len(book.pages) == 10

        return await measure(call)


async def theirs(endpoint: str, measure: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]) -> Any:
    """Measure grpc.aio's client with google's protobuf messages."""
    import grpc.aio

    query_class, book_class = google_classes()
    async with grpc.aio.insecure_channel(endpoint) as channel:
        method = channel.unary_unary(
            PATH,
            request_serializer=query_class.SerializeToString,
            response_deserializer=book_class.FromString,
        )
        query = query_class()
        query.cover.domain = "player"
        query.cover.correlation_id = "corr"

        async def call() -> None:
            book = await method(query, metadata=[("x-correlation-id", "corr")])
            assert len(book.pages) == 10

        return await measure(call)


def google_classes() -> tuple[Any, Any]:
    """google's classes of Query and EventBook, from the descriptors we ship."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    import angzarr._gen

    raw = (Path(angzarr._gen.__file__).parent / "descriptors.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(raw).file:
        pool.Add(file)
    names = ("angzarr_client.proto.angzarr.Query", "angzarr_client.proto.angzarr.EventBook")
    query, book = (message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names)
    return query, book


async def run_client(which: str, endpoint: str, seconds: float) -> dict[str, Any]:
    """Calls per second and the 99th percentile of latency in ms, by concurrency."""

    async def measure(call: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
        for _ in range(200):
            await call()
        return {str(count): await measure_at(call, count, seconds) for count in CONCURRENCY}

    result: dict[str, Any] = await {"ours": ours, "theirs": theirs}[which](endpoint, measure)
    return result


async def measure_at(
    call: Callable[[], Awaitable[Any]], concurrency: int, seconds: float
) -> dict[str, float]:
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def worker() -> None:
        while (started := time.perf_counter()) < end:
            await call()
            latencies.append(time.perf_counter() - started)

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    latencies.sort()
    return {
        "per_second": len(latencies) / elapsed,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
        "cpu_us": cpu / len(latencies) * 1e6,
    }


def spawn(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.rpc_client", *arguments], stdout=subprocess.PIPE, text=True
    )


def compare(seconds: float, rounds: int, hold: bool) -> dict[str, Any]:
    """Run both clients in turns."""
    server = spawn("--role", "server", *(["--hold"] if hold else []))
    assert server.stdout is not None
    endpoint = f"127.0.0.1:{server.stdout.readline().strip()}"
    results: dict[str, list[dict[str, Any]]] = {"ours": [], "theirs": []}
    try:
        for _ in range(rounds):
            for which in results:
                client = spawn("--role", which, "--endpoint", endpoint, "--seconds", str(seconds))
                results[which].append(json.loads(client.communicate()[0]))
    finally:
        server.terminate()
        server.wait()
    return {str(count): summary(results, str(count)) for count in CONCURRENCY}


def summary(results: dict[str, list[dict[str, Any]]], concurrency: str) -> dict[str, float]:
    def middle(which: str, number: str) -> float:
        found: list[float] = [result[concurrency][number] for result in results[which]]
        return median(found)

    return {
        "ours_per_second": round(middle("ours", "per_second")),
        "theirs_per_second": round(middle("theirs", "per_second")),
        "ratio": round(middle("ours", "per_second") / middle("theirs", "per_second"), 2),
        "ours_cpu_us": round(middle("ours", "cpu_us")),
        "theirs_cpu_us": round(middle("theirs", "cpu_us")),
        "ours_p99_ms": round(middle("ours", "p99_ms"), 2),
        "theirs_p99_ms": round(middle("theirs", "p99_ms"), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--role", choices=("compare", "server", "ours", "theirs"), default="compare")
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--hold", action="store_true", help="keep the server on one processor")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.role == "server":
        serve(options.hold)
    elif options.role == "compare":
        result = compare(options.seconds, options.rounds, options.hold)
        print(json.dumps(result, indent=None if options.json else 2))
    else:
        print(json.dumps(asyncio.run(run_client(options.role, options.endpoint, options.seconds))))


if __name__ == "__main__":
    main()
