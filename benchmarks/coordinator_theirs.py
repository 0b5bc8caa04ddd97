"""The coordinator job with eventsourcing 9.5 on SQLite; run by benchmarks/coordinator.py in an environment of its own.

Prints one JSON object: commands per second, processor seconds to rebuild every balance, processor seconds to rebuild
one long aggregate; only the last when that is asked for.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event


class Account(Aggregate):
    @event("Opened")
    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.balance = 0

    def deposit(self, amount: int) -> None:
        if amount <= 0:
            raise ValueError("amount must be positive")
        self._deposited(amount, self.balance + amount)

    @event("Deposited")
    def _deposited(self, amount: int, balance: int) -> None:
        self.balance = balance


class Bank(Application):
    def open(self, owner: str):  # type: ignore[no-untyped-def]
        account = Account(owner)
        self.save(account)
        return account.id

    def deposit(self, account_id, amount: int) -> None:  # type: ignore[no-untyped-def]
        account = self.repository.get(account_id)
        account.deposit(amount)
        self.save(account)


def balance_of(environment: dict[str, str], ids) -> tuple[int, float]:  # type: ignore[no-untyped-def]
    """The sum of the balances, and the processor seconds it takes to rebuild them."""
    reader, seconds = Bank(env=environment), []
    for _ in range(5):
        start = time.process_time()
        total = sum(reader.repository.get(account_id).balance for account_id in ids)
        seconds.append(time.process_time() - start)
    return total, statistics.median(seconds)


def rebuild_long(environment: dict[str, str], deposits: int) -> float:
    bank, account = Bank(env=environment), Account("long")
    for _ in range(deposits):
        account.deposit(10)
    bank.save(account)
    balance, seconds = balance_of(environment, [account.id])
    assert balance == deposits * 10
    return seconds


def main(accounts: int, deposits: int, only: str = "") -> dict[str, float]:
    with TemporaryDirectory() as directory:
        environment = {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(Path(directory) / "bank.db"),
        }
        if only:
            return {only: rebuild_long(environment, deposits)}
        bank = Bank(env=environment)
        ids = [bank.open(f"owner {number}") for number in range(accounts)]
        start = time.perf_counter()
        for number in range(deposits):
            bank.deposit(ids[number % accounts], 10)
        commands = deposits / (time.perf_counter() - start)
        total, rebuild = balance_of(environment, ids)
        assert total == deposits * 10
        return {
            "commands_per_second": commands,
            "rebuild": rebuild,
            "rebuild_long": rebuild_long(environment, deposits),
        }


if __name__ == "__main__":
    os.environ.pop("PERSISTENCE_MODULE", None)
    sys.stdout.write(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])) + "\n")
