from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any as AnyValue

import pytest

from angzarr.errors import InvalidArgumentError
from angzarr.messages import NoOp, frozen
from angzarr.router import Router, handles, projector
from angzarr.testing import ScenarioFailure, make_cover, report, scenario, uuid_for
from angzarr.testing.report import rerun_line
from angzarr.testing.scenarios import DEFAULT_AT, Scenario
from tests.bank.domain import Accounts, AccountV2, AccountV3, Onboardings, Statements, Transfers
from tests.bank.messages import (
    Account,
    AccountClosed,
    AccountOpened,
    AccountOpenedV1,
    AccountOpenedV2,
    CloseAccount,
    Deposit,
    Deposited,
    InterestPosted,
    Onboarding,
    OnboardingDeposit,
    OnboardingStarted,
    OnboardingWelcomed,
    OpenAccount,
    ReceiveTransfer,
    SendWelcome,
    Statement,
    StatementLine,
    TransferRequested,
    TransferReturned,
    Withdraw,
    Withdrawn,
)

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)
OPENED = AccountOpened(owner="alice")
TEN = Deposited(amount=10, balance=10)
ALICE = make_cover("account", uuid_for("alice"), "corr")


@projector(name="needy", domains=["account"])
class Needy:
    def __init__(self, database: dict[str, int]) -> None:
        self.database = database

    @handles(Deposited)
    def deposited(self, event: Deposited) -> None:
        self.database["total"] = event.balance


async def failure_of(failing: Scenario) -> str:
    with pytest.raises(ScenarioFailure) as caught:
        await failing
    return str(caught.value)


async def test_a_command_is_followed_by_its_events() -> None:
    await (
        scenario(Accounts).given(OPENED, TEN).when(Deposit(amount=50)).then(Deposited(amount=50, balance=60))
    )


async def test_several_events_are_expected_in_order() -> None:
    await (
        scenario(Accounts)
        .given(OPENED, TEN)
        .when(CloseAccount(reason="moved"))
        .then(Withdrawn(amount=10), AccountClosed(reason="moved"))
    )


async def test_several_commands_are_one_book() -> None:
    await (
        scenario(Accounts)
        .given(OPENED)
        .when(Deposit(amount=3), Withdraw(amount=2))
        .then(Deposited(amount=3, balance=3), Withdrawn(amount=2, balance=1))
    )


async def test_a_class_stands_for_any_message_of_it() -> None:
    await scenario(Accounts).given(OPENED, TEN).when(CloseAccount()).then(Withdrawn, AccountClosed)


async def test_the_clock_is_frozen_at_noon_of_the_first_of_january() -> None:
    await scenario(Accounts).when(OpenAccount(owner="a")).then(AccountOpened(owner="a", opened_at=DEFAULT_AT))


async def test_the_clock_can_be_set() -> None:
    opened = AccountOpened(owner="a", opened_at=NEW_YEAR)
    await scenario(Accounts, at=NEW_YEAR).when(OpenAccount(owner="a")).then(opened)


async def test_a_clock_that_is_frozen_already_is_obeyed() -> None:
    with frozen(NEW_YEAR):
        frozen_scenario = scenario(Accounts).when(OpenAccount(owner="a"))
    await frozen_scenario.then(AccountOpened(owner="a", opened_at=NEW_YEAR))


async def test_a_rejection_is_expected_by_its_code() -> None:
    await scenario(Accounts).given(OPENED).when(Deposit(amount=0)).then_rejected("VALUE_NOT_POSITIVE")


async def test_a_rejection_is_expected_by_message_and_details() -> None:
    await (
        scenario(Accounts)
        .given(OPENED, TEN)
        .when(Withdraw(amount=11))
        .then_rejected("INSUFFICIENT_FUNDS", message="balance is too low", details={"balance": "10"})
    )


async def test_a_dispatch_error_is_a_rejection_too() -> None:
    await scenario(Accounts).when(NoOp()).then_rejected("NO_HANDLER_REGISTERED")


async def test_a_rejection_leaves_the_state_as_it_was() -> None:
    await (
        scenario(Accounts)
        .given(OPENED, TEN)
        .when(Withdraw(amount=11))
        .then_rejected()
        .then_state(Account(owner="alice", balance=10))
    )


async def test_the_state_follows_from_history_and_new_events() -> None:
    await (
        scenario(Accounts)
        .given(OPENED, TEN)
        .when(Deposit(amount=5))
        .then_state(Account(owner="alice", balance=15))
    )


async def test_the_state_may_be_judged_by_a_predicate() -> None:
    await scenario(Accounts).given(OPENED, TEN).then_state(lambda account: account.balance == 10)


async def test_a_history_may_start_from_a_snapshot() -> None:
    await (
        scenario(Accounts)
        .given_snapshot(Account(owner="alice", balance=7), sequence=4)
        .given(Deposited(amount=1, balance=8))
        .when(Withdraw(amount=8))
        .then(Withdrawn(amount=8, balance=0))
    )


async def test_a_fact_is_recorded() -> None:
    await (
        scenario(Accounts)
        .given(OPENED, TEN)
        .when_fact(InterestPosted(amount=1))
        .then(Deposited(amount=1, balance=11))
    )


async def test_a_rejected_command_is_compensated() -> None:
    await (
        scenario(Accounts)
        .given(OPENED, TEN)
        .when_rejected("account", ReceiveTransfer(amount=4), reason="no such account")
        .then(TransferReturned(amount=4, reason="no such account"))
    )


async def test_a_rejection_that_nobody_handles_has_no_consequences() -> None:
    await scenario(Accounts).given(OPENED).when_rejected("table", "JoinTable").then_nothing()


async def test_a_saga_sends_commands() -> None:
    await (
        scenario(Transfers)
        .when(TransferRequested(to=uuid_for("bob"), amount=5), cover=ALICE)
        .then_commands(
            ("account", uuid_for("bob"), ReceiveTransfer(from_=uuid_for("alice"), amount=5)),
        )
        .then_facts()
    )


async def test_a_command_may_be_expected_without_its_root() -> None:
    await (
        scenario(Transfers)
        .when(TransferRequested(to=uuid_for("bob"), amount=5), cover=ALICE)
        .then_commands(("account", ReceiveTransfer(from_=uuid_for("alice"), amount=5)))
    )


async def test_a_saga_that_does_not_care_does_nothing() -> None:
    await scenario(Transfers).when(AccountOpened()).then_nothing()


async def test_a_process_manager_continues_its_process() -> None:
    await (
        scenario(Onboardings)
        .given(OnboardingStarted(owner="alice"), OnboardingDeposit(amount=1))
        .when(Deposited(amount=2), cover=ALICE)
        .then(OnboardingDeposit(amount=2), OnboardingWelcomed(gift="pen"))
        .then_commands(("mail", uuid_for("alice"), SendWelcome(owner="alice", deposits=2)))
        .then_state(Onboarding(owner="alice", deposits=2, welcomed=True))
    )


async def test_a_projector_projects() -> None:
    await (
        scenario(Statements)
        .when(Deposited(amount=5))
        .then_projection(Statement(lines=[StatementLine(text="deposit", amount=5)], total=5))
    )


async def test_a_projector_that_keeps_what_it_has_seen_is_shown_the_history_first() -> None:
    await (
        scenario(Statements())
        .given(Deposited(amount=5))
        .when(Withdrawn(amount=2))
        .then_projection(lambda statement: statement.total == 3)
    )


async def test_a_projector_without_a_payload_answers_nothing() -> None:
    await scenario(Needy({})).when(Deposited(amount=5)).then_nothing()
    text = await failure_of(scenario(Statements).when(Deposited(amount=5)).then_nothing())
    assert "Statements: something followed" in text


async def test_a_handler_that_needs_arguments_comes_from_a_factory() -> None:
    shared = Statements()
    await scenario(Statements, factory=lambda: shared).when(Deposited(amount=5))
    assert len(shared.lines) == 1


async def test_an_upcaster_upcasts() -> None:
    await (
        scenario(AccountV2)
        .when(AccountOpenedV1(name="Ann Lee"))
        .then(AccountOpenedV2(first_name="Ann", last_name="Lee"))
    )


async def test_a_built_router_runs_with_all_its_classes() -> None:
    upcasters = Router("u").with_handler(AccountV2, AccountV2).with_handler(AccountV3, AccountV3).build()
    await scenario(upcasters).when(AccountOpenedV1(name="Ann Lee")).then(AccountOpened(owner="Ann Lee"))


async def test_a_prefix_can_be_continued_in_several_ways() -> None:
    opened = scenario(Accounts).given(OPENED, TEN)
    await opened.when(Withdraw(amount=10)).then(Withdrawn(amount=10))
    await opened.when(Withdraw(amount=11)).then_rejected("INSUFFICIENT_FUNDS")


async def test_awaiting_gives_the_outcome() -> None:
    outcome = await scenario(Accounts).given(OPENED).when(Deposit(amount=1))
    assert outcome.messages == [Deposited(amount=1, balance=1)]
    assert outcome.book.next_sequence == 2


async def test_a_failure_tells_the_whole_story() -> None:
    text = await failure_of(
        scenario(Accounts)
        .given(OPENED, TEN)
        .when(Deposit(amount=50))
        .then(Deposited(amount=50, balance=61), AccountClosed())
    )
    assert text == (
        "Accounts: other events followed\n\n"
        "given\n"
        '    AccountOpened(owner="alice")\n'
        "    Deposited(amount=10, balance=10)\n"
        "when\n"
        "    Deposit(amount=50)\n"
        "came\n"
        "    Deposited(amount=50, balance=60)\n"
        "expected\n"
        "    Deposited(amount=50, balance=61)\n"
        "    AccountClosed()\n"
        "difference\n"
        "    event 0: Deposited.balance: expected 61, came 60\n"
        "    event 1: expected AccountClosed(), nothing came\n"
        "\n"
        "rerun with: python -m pytest "
        "tests/testing/test_scenarios.py::test_a_failure_tells_the_whole_story"
    )


async def test_outside_pytest_a_failure_shows_the_scenario_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    text = await failure_of(scenario(Accounts).given(OPENED).when(Deposit(amount=1)).then())
    assert text.endswith(
        "rerun with:\n"
        "    await (\n"
        "        scenario(Accounts)\n"
        '        .given(AccountOpened(owner="alice"))\n'
        "        .when(Deposit(amount=1))\n"
        "    )"
    )


async def test_it_shows_all_that_the_scenario_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    begun = scenario(Accounts, at=NEW_YEAR, cover=make_cover("account", b"a")).given(OPENED)
    assert (await failure_of(begun.when(Deposit(amount=1), sequence=7).then())).endswith(
        "        scenario(Accounts, at=datetime(2027, 1, 1, 0, 0, tzinfo=UTC), "
        "cover=Cover(root=UUID(value=b'a'), domain=\"account\"))\n"
        '        .given(AccountOpened(owner="alice"))\n'
        "        .when(Deposit(amount=1), sequence=7)\n"
        "    )"
    )
    told = scenario(Transfers).given_destinations({"account": 3}).when(TransferRequested(amount=1))
    assert '        .given_destinations({"account": 3})\n' in await failure_of(told.then_nothing())


HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("started_in", "node", "line"),
    [
        (
            HERE.parents[1],
            "tests/testing/test_scenarios.py::test_it",
            "tests/testing/test_scenarios.py::test_it",
        ),
        (HERE, "tests/testing/test_scenarios.py::test_it", "test_scenarios.py::test_it"),
        (Path("/elsewhere"), "testing/test_scenarios.py::test_it", f"{__file__}::test_it"),
        (HERE, "no/such/test_file.py::test_it", "no/such/test_file.py::test_it"),
        (HERE, "test_scenarios.py::test_it[it's it]", "'test_scenarios.py::test_it[it'\"'\"'s it]'"),
    ],
)
def test_the_line_that_reruns_it_is_for_a_shell_where_pytest_was_started(
    monkeypatch: pytest.MonkeyPatch, started_in: Path, node: str, line: str
) -> None:
    monkeypatch.setattr(report, "_STARTED_IN", str(started_in))
    monkeypatch.setenv("PYTEST_CURRENT_TEST", f"{node} (call)")
    assert rerun_line("") == f"rerun with: python -m pytest {line}"


@pytest.mark.parametrize(
    ("failing", "lines"),
    [
        (
            lambda: scenario(Accounts).given(OPENED).when(Deposit(amount=0)).then(TEN),
            ["Accounts: it was rejected", "    rejected with VALUE_NOT_POSITIVE: value must be positive"],
        ),
        (
            lambda: scenario(Accounts).given(OPENED).when(Deposit(amount=1)).then_rejected("X"),
            ["Accounts: it was not rejected", "    rejected with X", "    Deposited(amount=1, balance=1)"],
        ),
        (
            lambda: scenario(Accounts).given(OPENED).when(Deposit(amount=0)).then_rejected("X"),
            ["Accounts: it was rejected otherwise", "    code: expected X, came VALUE_NOT_POSITIVE"],
        ),
        (
            lambda: scenario(Accounts).given(OPENED).when(Deposit(amount=1)).then_nothing(),
            ["Accounts: something followed", "    Deposited(amount=1, balance=1)"],
        ),
        (
            lambda: scenario(Accounts).given(OPENED, TEN).then_state(Account(owner="bob", balance=10)),
            [
                "Accounts: the state is another",
                'came\n    Account(owner="alice", balance=10)',
                '    owner: expected "bob", came "alice"',
            ],
        ),
        (
            lambda: scenario(Accounts).given(OPENED).then_state(lambda account: account.closed),
            ["the state is not as it should be", "<lambda>(state) to be true"],
        ),
        (
            lambda: scenario(Accounts).given(OPENED).when(Deposit(amount=1)).then_snapshot(),
            ["Accounts: no snapshot came"],
        ),
        (
            lambda: scenario(Accounts).given(OPENED).when_rejected("account", "ReceiveTransfer").then(TEN),
            ["other events followed", "account refused ReceiveTransfer: no reason given"],
        ),
        (
            lambda: (
                scenario(Transfers)
                .when(TransferRequested(to=uuid_for("bob"), amount=5), cover=ALICE)
                .then_commands(("mail", uuid_for("bo"), ReceiveTransfer(amount=5)))
            ),
            [
                "command 0: domain: expected 'mail', came 'account'",
                "command 0: root: expected",
                "command 0, page 0: ReceiveTransfer.from_: expected unset, came",
            ],
        ),
        (
            lambda: scenario(AccountV2).when(AccountOpenedV1(name="Ann")).then(AccountOpenedV1(name="Ann")),
            [
                'event 0: expected AccountOpenedV1(name="Ann"), came AccountOpenedV2(first_name="Ann")',
            ],
        ),
        (
            lambda: scenario(Statements).when(Deposited(amount=5)).then_projection(Statement(total=6)),
            ["the projection is another", "total: expected 6, came 5"],
        ),
    ],
)
async def test_a_failure_says(failing: Callable[[], Scenario], lines: list[str]) -> None:
    text = await failure_of(failing())
    assert [line for line in lines if line not in text] == []


async def test_a_crash_is_neither_events_nor_a_rejection() -> None:
    class Broken(Accounts):
        def deposit(self, command: Deposit, account: Account, sequence: int) -> Deposited:
            raise KeyError("rates")

    Broken.deposit.__dict__.update(Accounts.deposit.__dict__)
    crashing = scenario(Broken).given(OPENED).when(Deposit(amount=1))
    for failing in (crashing.then(TEN), crashing.then_rejected(), crashing.then_nothing()):
        text = await failure_of(failing)
        assert "Broken: the handler crashed" in text
        assert "raised KeyError: 'rates', at test_scenarios.py:" in text


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: scenario(Transfers).then(TEN), "then() is for command handlers and process managers"),
        (lambda: scenario(Accounts).then_commands(), "Accounts is a command handler"),
        (lambda: scenario(Accounts).when(Deposit()).when(Deposit()), "a scenario has one when()"),
        (lambda: scenario(Accounts).given(OPENED).then_nothing(), "say first what happens, with when(...)"),
        (lambda: scenario(Accounts).then_rejected("X"), "then_rejected() is about what follows"),
        (lambda: scenario(Needy), "Needy needs arguments: give an instance of it"),
        (lambda: scenario(int), "neither a built router nor a decorated handler class"),
        (lambda: scenario(Accounts, at=datetime(2026, 1, 1)), "needs an aware datetime"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused(wrong: Callable[[], AnyValue], text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        wrong()
    assert text in str(caught.value)


def test_a_scenario_that_is_never_awaited_warns() -> None:
    with pytest.warns(RuntimeWarning, match=r"scenario\(Accounts\) was never awaited, so it tested nothing"):
        scenario(Accounts).when(Deposit(amount=1)).then_nothing()
