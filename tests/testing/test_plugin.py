"""The plugin, in pytest runs of its own: it must behave among other plugins, in workers, and when tests fail."""

import subprocess
import sys
from pathlib import Path

import pytest

from angzarr.coordinator import EmbeddedCoordinator
from angzarr.testing.replay import replay_at_close

pytestmark = pytest.mark.once

HEAD = """
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
import pytest
from angzarr import App, now
from angzarr.router import Router, applies, command_handler, handles
from tests.bank.domain import Accounts
from tests.bank.messages import AccountOpened, OpenAccount, Deposit, Deposited
from tests.testing.planted import honest

ALICE = uuid.UUID(int=1)
accounts = Router("accounts").with_handler(Accounts, Accounts).build()
app = App("bank", routers=[accounts])
"""
PROJECT = Path(__file__).parents[2]


def run(
    tmp_path: Path, tests: str, *options: str, mode: str = "auto", others: str = "no:asyncio"
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_it.py").write_text(HEAD + tests)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nanyio_mode = {mode}\nfilterwarnings = error\n")
    (tmp_path / "conftest.py").write_text(
        "import pytest\n@pytest.fixture(scope='session')\ndef anyio_backend(): return 'asyncio'\n"
    )
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            others,
            *options,
            str(tmp_path),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def passed(done: subprocess.CompletedProcess[str], count: int) -> bool:
    assert done.returncode == 0, done.stdout + done.stderr
    return f"{count} passed" in done.stdout


COORDINATOR = """
async def test_as_a_context_manager(coordinator):
    async with coordinator(app) as running:
        await running.client("account").send(OpenAccount(owner="a"), root=ALICE)
        assert (await running.events("account", ALICE)).next_sequence == 1

async def test_awaited(coordinator):
    running = await coordinator(app)
    await running.client("account").send(OpenAccount(owner="a"), root=ALICE)
    assert (await running.events("account", ALICE)).next_sequence == 1

async def test_a_router_will_do(coordinator):
    running = await coordinator(accounts)
    assert running.domains == ("account",)
"""


def test_the_coordinator_fixture_opens_and_closes_in_the_tests_loop(tmp_path: Path) -> None:
    assert passed(run(tmp_path, COORDINATOR), 3)


WITHOUT_MARKERS = """
from hypothesis import given, settings
from angzarr.testing import messages, scenario

async def test_async(coordinator):
    running = await coordinator(app)
    assert running.domains == ("account",)

@settings(deadline=None)  # a busy machine now and then takes long over an example
@given(messages(Deposit))
async def test_generated(command):
    assert isinstance(command, Deposit)

class TestGrouped:
    async def test_scenario(self):
        await scenario(Accounts).when(OpenAccount(owner="a")).then_state(lambda state: state.owner == "a")
"""


def test_async_tests_run_in_a_project_that_configures_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(HEAD + WITHOUT_MARKERS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
    assert passed(done, 3)


def test_it_works_in_the_workers_of_xdist(tmp_path: Path) -> None:
    assert passed(run(tmp_path, COORDINATOR, "-n", "2", "--angzarr-replay"), 3)


def test_the_frozen_clock_is_obeyed_in_async_and_in_plain_tests(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

def test_plain(frozen_clock):
    assert now() == NOON
    frozen_clock.advance(timedelta(hours=1))
    assert now() == datetime(2026, 1, 1, 13, tzinfo=UTC)

async def test_async(frozen_clock):
    assert now() == NOON
    frozen_clock.move_to(datetime(2027, 1, 1, tzinfo=UTC))
    assert now() == frozen_clock.now == datetime(2027, 1, 1, tzinfo=UTC)

async def test_in_a_coordinator(coordinator, frozen_clock):
    running = await coordinator(app)
    await running.client("account").send(OpenAccount(owner="a"), root=ALICE)
    frozen_clock.advance(timedelta(hours=1))
    await running.client("account").send(Deposit(amount=1), root=ALICE)
    first, second = (await running.events("account", ALICE)).pages
    assert (first.created_at, second.created_at) == (NOON, NOON + timedelta(hours=1))

def test_afterwards_the_clock_runs():
    assert now().year != 2027
    assert datetime.now(UTC) - now() < timedelta(seconds=5)
""",
    )
    assert passed(done, 4)


def test_the_server_fixture_gives_an_address_that_answers(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
from angzarr.coordinator import EmbeddedCoordinator

async def test_server(angzarr_server):
    address = await angzarr_server(accounts)
    async with EmbeddedCoordinator(handlers={"account": address}) as running:
        await running.client("account").send(OpenAccount(owner="a"), root=ALICE)
        assert (await running.events("account", ALICE)).next_sequence == 1
""",
    )
    assert passed(done, 1)


IMPURE = """
@dataclass
class State:
    at: float = 0.0

@command_handler(domain="account", state=State)
class Impure:
    @applies(AccountOpened)
    def opened(self, state: State, event: AccountOpened) -> None:
        state.at = time.time()

    @handles(OpenAccount)
    def open(self, command: OpenAccount) -> AccountOpened:
        return AccountOpened(owner=command.owner)

impure = Router("impure").with_handler(Impure, Impure).build()

async def test_it(coordinator):
    running = await coordinator(impure)
    await running.client("account").send(OpenAccount(owner="a"), root=ALICE)
"""


def test_without_the_replay_option_an_impure_applier_goes_unnoticed(tmp_path: Path) -> None:
    assert passed(run(tmp_path, IMPURE), 1)


def test_with_the_replay_option_an_impure_applier_fails_the_test_that_used_it(tmp_path: Path) -> None:
    done = run(tmp_path, IMPURE, "--angzarr-replay")
    assert "1 failed" in done.stdout
    assert "Impure: account/00000000000000000000000000000001 is not what its events give" in done.stdout
    assert "time.time() at test_it.py" in done.stdout


OF_ITS_OWN = """
from angzarr.coordinator import EmbeddedCoordinator

async def test_of_its_own():
    async with EmbeddedCoordinator(App("impure", routers=[impure])) as running:
        await running.client("account").send(OpenAccount(owner="a"), root=ALICE)

@pytest.fixture
async def running():
    async with EmbeddedCoordinator(App("impure", routers=[impure])) as coordinator:
        yield coordinator

async def test_of_a_fixture(running):
    await running.client("account").send(OpenAccount(owner="a"), root=ALICE)

async def test_that_fails_by_itself():
    async with EmbeddedCoordinator(App("impure", routers=[impure])) as running:
        await running.client("account").send(OpenAccount(owner="a"), root=ALICE)
        raise ZeroDivisionError("its own fault")
"""


def test_with_the_replay_option_coordinators_that_tests_make_themselves_are_looked_at_too(
    tmp_path: Path,
) -> None:
    done = run(tmp_path, IMPURE + OF_ITS_OWN, "--angzarr-replay")
    assert "3 failed, 1 passed, 1 error" in done.stdout, done.stdout
    assert "ZeroDivisionError: its own fault" in done.stdout
    assert "Impure: account/00000000000000000000000000000001 is not what its events give" in done.stdout


async def test_what_replay_at_close_begins_it_ends() -> None:
    before = EmbeddedCoordinator.__aexit__
    end = replay_at_close()
    assert EmbeddedCoordinator.__aexit__ is not before
    end()
    assert EmbeddedCoordinator.__aexit__ is before


def test_with_the_replay_option_pure_appliers_pass(tmp_path: Path) -> None:
    assert passed(run(tmp_path, COORDINATOR, "--angzarr-replay"), 3)


def test_the_failure_of_a_test_is_not_hidden_by_the_closing(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
async def test_it(coordinator):
    await coordinator(app)
    assert 1 == 2
""",
        "--angzarr-replay",
    )
    assert "1 failed" in done.stdout
    assert "assert 1 == 2" in done.stdout


def test_laws_and_machines_are_collected_by_pytest(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
from angzarr.testing import aggregate_machine, router_laws
test_accounts_obey_the_laws = router_laws(honest(), max_examples=5)
TestAccounts = aggregate_machine(honest(), max_examples=3).TestCase
""",
        "-vv",
    )
    assert done.returncode == 0, done.stdout
    assert "test_accounts_obey_the_laws[replay] PASSED" in done.stdout
    assert "test_accounts_obey_the_laws[coded] PASSED" in done.stdout
    assert "TestAccounts::runTest PASSED" in done.stdout


@pytest.mark.parametrize("unwanted", ["hypothesis", "grpclib", "betterproto", "angzarr.coordinator"])
def test_unused_the_plugin_imports_next_to_nothing(unwanted: str) -> None:
    code = f"import angzarr.testing.plugin, sys; assert {unwanted!r} not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


def test_it_does_not_fight_pytest_asyncio(tmp_path: Path) -> None:
    options = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    assert passed(
        run(tmp_path, COORDINATOR, *options, "--angzarr-replay", mode="strict", others="asyncio"), 3
    )


MARKED_AND_NOT = """
import asyncio

async def test_unmarked(coordinator):
    running = await coordinator(app)
    await running.client("account").send(OpenAccount(owner="a"), root=ALICE)

@pytest.mark.asyncio
async def test_marked(coordinator):
    running = await coordinator(app)
    await running.client("account").send(OpenAccount(owner="a"), root=ALICE)

@pytest.mark.asyncio(loop_scope="class")
class TestMarked:
    loops = []

    async def test_one(self):
        self.loops.append(asyncio.get_running_loop())

    async def test_other(self):
        assert self.loops == [asyncio.get_running_loop()]
"""


def test_tests_that_pytest_asyncio_leaves_alone_run_beside_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(HEAD + MARKED_AND_NOT)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
    assert passed(done, 4)
