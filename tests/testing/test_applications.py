from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, run_state_machine_as_test

from angzarr.app import App
from angzarr.errors import InvalidArgumentError
from angzarr.router import Router, handles, saga
from angzarr.testing import ApplicationMachine, application_machine
from tests.bank.domain import Accounts, Onboardings, Transfers, bank
from tests.bank.messages import AccountOpened, OpenAccount, Withdraw, Withdrawn

QUICK = settings(
    max_examples=6,
    stateful_step_count=6,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def run(machine: type[ApplicationMachine], wanted: settings = QUICK) -> None:
    run_state_machine_as_test(machine, settings=wanted)


def accounts_and(*others: type) -> App:
    classes = (Accounts, *others)
    return App("bank", routers=[Router(cls.__name__).with_handler(cls, cls).build() for cls in classes])


def test_an_application_keeps_its_invariants_among_faults_and_restarts() -> None:
    class Machine(application_machine(accounts_and(Onboardings))):  # type: ignore[misc]
        @invariant()
        def every_account_can_be_rebuilt(self) -> None:
            for account in self.states("account").values():
                assert account.owner or not account.closed

    run(Machine)


def test_a_whole_bank_runs() -> None:
    run(application_machine(App("bank", routers=list(bank())), letters_allowed=True))


@saga(name="greeter", source="account", target="account")
class Greeter:
    """Sends a letter by itself, as if events came exactly once."""

    letters: ClassVar[list[str]] = []

    @handles(AccountOpened)
    def greet(self, event: AccountOpened) -> None:
        self.letters.append(event.owner)


class GreeterMachine(application_machine(accounts_and(Greeter))):  # type: ignore[misc]
    def __init__(self) -> None:
        Greeter.letters.clear()
        super().__init__()

    @invariant()
    def every_opening_gets_one_letter(self) -> None:
        events = [event for root in self.states("account") for event in self.happened("account", root)]
        assert len(Greeter.letters) <= sum(isinstance(event, AccountOpened) for event in events)


def test_a_saga_that_counts_on_being_called_once_is_found() -> None:
    with pytest.raises(AssertionError) as caught:
        run(GreeterMachine, settings(QUICK, max_examples=100))
    notes = "\n".join(caught.value.__notes__)
    assert "'twice'" in notes or "'answer lost'" in notes
    assert "state.account_open_account(command=OpenAccount(" in notes
    assert "events of account/0000000000000000000000000000000" in notes
    assert "    AccountOpened(" in notes


def test_commands_may_depend_on_the_state() -> None:
    class Machine(
        application_machine(  # type: ignore[misc]
            accounts_and(),
            commands={
                OpenAccount: st.just(OpenAccount(owner="ann")),
                Withdraw: lambda account: st.just(Withdraw(amount=account.balance)),
            },
        )
    ):
        @invariant()
        def everything_is_withdrawn_at_once(self) -> None:
            for root in self.states("account"):
                withdrawn = [e for e in self.happened("account", root) if isinstance(e, Withdrawn)]
                assert all(event.balance == 0 for event in withdrawn)

    run(Machine)


def test_settings_hold_for_a_subclass_with_invariants() -> None:
    class Machine(application_machine(accounts_and(), steps=7, max_examples=11)):  # type: ignore[misc]
        @invariant()
        def holds(self) -> None:
            pass

    assert Machine.TestCase.settings.max_examples == 11
    assert Machine.TestCase.settings.stateful_step_count == 7


def test_an_application_without_commands_is_refused() -> None:
    app = App("empty", routers=[Router("t").with_handler(Transfers, Transfers).build()])
    with pytest.raises(InvalidArgumentError, match="handles no commands"):
        application_machine(app)


def test_a_fault_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="there is no fault 'fire'"):
        application_machine(accounts_and(), faults=("fire",))
