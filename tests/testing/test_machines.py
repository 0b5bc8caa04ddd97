from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, run_state_machine_as_test

from angzarr.errors import InvalidArgumentError
from angzarr.router import command_handler
from angzarr.testing import AggregateMachine, aggregate_machine
from angzarr.testing.strategies import everyday_messages
from tests.bank.domain import Transfers
from tests.bank.messages import Account, Deposit, Withdraw
from tests.testing.planted import BUGS, Balance, honest, honest_message
from tests.testing.purses import Purse, Purses
from tests.testing.shop import Money

QUICK = settings(
    max_examples=30,
    stateful_step_count=8,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def run(machine: type[AggregateMachine], wanted: settings = QUICK) -> None:
    run_state_machine_as_test(machine, settings=wanted)


def test_a_correct_aggregate_lives_through_anything() -> None:
    class Machine(aggregate_machine(honest())):  # type: ignore[misc]
        @invariant()
        def nobody_is_in_debt(self) -> None:
            assert isinstance(self.state, Balance)
            assert self.state.amount >= 0

    run(Machine)


def test_a_broken_invariant_is_found_and_told_with_a_test_to_paste() -> None:
    class Machine(aggregate_machine(honest_message())):  # type: ignore[misc]
        @invariant()
        def nobody_is_rich(self) -> None:
            assert self.state.balance < 7

    with pytest.raises(AssertionError) as caught:
        run(Machine, settings(QUICK, max_examples=200))
    notes = "\n".join(caught.value.__notes__)
    assert "state.open_account(command=OpenAccount())" in notes
    assert "state.deposit(command=Deposit(amount=7))" in notes
    assert "Deposited(amount=7, balance=7)" in notes
    assert '.then_state(Account(owner="nobody", balance=7))' in notes


@pytest.mark.parametrize(
    "bug",
    ["an_applier_reads_now", "a_handler_applies_its_own_event", "a_handler_divides_by_what_it_is_given"],
)
def test_laws_are_checked_on_the_way(bug: str) -> None:
    with pytest.raises(AssertionError, match="Planted breaks a law"):
        run(aggregate_machine(BUGS[bug]()), settings(QUICK, max_examples=200))


def test_commands_may_depend_on_the_state() -> None:
    class Machine(
        aggregate_machine(  # type: ignore[misc]
            honest_message(),
            commands={
                Withdraw: lambda state: st.builds(Withdraw, amount=st.just(max(1, state.balance))),
                Deposit: everyday_messages(Deposit, amount=5),
            },
        )
    ):
        @invariant()
        def everything_is_withdrawn_at_once(self) -> None:
            assert isinstance(self.state, Account)
            assert self.state.balance % 5 == 0

    run(Machine)


def test_the_machine_has_a_test_case_for_pytest_and_unittest() -> None:
    machine = aggregate_machine(honest(), steps=7, max_examples=11)
    assert machine.TestCase.settings.max_examples == 11
    assert machine.TestCase.settings.stateful_step_count == 7


def test_settings_hold_for_a_subclass_with_invariants() -> None:
    class Machine(aggregate_machine(honest(), steps=7, max_examples=11)):  # type: ignore[misc]
        @invariant()
        def holds(self) -> None:
            pass

    assert Machine.TestCase.settings.max_examples == 11
    assert Machine.TestCase.settings.stateful_step_count == 7


def test_only_command_handlers_make_a_machine() -> None:
    with pytest.raises(InvalidArgumentError, match="takes a router of command handlers"):
        aggregate_machine(Transfers)


def one_too_many(purse: Purse, money: Money) -> bool:
    there_are = purse.cents[money.currency]
    return money.cents > there_are + bool(there_are)


def all_currencies_are_one(purse: Purse, money: Money) -> bool:
    return money.cents > sum(purse.cents.values())


@pytest.mark.parametrize("wrong", [one_too_many, all_currencies_are_one])
def test_a_limit_on_amounts_within_messages_is_met(wrong: Callable[[Purse, Money], bool]) -> None:
    @command_handler(domain="purse", state=Purse)
    class Wrong(Purses):
        def takes_too_much(self, purse: Purse, money: Money) -> bool:
            return wrong(purse, money)

    class Machine(aggregate_machine(Wrong)):  # type: ignore[misc]
        @invariant()
        def nothing_is_owed(self) -> None:
            assert isinstance(self.state, Purse)
            assert all(cents >= 0 for cents in self.state.cents.values())

    with pytest.raises(AssertionError) as caught:
        run(Machine, settings(QUICK, max_examples=400))
    assert "\n".join(caught.value.__notes__).count("state.put_in(") == 1
