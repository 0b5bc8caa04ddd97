"""Every rule of `angzarr check`: what it finds, and what it lets be."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from angzarr.app import App
from angzarr.cli.app import run
from angzarr.cli.wiring import RULES, check, wiring_of
from angzarr.destinations import Destinations
from angzarr.messages import CommandBook, Notification
from angzarr.router import (
    Router,
    applies,
    command_handler,
    handles,
    process_manager,
    projector,
    rejected,
    saga,
    upcaster,
    upcasts,
)
from tests.bank.domain import bank
from tests.bank.messages import (
    AccountClosed,
    AccountOpened,
    AccountOpenedV1,
    AccountOpenedV2,
    CloseAccount,
    Deposit,
    Deposited,
    OpenAccount,
    TransferReceived,
    Withdraw,
    Withdrawn,
)

UNUSED = "AZ207"  # the bank's protos hold more than each of these small applications uses


@dataclass
class Balance:
    total: int = 0


@command_handler(domain="account", state=Balance)
class Accounts:
    @applies(Deposited)
    def deposited(self, state: Balance, event: Deposited) -> None:
        state.total += event.amount

    @handles(Deposit)
    def deposit(self, command: Deposit, state: Balance) -> Deposited:
        return Deposited(amount=command.amount)


@command_handler(domain="vault", state=Balance)
class Vault:
    @applies(Withdrawn)
    def withdrawn(self, state: Balance, event: Withdrawn) -> None:
        state.total -= event.amount

    @handles(Withdraw)
    async def withdraw(self, command: Withdraw, state: Balance) -> list[Withdrawn] | None:
        return [Withdrawn(amount=command.amount)]


def found(*classes: Any, ignore: tuple[str, ...] = (UNUSED, "AZ302")) -> list[tuple[str, str, str]]:
    """(rule, where, message) of what there is to say about an application of these handlers."""
    command_handlers = [cls for cls in classes if cls.__angzarr_kind__ == "command_handler"]
    routers = [[cls] for cls in classes if cls not in command_handlers]
    built = []
    for group in ([command_handlers] if command_handlers else []) + routers:
        router = Router(group[0].__name__)
        for cls in group:
            router = router.with_handler(cls, cls)
        built.append(router.build())
    findings = check(wiring_of(App("checked", routers=built)), ignore=ignore)
    return [(finding.rule, finding.where, finding.message) for finding in findings]


def test_a_sound_application_gives_no_finding() -> None:
    @saga(name="keep", source="account", target="vault")
    class Keep:
        @handles(Deposited)
        def deposited(self, event: Deposited, destinations: Destinations) -> CommandBook:
            return destinations.command_for("vault", b"\0" * 16, Withdraw(amount=event.amount))

    assert found(Accounts, Vault, Keep) == []


def test_a_command_that_nobody_handles_is_found() -> None:
    @saga(name="keep", source="account", target="vault")
    class Keep:
        @handles(Deposited)
        def deposited(self, event: Deposited, destinations: Destinations) -> CommandBook:
            return destinations.command_for("vault", b"\0" * 16, OpenAccount(owner="x"))

    assert found(Accounts, Vault, Keep) == [
        ("AZ101", "Keep.deposited", "sends OpenAccount to vault, where nobody handles it")
    ]


def test_a_target_that_is_not_declared_is_found() -> None:
    @process_manager(name="flow", pm_domain="flow", sources=["account"], targets=["vault"], state=Balance)
    class Flow:
        @handles(Deposited)
        def deposited(self, event: Deposited, state: Balance, destinations: Destinations) -> Any:
            return destinations.command_for(domain="account", root=b"\0" * 16, message=Deposit(amount=1))

    assert ("AZ102", "Flow.deposited", "sends Deposit to account, but declares vault as target") in found(
        Accounts, Vault, Flow
    )


def test_an_upcast_into_nothing_is_found() -> None:
    @upcaster(name="old", domain="account")
    class Old:
        @upcasts(AccountOpenedV1, AccountOpenedV2)
        def opened(self, old: AccountOpenedV1) -> AccountOpenedV2:
            return AccountOpenedV2()

    assert found(Accounts, Old) == [
        ("AZ103", "Old", "turns AccountOpenedV1 into AccountOpenedV2, which nobody reads")
    ]


def test_a_chain_of_upcasts_has_no_gap() -> None:
    @upcaster(name="old", domain="account")
    class Old:
        @upcasts(AccountOpenedV1, AccountOpenedV2)
        def first(self, old: AccountOpenedV1) -> AccountOpenedV2:
            return AccountOpenedV2()

        @upcasts(AccountOpenedV2, Deposited)
        def second(self, old: AccountOpenedV2) -> Deposited:
            return Deposited()

    assert found(Accounts, Old) == []


def test_upcasting_a_domain_that_is_not_there_is_found() -> None:
    @upcaster(name="old", domain="acount")
    class Old:
        @upcasts(AccountOpenedV1, AccountOpenedV2)
        def opened(self, old: AccountOpenedV1) -> AccountOpenedV2:
            return AccountOpenedV2()

    assert ("AZ103", "Old", "translates events of 'acount', which no handler serves or reads") in found(
        Accounts, Old
    )


def test_an_event_that_no_one_applies_is_found() -> None:
    @command_handler(domain="account", state=Balance)
    class Forgetful:
        @handles(OpenAccount)
        def open(self, command: OpenAccount, state: Balance) -> AccountOpened:
            return AccountOpened()

        @handles(CloseAccount)
        async def close(self, command: CloseAccount, state: Balance) -> tuple[AccountClosed, ...] | None:
            return (AccountClosed(),)

    assert found(Forgetful) == [
        ("AZ201", "Forgetful.close", "emits AccountClosed, which Forgetful does not apply"),
        ("AZ201", "Forgetful.open", "emits AccountOpened, which Forgetful does not apply"),
    ]


def test_a_domain_that_nobody_serves_is_found_as_source_and_as_target() -> None:
    @saga(name="lost", source="acount", target="valt")
    class Lost:
        @handles(Deposited)
        def deposited(self, event: Deposited) -> None: ...

    assert found(Accounts, Lost) == [
        ("AZ202", "Lost", "listens to 'acount', which no handler of the application serves"),
        ("AZ203", "Lost", "sends commands to 'valt', which no handler of the application serves"),
    ]


def test_a_cycle_of_sagas_is_found_once() -> None:
    @saga(name="there", source="account", target="vault")
    class There:
        @handles(Deposited)
        def deposited(self, event: Deposited, destinations: Destinations) -> CommandBook:
            return destinations.command_for("vault", b"\0" * 16, Withdraw(amount=event.amount))

    @saga(name="back", source="vault", target="account")
    class Back:
        @handles(Withdrawn)
        def withdrawn(self, event: Withdrawn, destinations: Destinations) -> CommandBook:
            return destinations.command_for("account", b"\0" * 16, Deposit(amount=event.amount))

    assert found(Accounts, Vault, There, Back) == [
        ("AZ204", "Back", "account.Deposited → (There) vault.Withdrawn → (Back) account.Deposited")
    ]


def test_a_saga_whose_source_does_not_say_what_it_sends_may_send_anything() -> None:
    @saga(name="echo", source="account", target="account")
    class Echo:
        @handles(Deposited)
        def deposited(self, event: Deposited) -> CommandBook:
            return _somewhere_else()

    assert found(Accounts, Echo) == [("AZ204", "Echo", "account.Deposited → (Echo) account.Deposited")]


def _somewhere_else() -> CommandBook:
    return CommandBook()


def test_a_rejection_that_never_comes_is_found() -> None:
    @command_handler(domain="account", state=Balance)
    class Hopeful:
        @rejected("vault", "Withdrw")
        def refused(self, notification: Notification, state: Balance) -> None: ...

        @rejected("valt", "Withdraw")
        def refused_too(self, notification: Notification, state: Balance) -> None: ...

    assert found(Hopeful, Vault) == [
        ("AZ205", "Hopeful", "handles rejections of 'Withdrw', which is no command of vault"),
        ("AZ205", "Hopeful", "handles rejections from 'valt', which no handler serves"),
    ]


def test_a_reaction_to_an_event_that_nobody_emits_is_found() -> None:
    @projector(name="view", domains=["account"])
    class View:
        @handles(Deposited)
        def deposited(self, event: Deposited) -> None: ...

        @handles(TransferReceived)
        def received(self, event: TransferReceived) -> None: ...

    assert found(Accounts, View) == [
        ("AZ206", "View", "waits for TransferReceived, which no handler of account emits")
    ]


def test_a_projector_of_every_domain_may_wait_for_anything() -> None:
    @projector(name="all", domains=["*"])
    class Everything:
        @handles(TransferReceived)
        def received(self, event: TransferReceived) -> None: ...

    assert found(Accounts, Everything) == []


def test_a_message_that_nothing_uses_is_found() -> None:
    messages = [where for rule, where, _ in found(Accounts, ignore=()) if rule == UNUSED]

    assert "CloseAccount" in messages
    assert "Deposit" not in messages
    assert "Deposited" not in messages


def test_an_applier_of_an_event_that_nobody_emits_is_noted() -> None:
    @command_handler(domain="account", state=Balance)
    class Old:
        @applies(Deposited)
        def deposited(self, state: Balance, event: Deposited) -> None: ...

        @applies(AccountClosed)
        def closed(self, state: Balance, event: AccountClosed) -> None: ...

        @handles(Deposit)
        def deposit(self, command: Deposit, state: Balance) -> Deposited:
            return Deposited()

    assert found(Old) == [
        ("AZ301", "Old", "applies AccountClosed, which no handler of account says it emits")
    ]


def test_a_refusal_that_nobody_hears_is_noted() -> None:
    @saga(name="keep", source="account", target="vault")
    class Keep:
        @handles(Deposited)
        def deposited(self, event: Deposited, destinations: Destinations) -> CommandBook:
            return destinations.command_for("vault", b"\0" * 16, Withdraw(amount=event.amount))

    assert found(Accounts, Vault, Keep, ignore=(UNUSED,)) == [
        ("AZ302", "Keep.deposited", "sends Withdraw to vault, and nobody handles its rejection")
    ]


def test_a_handler_that_does_not_say_what_it_emits_is_noted() -> None:
    @command_handler(domain="account", state=Balance)
    class Silent:
        @handles(Deposit)
        def deposit(self, command: Deposit, state: Balance):  # type: ignore[no-untyped-def]
            return Deposited()

    assert found(Silent) == [
        ("AZ303", "Silent.deposit", "does not say in its return annotation which events it emits")
    ]


def test_the_whole_bank_has_no_error() -> None:
    findings = check(wiring_of(App("bank", routers=bank())))

    assert [finding for finding in findings if finding.rule.startswith("AZ1")] == []


def test_every_rule_has_an_id_of_its_own_and_an_explanation() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(len(rule.explanation) > 80 for rule in RULES)


# The command

BROKEN = "tests.cli.test_check:broken_app"


@command_handler(domain="account", state=Balance)
class Broken:
    @handles(OpenAccount)
    def open(self, command: OpenAccount, state: Balance) -> AccountOpened:
        return AccountOpened()


broken_app = App("broken", routers=[Router("broken").with_handler(Broken, Broken).build()])
sound_app = App("sound", routers=[Router("sound").with_handler(Accounts, Accounts).build()])


def test_findings_are_told_and_exit_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", BROKEN, "--ignore", UNUSED]) == 1

    assert capsys.readouterr().out == (
        "warning AZ201 Broken.open: emits AccountOpened, which Broken does not apply\n"
        "1 warning\n"
        "angzarr check --explain AZ201 says more\n"
    )


def test_findings_are_json_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", BROKEN, "--ignore", UNUSED, "--json"]) == 1

    assert json.loads(capsys.readouterr().out) == [
        {
            "rule": "AZ201",
            "severity": "warning",
            "where": "Broken.open",
            "message": "emits AccountOpened, which Broken does not apply",
        }
    ]


def test_warnings_may_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", BROKEN, "--lenient"]) == 0


def test_a_sound_application_exits_with_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "tests.cli.test_check:sound_app", "--ignore", UNUSED]) == 0

    assert capsys.readouterr().out == "nothing found\n"


def test_a_rule_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--explain", "AZ204"]) == 0

    assert (
        "leads, through sagas, process managers and the commands they send, back to itself"
        in capsys.readouterr().out
    )


def test_the_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--rules"]) == 0

    assert [line[:5] for line in capsys.readouterr().out.splitlines()] == [rule.id for rule in RULES]


def test_an_unknown_rule_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "x:y", "--ignore", "AZ999"]) == 2

    assert capsys.readouterr().err.startswith("error: 'AZ999' is no rule\n")
