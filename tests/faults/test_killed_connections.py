"""Commands through a proxy that keeps killing the connection: what the client says about each is true."""

import asyncio
import random
import sys
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from angzarr.app import App
from angzarr.client import ChannelConfig, DomainClient
from angzarr.coordinator import EmbeddedCoordinator
from angzarr.errors import ConnectionError, OutcomeUnknownError, TransportError
from angzarr.messages import decode_page
from angzarr.retry import ExponentialBackoffRetry
from angzarr.router import Router
from tests.bank.domain import Accounts
from tests.bank.messages import Deposit, Deposited, OpenAccount
from tests.faults.clients import below
from tests.faults.peers import Proxy, unharmed

ACCOUNTS = 100
WORKERS = 32


def account(number: int) -> uuid.UUID:
    return uuid.UUID(int=number % ACCOUNTS + 1)


@dataclass
class Report:
    """What the client said about each command, by its number.

    Attributes:
        under_way: how many commands are under way.
        exposed: how many were, at each kill, all kills together; no more can be of unknown outcome.
    """

    accepted: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    kills: int = 0
    under_way: int = 0
    exposed: int = 0

    @property
    def total(self) -> int:
        return len(self.accepted) + len(self.unknown) + len(self.failed)


async def send(client: DomainClient, number: int, report: Report) -> None:
    report.under_way += 1
    try:
        await client.send(Deposit(amount=number), root=account(number))
    except OutcomeUnknownError:
        report.unknown.add(number)
    except (TransportError, ConnectionError):
        report.failed.add(number)
    else:
        report.accepted.add(number)
    finally:
        report.under_way -= 1


async def send_all(client: DomainClient, commands: int, report: Report) -> None:
    numbers = iter(range(1, commands + 1))

    async def work() -> None:
        for number in numbers:
            await send(client, number, report)

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(work())


async def kill(proxy: Proxy, kills: int, commands: int, report: Report, chance: random.Random) -> None:
    """Cut the connection at random moments, spread over the commands."""
    moments = sorted((chance.randrange(commands) for _ in range(kills)), reverse=True)
    while moments:
        await asyncio.sleep(chance.random() * 0.003)
        if report.total >= moments[-1] and proxy.cut():
            moments.pop()
            report.kills += 1
            report.exposed += report.under_way


async def stored(coordinator: EmbeddedCoordinator) -> Counter[int]:
    """How often the event of each command is in the store."""
    counts: Counter[int] = Counter()
    for number in range(ACCOUNTS):
        for page in (await coordinator.events("account", account(number))).pages:
            event = decode_page(page, Deposited)
            if event is not None:
                counts[event.amount] += 1
    return counts


async def run(
    tmp_path: Path, commands: int, kills: int, *, retry_commands: bool = False
) -> tuple[Report, Counter[int]]:
    report, chance = Report(), random.Random(20261124)
    policy = ExponentialBackoffRetry(min_delay=0.001, max_delay=0.05, max_attempts=20)
    app = App("bank", routers=[Router("accounts").with_handler(Accounts, Accounts).build()])
    async with (
        unharmed(),
        EmbeddedCoordinator(app, store=tmp_path / "bank.db", tcp="127.0.0.1:0") as coordinator,
    ):
        direct = coordinator.client("account")
        for number in range(ACCOUNTS):
            await direct.send(OpenAccount(owner="owner"), root=account(number))
        [endpoint] = coordinator.addresses
        async with (
            Proxy(endpoint).running() as proxy,
            DomainClient.connect(
                proxy.endpoint,
                policy,
                domain="account",
                retry_commands=retry_commands,
                # the budget is for outages; here every retry finds the server well
                config=ChannelConfig(http2=below[0], retry_budget=1e6 if retry_commands else 100),
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            killing = group.create_task(kill(proxy, kills, commands, report, chance))
            await send_all(client, commands, report)
            killing.cancel()
        counts = await stored(coordinator)
        sys.stdout.write(
            f"{report.kills} kills, {report.exposed} commands under way at them: {len(report.accepted)} accepted, "
            f"{len(report.unknown)} unknown ({sum(counts[number] > 0 for number in report.unknown)} stored), "
            f"{len(report.failed)} not executed, {sum(count > 1 for count in counts.values())} doubled\n"
        )
        return report, counts


def check(report: Report, counts: Counter[int], commands: int) -> None:
    assert report.total == commands
    assert {number for number in report.accepted if counts[number] != 1} == set()
    assert {number for number in report.failed if counts[number] != 0} == set()
    assert {number for number in report.unknown if counts[number] > 1} == set()
    assert len(report.unknown) <= report.exposed


async def test_what_the_client_says_is_true_over_20_kills(tmp_path: Path) -> None:
    report, counts = await run(tmp_path, commands=1000, kills=20)
    check(report, counts, 1000)
    assert report.kills >= 15
    assert len(report.accepted) > 300


@pytest.mark.long
async def test_what_the_client_says_is_true_over_200_kills(tmp_path: Path) -> None:
    report, counts = await run(tmp_path, commands=10_000, kills=200)
    check(report, counts, 10_000)
    assert report.kills >= 190
    assert len(report.accepted) > 3000


@pytest.mark.once
async def test_retried_commands_are_executed_at_least_once_when_accepted(tmp_path: Path) -> None:
    report, counts = await run(tmp_path, commands=1000, kills=20, retry_commands=True)
    check_retried(report, counts, 1000)


@pytest.mark.long
async def test_retried_commands_are_executed_at_least_once_over_200_kills(tmp_path: Path) -> None:
    report, counts = await run(tmp_path, commands=10_000, kills=200, retry_commands=True)
    check_retried(report, counts, 10_000)
    assert report.kills >= 190


def check_retried(report: Report, counts: Counter[int], commands: int) -> None:
    assert report.total == commands
    assert {number for number in report.accepted if counts[number] < 1} == set()
    assert {number for number in report.failed if counts[number] != 0} == set()
    assert len(report.accepted) > commands * 0.9
