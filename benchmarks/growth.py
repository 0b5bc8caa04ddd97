"""Whether the coordinator is as fast on a large store as on a small one: 10 million events beside 10,000.

``python -m benchmarks.growth`` fills a store of 100,000 accounts with 100 events each, which takes some minutes and 5
GB below the temporary directory (``--directory D``, or ANGZARR_GROWTH_STORES for ``python -m benchmarks growth``, keeps
it for the next run), then measures both stores in turns:

* commands per second, 64 callers, accounts lately used; and with nothing kept in memory, accounts at random;
* queries: by correlation id, as of a time, the newest ten events; the list of all aggregates;
* how fast a new projector reads, and how fast one passes over the events of other domains;
* seconds to open the store, and the memory of a process that has opened it and is idle; the same after every account
  has had a command.

Rates are what a second of the clock gave, medians of rounds; the last ratio is by processor time, which other programs
on the machine disturb less.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from angzarr.app import App
from angzarr.coordinator import CommandConfig, CoordinatorConfig, EmbeddedCoordinator
from angzarr.coordinator.books import EPOCH
from angzarr.messages import EventBook, Projection, Query, SequenceRange, TemporalQuery, new_cover
from angzarr.router import Router
from benchmarks import growth_store as filled
from tests.bank.domain import Accounts, Transfers
from tests.bank.messages import Deposit

LARGE, SMALL = 10_000_000, 10_000
CALLERS, COMMANDS, COLD_COMMANDS, QUERIES = 64, 2000, 400, 200
USED = 100
"""Accounts that get commands: as many as the small store has."""
UNCACHED = CoordinatorConfig(commands=CommandConfig(cache_bytes=0, hot_states=0))
TARGETS = {"commands/s": "≥ 0.8", "commands/s, nothing in memory": "≥ 0.8", "memory when idle, MB": "< 150"}

Job = Callable[[EmbeddedCoordinator, int, random.Random], Awaitable[int]]


class View:
    """A projector that counts."""

    def __init__(self, enough: int = 0) -> None:
        self.events = 0
        self.enough = enough
        self.reached = asyncio.Event()

    async def handle(self, book: EventBook) -> Projection:
        self.events += len(book.pages)
        if self.events >= self.enough:
            self.reached.set()
        return Projection(cover=book.cover, projector="view")

    handle_speculative = handle


def coordinator(
    path: Path,
    config: CoordinatorConfig | None = None,
    view: View | None = None,
    name: str = "view",
    domain: str = "account",
) -> EmbeddedCoordinator:
    """The bank with its saga; with a projector if one is given."""
    routers = [
        Router("accounts").with_handler(Accounts, Accounts).build(),
        Router("transfers").with_handler(Transfers, Transfers).build(),
    ]
    projectors = {} if view is None else {name: ([domain], view)}
    return EmbeddedCoordinator(App("bank", routers=routers), store=path, projectors=projectors, config=config)


def _roots(accounts: int, dice: random.Random, count: int) -> list[uuid.UUID]:
    return [uuid.UUID(bytes=filled.root(dice.randrange(accounts))) for _ in range(count)]


async def commands_to(running: EmbeddedCoordinator, roots: Iterable[uuid.UUID]) -> int:
    """64 callers, a deposit to each of the accounts."""
    account, waiting = running.client("account"), iter(roots)

    async def caller() -> int:
        sent = 0
        for root in waiting:
            await account.send(Deposit(amount=1), root=root)
            sent += 1
        return sent

    return sum(await asyncio.gather(*(caller() for _ in range(CALLERS))))


async def lately_used(running: EmbeddedCoordinator, accounts: int, dice: random.Random) -> int:
    used = random.Random(0).sample(range(accounts), min(USED, accounts))
    roots = [uuid.UUID(bytes=filled.root(dice.choice(used))) for _ in range(COMMANDS)]
    return await commands_to(running, roots)


async def at_random(running: EmbeddedCoordinator, accounts: int, dice: random.Random) -> int:
    return await commands_to(running, _roots(accounts, dice, COLD_COMMANDS))


async def _each(queries: Sequence[Query], running: EmbeddedCoordinator) -> int:
    for query in queries:
        book = await running.runtime.queries.get_event_book(query)
        assert book.pages
    return len(queries)


async def by_correlation(running: EmbeddedCoordinator, accounts: int, dice: random.Random) -> int:
    ids = [
        filled.correlation_id(dice.randrange(accounts), dice.randrange(filled.PER_ACCOUNT))
        for _ in range(QUERIES)
    ]
    return await _each([Query(cover=new_cover("", b"", one)) for one in ids], running)


async def as_of_a_time(running: EmbeddedCoordinator, accounts: int, dice: random.Random) -> int:
    temporal = TemporalQuery(as_of_time=EPOCH + timedelta(microseconds=filled.stored_at(9)))
    roots = _roots(accounts, dice, QUERIES)
    return await _each(
        [Query(cover=new_cover("account", root), temporal=temporal) for root in roots], running
    )


async def newest_ten(running: EmbeddedCoordinator, accounts: int, dice: random.Random) -> int:
    wanted = SequenceRange(lower=filled.PER_ACCOUNT - 10, upper=filled.PER_ACCOUNT - 1)
    roots = _roots(accounts, dice, QUERIES)
    return await _each([Query(cover=new_cover("account", root), range=wanted) for root in roots], running)


async def aggregate_roots(running: EmbeddedCoordinator, accounts: int, dice: random.Random) -> int:
    count = 0
    async for _ in running.runtime.queries.get_aggregate_roots():
        count += 1
    assert count == accounts
    return count


@dataclass(frozen=True)
class Rate:
    """How many a second, of the clock and of the processor."""

    clock: float
    processor: float


async def timed(job: Awaitable[int]) -> Rate:
    clock, processor = time.perf_counter(), time.process_time()
    count = await job
    return Rate(count / (time.perf_counter() - clock), count / (time.process_time() - processor))


def median(rates: Sequence[Rate]) -> Rate:
    return Rate(
        statistics.median(rate.clock for rate in rates), statistics.median(rate.processor for rate in rates)
    )


@dataclass(frozen=True)
class Stored:
    """A store, and how many accounts are in it."""

    path: Path
    accounts: int


async def in_turns(
    stores: Sequence[Stored], job: Job, rounds: int, config: CoordinatorConfig | None = None
) -> list[Rate]:
    """The job's rate on each of the stores: medians of rounds, after one that does not count."""
    rates: list[list[Rate]] = [[] for _ in stores]
    for turn in range(rounds):
        for store, found in zip(stores, rates, strict=True):
            async with coordinator(store.path, config) as running:
                await job(running, store.accounts, random.Random(turn))
                found.append(await timed(job(running, store.accounts, random.Random(turn + 1000))))
    return [median(found) for found in rates]


async def catching_up(path: Path, turn: int) -> int:
    """A new projector takes events in."""
    view = View(SMALL // 2)
    async with coordinator(path, view=view, name=f"new-{turn}-{time.time_ns()}"):
        await view.reached.wait()
    return view.events


async def passing_over(path: Path, turn: int) -> int:
    """A new projector passes over the events of another domain."""
    async with coordinator(
        path, view=View(), name=f"other-{turn}-{time.time_ns()}", domain="mail"
    ) as running:
        await running.settle(600)
        return await running.runtime.engine.store.head()


async def projecting(stores: Sequence[Stored], job: Callable[[Path, int], Awaitable[int]]) -> list[Rate]:
    """As ``in_turns``, for projectors, each of which is new once."""
    rates = [[await timed(job(store.path, turn)) for store in stores] for turn in range(2)]
    return [median(found) for found in zip(*rates, strict=True)]


JOBS: dict[str, Job] = {
    "commands/s": lately_used,
    "queries/s by correlation id": by_correlation,
    "queries/s as of a time": as_of_a_time,
    "queries/s for ten events": newest_ten,
    "aggregates/s listed": aggregate_roots,
}


def in_a_process_of_its_own(path: Path, accounts: int) -> dict[str, float]:
    """Opening and memory, measured by a fresh interpreter."""
    command = [sys.executable, "-m", "benchmarks.growth", "--idle", str(path), str(accounts)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


async def idle(path: Path, accounts: int) -> dict[str, float]:
    """Seconds to open the store, MB of memory when that is done, and after every one of ``accounts`` had a command."""
    start = time.perf_counter()
    async with coordinator(path, view=View()) as running:
        opened = time.perf_counter() - start
        await running.settle(600)
        found = {"seconds to open": opened, "memory when idle, MB": resident()}
        if accounts:
            # One after the other: a list of them would be in the memory that is measured.
            await commands_to(running, (uuid.UUID(bytes=filled.root(number)) for number in range(accounts)))
            await running.settle(600)
            found["memory after use, MB"] = resident()
    return found


def resident() -> float:
    """MB of memory that this process holds."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("no VmRSS")


class Told(dict[str, dict[str, Any]]):
    """Rows, told as they come: all of them take a quarter of an hour."""

    def __setitem__(self, name: str, row: dict[str, Any]) -> None:
        super().__setitem__(name, row)
        sys.stderr.write(f"{line(name, row)}\n")


def line(name: str, row: dict[str, Any]) -> str:
    return f"{name:<30}" + "".join(f"{column} {value!s:<12}" for column, value in row.items())


def run(directory: Path, events: int, rounds: int) -> dict[str, Any]:
    """Both stores: for each job the figures, large by small, and the target."""
    large = Stored(directory / f"{events}.db", events // filled.PER_ACCOUNT)
    small, other = (_small(directory / name) for name in ("small.db", "small-uncached.db"))
    if not large.path.exists():
        asyncio.run(filled.fill(large.path, events, quiet=False))
    rows = Told()
    opening = [in_a_process_of_its_own(store.path, 0) for store in (small, large)]
    for name in opening[0]:
        rows[name] = _row(name, *(found[name] for found in opening))
    for name, job in JOBS.items():
        rows[name] = _rates(name, *asyncio.run(in_turns([small, large], job, rounds)))
    cold = asyncio.run(in_turns([other, large], at_random, rounds, UNCACHED))
    rows["commands/s, nothing in memory"] = _rates("commands/s, nothing in memory", *cold)
    for name, projector in (("events/s taken in", catching_up), ("events/s passed over", passing_over)):
        rows[name] = _rates(name, *asyncio.run(projecting([small, large], projector)))
    used = in_a_process_of_its_own(large.path, large.accounts)
    rows["memory after use, MB"] = _row("", None, used["memory after use, MB"])
    return rows


def _small(path: Path) -> Stored:
    for end in ("", "-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    asyncio.run(filled.fill(path, SMALL))
    return Stored(path, SMALL // filled.PER_ACCOUNT)


def _rates(name: str, small: Rate, large: Rate) -> dict[str, Any]:
    by_processor = round(large.processor / small.processor, 2)
    return {**_row(name, small.clock, large.clock), "by processor time": by_processor}


def _row(name: str, small: float | None, large: float) -> dict[str, Any]:
    return {
        "10,000 events": "" if small is None else round(small, 2),
        "large": round(large, 2),
        "large by small": "" if small is None else round(large / small, 2),
        "target": TARGETS.get(name, ""),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=LARGE, help="of the large store (default: %(default)s)")
    parser.add_argument("--directory", type=Path, help="where the stores are; the large one is kept there")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--idle", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.idle:
        print(json.dumps(asyncio.run(idle(Path(options.idle[0]), int(options.idle[1])))))
        return
    with TemporaryDirectory(prefix="angzarr-growth-") as temporary:
        directory = options.directory or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        result = run(directory, options.events, options.rounds)
    if options.json:
        print(json.dumps(result))
        return
    for name, row in result.items():
        print(line(name, row))


if __name__ == "__main__":
    main()
