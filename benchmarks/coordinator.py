"""The embedded coordinator beside eventsourcing 9.5, which a user would pick instead for one machine.

Same job for both: 100 accounts, 10,000 deposits with a domain check, durable in an SQLite file, then rebuild every
balance; and an aggregate of 10,000 events rebuilt. Run as ``python -m benchmarks.coordinator --theirs PYTHON``, where
PYTHON is an interpreter that has eventsourcing 9.5 installed; ``run()`` gives the same figures as data. Rounds are
interleaved and medians reported, because single timings on a shared machine jump; ratios within one run are what count.
Rebuilds are timed by the processor, all threads together, for a tenth of a second of the clock says little; both sides
read from a file that was opened anew, several times, and each round gives its median. ``--only rebuild_long`` measures
that alone.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from angzarr.app import App
from angzarr.client import DomainClient
from angzarr.coordinator import EmbeddedCoordinator
from angzarr.messages import Any as Any_
from angzarr.messages import (
    BusinessResponse,
    CommandBook,
    CommandPage,
    ContextualCommand,
    EventBook,
    FactRequest,
    ReplayRequest,
    ReplayResponse,
    SagaHandleRequest,
    SagaResponse,
    new_cover,
)
from angzarr.router import Router, rebuild
from tests.bank.domain import Accounts
from tests.bank.messages import Deposit, OpenAccount

ACCOUNTS, DEPOSITS, CONCURRENCY, REBUILDS = 100, 10_000, 64, 5
REBUILD_LONG = "rebuild_long"
THEIRS = Path(__file__).with_name("coordinator_theirs.py")
Job = Callable[[DomainClient, int, int], Awaitable[float]]


def bank() -> App:
    """Only the accounts: the other side has no reactions either."""
    return App("bank", routers=[Router("accounts").with_handler(Accounts, Accounts).build()])


def roots(accounts: int) -> list[uuid.UUID]:
    return [uuid.UUID(int=number + 1) for number in range(accounts)]


async def opened(account: DomainClient, accounts: int) -> list[uuid.UUID]:
    for root in roots(accounts):
        await account.send(OpenAccount(owner="somebody"), root=root)
    return roots(accounts)


async def one_at_a_time(account: DomainClient, accounts: int, deposits: int) -> float:
    """Commands per second."""
    ids = await opened(account, accounts)
    start = time.perf_counter()
    for number in range(deposits):
        await account.send(Deposit(amount=10), root=ids[number % accounts])
    return deposits / (time.perf_counter() - start)


async def many_at_a_time(account: DomainClient, accounts: int, deposits: int) -> float:
    """Commands per second."""
    ids = await opened(account, accounts)
    numbers = iter(range(deposits))

    async def caller() -> None:
        for number in numbers:
            await account.send(Deposit(amount=10), root=ids[number % accounts])

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CONCURRENCY)))
    return deposits / (time.perf_counter() - start)


async def in_process(job: Job, accounts: int, deposits: int) -> dict[str, float]:
    """The job through the in-process client, and the rebuilds afterwards."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "bank.db"
        async with EmbeddedCoordinator(bank(), store=path) as coordinator:
            speed = await job(coordinator.client("account"), accounts, deposits)
        async with EmbeddedCoordinator(bank(), store=path) as coordinator:
            return {"commands_per_second": speed, "rebuild": await _rebuild(coordinator, accounts, deposits)}


async def _rebuild(coordinator: EmbeddedCoordinator, accounts: int, deposits: int) -> float:
    """Processor seconds to rebuild every balance."""
    seconds = []
    for _ in range(REBUILDS):
        start = time.process_time()
        total = 0
        for root in roots(accounts):
            total += rebuild(Accounts, await coordinator.events("account", root)).balance
        seconds.append(time.process_time() - start)
        assert total == deposits * 10
    return statistics.median(seconds)


async def over_a_socket(accounts: int, deposits: int) -> float:
    """Commands per second of 64 callers in another process, over a Unix socket."""
    with TemporaryDirectory() as directory:
        async with EmbeddedCoordinator(bank(), store=Path(directory) / "bank.db", uds_base=directory):
            caller = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "benchmarks.coordinator",
                "--caller",
                f"{directory}/ch-account.sock",
                str(accounts),
                str(deposits),
                stdout=asyncio.subprocess.PIPE,
            )
            output, _ = await caller.communicate()
            return float(output)


async def call_socket(address: str, accounts: int, deposits: int) -> float:
    async with DomainClient.connect(address) as account:
        return await many_at_a_time(account, accounts, deposits)


async def long_aggregate(deposits: int) -> float:
    """Processor seconds to read an aggregate of that many events and rebuild its state."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "bank.db"
        async with EmbeddedCoordinator(bank(), store=path) as coordinator:
            await _deposit_in_fifties(coordinator.client("account"), deposits)
        async with EmbeddedCoordinator(bank(), store=path) as coordinator:
            return await _rebuild(coordinator, 1, deposits)


async def _deposit_in_fifties(account: DomainClient, deposits: int) -> None:
    (root,) = await opened(account, 1)
    for _ in range(0, deposits, 50):
        builder = account.command_handler.command("account", root).with_command(Deposit(amount=10))
        command = builder.build()
        command.pages = command.pages * 50
        command.pages[0].merge_strategy = 2  # type: ignore[assignment]
        await account.execute(command)


class Stopwatch:
    """A saga's target that notes when a command reached it."""

    def __init__(self) -> None:
        self.committed = 0.0
        self.latencies: list[float] = []

    async def handle(self, request: ContextualCommand) -> BusinessResponse:
        self.latencies.append(time.perf_counter() - self.committed)
        return BusinessResponse()

    async def handle_fact(self, request: FactRequest) -> EventBook:
        raise NotImplementedError

    async def replay(self, request: ReplayRequest) -> ReplayResponse:
        raise NotImplementedError


class Relay:
    """A saga that sends one command per book."""

    async def handle(self, request: SagaHandleRequest) -> SagaResponse:
        page = CommandPage(command=Any_(type_url="type.googleapis.com/bank.Noted"))
        return SagaResponse(commands=[CommandBook(cover=new_cover("watch", roots(1)[0]), pages=[page])])


async def reaction_latency(count: int = 500) -> dict[str, float]:
    """Milliseconds from a command's commit to its saga's command reaching a handler, in process, idle."""
    watch = Stopwatch()
    with TemporaryDirectory() as directory:
        async with EmbeddedCoordinator(
            bank(),
            store=Path(directory) / "bank.db",
            handlers={"watch": watch},
            sagas={"relay": ("account", Relay())},
        ) as coordinator:
            account = coordinator.client("account")
            await opened(account, 1)
            await coordinator.settle(5)
            watch.latencies.clear()
            for _ in range(count):
                await account.send(Deposit(amount=10), root=roots(1)[0])
                watch.committed = time.perf_counter()
                await coordinator.settle(5)
    values = sorted(watch.latencies)
    return {"p50": values[len(values) // 2] * 1000, "p99": values[int(len(values) * 0.99)] * 1000}


def theirs(python: str, accounts: int, deposits: int, only: str = "") -> dict[str, float]:
    """The same job by eventsourcing, in its own interpreter."""
    command = [python, str(THEIRS), str(accounts), str(deposits), *filter(None, [only])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def run(
    python: str, rounds: int = 3, accounts: int = ACCOUNTS, deposits: int = DEPOSITS, only: str = ""
) -> dict[str, Any]:
    """All contestants, interleaved: for each job the medians, how many times faster ours is, spread and target."""
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    for _ in range(rounds):
        if only == REBUILD_LONG:
            note("theirs_rebuild_long", theirs(python, accounts, deposits, only)[REBUILD_LONG])
            note(REBUILD_LONG, asyncio.run(long_aggregate(deposits)))
            continue
        other = theirs(python, accounts, deposits)
        note("theirs", other["commands_per_second"])
        note("theirs_rebuild", other["rebuild"])
        note("theirs_rebuild_long", other["rebuild_long"])
        single = asyncio.run(in_process(one_at_a_time, accounts, deposits))
        note("one_at_a_time", single["commands_per_second"])
        note("rebuild", single["rebuild"])
        many = asyncio.run(in_process(many_at_a_time, accounts, deposits))
        note("concurrent", many["commands_per_second"])
        note("over_uds", asyncio.run(over_a_socket(accounts, deposits)))
        note(REBUILD_LONG, asyncio.run(long_aggregate(deposits)))
        latency = asyncio.run(reaction_latency())
        note("reaction_p50_ms", latency["p50"])
        note("reaction_p99_ms", latency["p99"])
    medians = {name: statistics.median(values) for name, values in figures.items()}
    return {name: _row(name, medians, figures[name]) for name in medians if not name.startswith("theirs")}


def _row(name: str, medians: dict[str, float], values: list[float]) -> dict[str, Any]:
    other = medians.get(OPPONENTS.get(name, ""))
    faster = medians[name] / other if other else None
    if faster and name.startswith("rebuild"):
        faster = 1 / faster
    return {
        "ours": round(medians[name], 3),
        "theirs": round(other, 3) if other else "",
        "times faster": round(faster, 2) if faster else "",
        "spread": round((max(values) - min(values)) / medians[name], 2),
        "target": TARGETS.get(name, ""),
    }


OPPONENTS = {
    "one_at_a_time": "theirs",
    "concurrent": "theirs",
    "over_uds": "theirs",
    "rebuild": "theirs_rebuild",
    "rebuild_long": "theirs_rebuild_long",
}
TARGETS = {"one_at_a_time": 1.5, "concurrent": 4.0, "over_uds": 1.5, "rebuild_long": 3.0}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--theirs", help="a Python interpreter with eventsourcing 9.5")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--deposits", type=int, default=DEPOSITS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=[REBUILD_LONG], default="")
    parser.add_argument("--caller", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.caller:
        address, accounts, deposits = options.caller
        print(asyncio.run(call_socket(address, int(accounts), int(deposits))))
        return
    if not options.theirs:
        parser.error("--theirs needs a Python interpreter with eventsourcing 9.5 installed")
    result = run(options.theirs, options.rounds, options.accounts, options.deposits, options.only)
    if options.json:
        print(json.dumps(result))
        return
    for name, row in result.items():
        print(f"{name:<18}" + "".join(f"{column} {value!s:<12}" for column, value in row.items()))


if __name__ == "__main__":
    main()
