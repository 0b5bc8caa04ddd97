import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import betterproto
import pytest

from angzarr.errors import BuildError, UnregisteredMessageError
from angzarr.router import (
    CommandHandlerRouter,
    ProcessManagerRouter,
    ProjectorRouter,
    Router,
    SagaRouter,
    UpcasterRouter,
    applies,
    command_handler,
    handles,
    process_manager,
    projector,
    saga,
    upcaster,
)
from tests.bank.domain import Accounts, AccountV2, Onboardings, Statements, Transfers, bank
from tests.bank.messages import Account, AccountOpened, Deposit, Deposited, Onboarding, Withdraw
from tests.router.helpers import (
    command_router,
    process_router,
    projector_router,
    saga_router,
    upcaster_router,
)


def refused(*classes: Any) -> BuildError:
    router = Router("bank")
    for cls in classes:
        router.with_handler(cls, cls)
    with pytest.raises(BuildError) as caught:
        router.build()
    return caught.value


def decorated(decorator: Callable[[type], type]) -> type:
    class Handler: ...

    return decorator(Handler)


def test_each_kind_builds_its_router() -> None:
    assert [type(router) for router in bank()] == [
        CommandHandlerRouter,
        SagaRouter,
        ProcessManagerRouter,
        ProjectorRouter,
        UpcasterRouter,
    ]
    assert [router.kind for router in bank()] == [
        "command_handler",
        "saga",
        "process_manager",
        "projector",
        "upcaster",
    ]


def test_with_handler_returns_the_router_and_does_not_call_the_factory() -> None:
    router = Router("bank")
    assert router.with_handler(Accounts, lambda: pytest.fail("called")) is router
    assert router.name == "bank"


def test_an_undecorated_class_is_refused_at_once() -> None:
    with pytest.raises(BuildError) as caught:
        Router("bank").with_handler(object, object)
    assert (caught.value.code, str(caught.value)) == ("HANDLER_UNKNOWN_KIND", "unknown handler kind")
    assert caught.value.details == {"handler_class": "object", "handler_kind": "<undecorated>"}


def test_a_kind_that_does_not_exist_is_refused() -> None:
    class Odd:
        __angzarr_kind__ = "oracle"
        __angzarr_meta__: ClassVar[dict[str, Any]] = {}

    error = refused(Odd)
    assert error.code == "HANDLER_UNKNOWN_KIND"
    assert error.details == {"handler_class": "Odd", "handler_kind": "oracle"}


def test_a_router_without_handlers_is_refused() -> None:
    error = refused()
    assert (error.code, str(error)) == ("ROUTER_NO_HANDLERS", "no handlers registered on Router")
    assert error.details == {"router_name": "bank"}


def test_kinds_do_not_mix() -> None:
    error = refused(Transfers, Accounts)
    assert error.code == "MIXED_HANDLER_KINDS"
    assert str(error) == "cannot mix handler kinds in one Router — all handlers must share a kind"
    assert error.details == {
        "handler_kind": "command_handler",
        "other_kind": "saga",
        "router_name": "bank",
    }


_pm: dict[str, Any] = {"name": "p", "pm_domain": "p", "sources": ["a"], "targets": ["b"], "state": Account}


@pytest.mark.parametrize(
    ("decorator", "field"),
    [
        (command_handler(domain="", state=Account), "domain"),
        (command_handler(domain=7, state=Account), "domain"),  # type: ignore[arg-type]
        (saga(name="", source="", target=""), "name"),
        (saga(name="s", source="", target=""), "source"),
        (saga(name="s", source="a", target=""), "target"),
        (process_manager(**{**_pm, "name": ""}), "name"),
        (process_manager(**{**_pm, "pm_domain": None}), "pm_domain"),
        (projector(name="", domains=[]), "name"),
        (upcaster(name="", domain=""), "name"),
        (upcaster(name="u", domain=""), "domain"),
    ],
)
def test_names_and_domains_are_non_empty_strings(decorator: Any, field: str) -> None:
    error = refused(decorated(decorator))
    assert error.code == "HANDLER_FIELD_EMPTY_STRING"
    assert str(error) == "handler field must be a non-empty string"
    assert error.details == {"handler_class": "Handler", "field": field}


@pytest.mark.parametrize(
    ("decorator", "field"),
    [
        (process_manager(**{**_pm, "sources": []}), "sources"),
        (process_manager(**{**_pm, "sources": ("a",)}), "sources"),
        (process_manager(**{**_pm, "targets": []}), "targets"),
        (projector(name="v", domains=[]), "domains"),
        (projector(name="v", domains=("a",)), "domains"),  # type: ignore[arg-type]
        (projector(name="v", domains="a"), "domains"),  # type: ignore[arg-type]
    ],
)
def test_lists_are_non_empty_lists(decorator: Any, field: str) -> None:
    error = refused(decorated(decorator))
    assert error.code == "HANDLER_FIELD_EMPTY_LIST"
    assert str(error) == "handler field must be a non-empty list"
    assert error.details == {"handler_class": "Handler", "field": field}


@pytest.mark.parametrize(
    "decorator",
    [
        command_handler(domain="d", state=Account()),  # type: ignore[arg-type]
        process_manager(**{**_pm, "state": "Account"}),
    ],
)
def test_the_state_is_a_type(decorator: Any) -> None:
    error = refused(decorated(decorator))
    assert (error.code, str(error)) == ("HANDLER_STATE_NOT_TYPE", "handler 'state' must be a type")
    assert error.details == {"handler_class": "Handler", "field": "state"}


def test_classes_are_checked_in_the_order_of_registration() -> None:
    first = decorated(saga(name="", source="a", target="b"))
    second = decorated(saga(name="s", source="", target="b"))
    assert refused(second, first).details["field"] == "source"


def test_a_command_has_one_handler_in_a_domain() -> None:
    @command_handler(domain="account", state=Account)
    class More:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> None: ...

    error = refused(Accounts, More)
    assert error.code == "DUPLICATE_COMMAND_HANDLER"
    assert str(error) == "duplicate command handler registration for (domain, type_url)"
    assert error.details == {
        "domain": "account",
        "type_url": "type.googleapis.com/bank.Deposit",
        "router_name": "bank",
    }


def test_a_command_has_one_handler_in_a_class() -> None:
    @command_handler(domain="account", state=Account)
    class Twice:
        @handles(Deposit)
        def first(self, command: Deposit) -> None: ...

        @handles(Deposit)
        def second(self, command: Deposit) -> None: ...

    assert refused(Twice).code == "DUPLICATE_COMMAND_HANDLER"
    assert refused(Accounts, Accounts).code == "DUPLICATE_COMMAND_HANDLER"


def test_one_command_may_have_a_handler_in_each_domain() -> None:
    @command_handler(domain="savings", state=Account)
    class Savings:
        @handles(Deposit)
        def deposit(self, command: Deposit) -> None: ...

    assert len(command_router(Accounts, Savings)) == 2


def test_factories_of_command_handlers_are_called_once_and_others_never() -> None:
    calls: list[type] = []

    def noting(cls: type) -> Callable[[], Any]:
        def factory() -> Any:
            calls.append(cls)
            return cls()

        return factory

    command_router((Accounts, noting(Accounts)))
    saga_router((Transfers, noting(Transfers)))
    process_router((Onboardings, noting(Onboardings)))
    projector_router((Statements, noting(Statements)))
    upcaster_router((AccountV2, noting(AccountV2)))
    assert calls == [Accounts]


def test_an_async_factory_is_called_too_and_left_unawaited() -> None:
    ran = []

    async def factory() -> Accounts:
        ran.append(True)
        return Accounts()

    command_router((Accounts, factory))
    assert ran == []


def test_a_factory_that_raises_fails_the_build_and_is_named() -> None:
    def factory() -> Accounts:
        raise OSError("no database")

    with pytest.raises(OSError, match="no database") as caught:
        command_router((Accounts, factory))
    assert caught.value.__notes__ == ["raised by the factory of Accounts, which build() calls once"]


def test_a_parameter_that_nobody_gives_is_refused() -> None:
    @command_handler(domain="account", state=Account)
    class Greedy:
        @handles(Deposit)
        def deposit(self, command: Deposit, state: Account, sequence: int, database: object) -> None: ...

    error = refused(Greedy)
    assert error.code == "HANDLER_SIGNATURE"
    assert error.details["handler_class"] == "Greedy"
    assert error.details["method"] == "deposit"
    assert error.details["field"] == "database"


def test_snapshots_need_a_message_as_state() -> None:
    @command_handler(domain="account", state=dict, snapshot_every=10)
    class Handler: ...

    error = refused(Handler)
    assert error.code == "HANDLER_STATE_NOT_MESSAGE"
    assert error.details == {"handler_class": "Handler", "field": "state"}


def test_classes_of_one_domain_share_the_state_that_is_snapshot() -> None:
    @command_handler(domain="account", state=Account, snapshot_every=10)
    class First: ...

    @command_handler(domain="account", state=Onboarding)
    class Second: ...

    @command_handler(domain="savings", state=Onboarding)
    class Elsewhere: ...

    assert len(command_router(First, Elsewhere)) == 2
    error = refused(First, Second)
    assert error.code == "HANDLER_STATE_CONFLICT"
    assert error.details == {"handler_class": "First", "field": "state"}


@dataclass(eq=False, repr=False)
class Stranger(betterproto.Message):
    name: str = betterproto.string_field(1)


def test_a_message_class_without_a_name_is_refused_with_the_remedy() -> None:
    @command_handler(domain="account", state=Account)
    class Handler:
        @applies(Stranger)
        def strange(self, state: Account, event: Stranger) -> None: ...

    with pytest.raises(UnregisteredMessageError, match="angzarr protos compile"):
        command_router(Handler)


@pytest.mark.parametrize("wrong", [0, -1])
def test_a_state_cache_has_a_size(wrong: int) -> None:
    with pytest.raises(ValueError, match="state_cache"):
        Router("bank", state_cache=wrong)


def test_a_router_knows_its_name_and_size() -> None:
    router = command_router(Accounts)
    assert (router.name, router.handler_count(), len(router)) == ("account", 1, 1)
    assert saga_router(Transfers).name == "transfers"
    assert upcaster_router(AccountV2).name == "account-v2"


def test_entries_pair_each_compiled_class_with_what_makes_its_instances() -> None:
    made = Accounts()
    router = Router("bank").with_handler(Accounts, lambda: made).build()
    (entry,) = router.entries
    assert entry.compiled.info is router.handlers[0]
    assert next(iter(entry.compiled.appliers)) == "bank.AccountOpened"
    assert entry.factory() is made


def test_a_router_tells_what_it_was_built_from() -> None:
    info = command_router(Accounts).handlers[0]
    assert (info.cls, info.kind, info.name, info.domain) == (
        Accounts,
        "command_handler",
        "account",
        "account",
    )
    assert info.state_type is Account
    assert info.supports_replay
    assert info.snapshot_every is None
    assert list(info.handles) == [
        "bank.OpenAccount",
        "bank.Deposit",
        "bank.Withdraw",
        "bank.RequestTransfer",
        "bank.ReceiveTransfer",
        "bank.CloseAccount",
    ]
    assert info.handles["bank.Withdraw"] is Withdraw
    assert list(info.facts) == ["bank.InterestPosted"]
    assert info.applies["bank.AccountOpened"] is AccountOpened
    assert info.rejected == (("account", "ReceiveTransfer"),)


def test_the_data_of_reactions_names_domains() -> None:
    saga_info = saga_router(Transfers).handlers[0]
    assert (saga_info.source, saga_info.target) == ("account", "account")
    assert (saga_info.sources, saga_info.targets, saga_info.sync_targets) == (
        ("account",),
        ("account",),
        (),
    )
    process_info = process_router(Onboardings).handlers[0]
    assert process_info.pm_domain == "onboarding"
    assert (process_info.sources, process_info.targets) == (("account",), ("mail",))
    assert process_info.applies["bank.OnboardingStarted"]
    assert projector_router(Statements).handlers[0].domains == ("account",)
    assert upcaster_router(AccountV2).handlers[0].upcasts[0][0].__name__ == "AccountOpenedV1"


def test_methods_are_found_in_definition_order_along_the_mro() -> None:
    class Base:
        @handles(Withdraw)
        def a_withdraw(self, command: Withdraw) -> None: ...

    @command_handler(domain="account", state=Account)
    class Derived(Base):
        @handles(Deposit)
        def z_deposit(self, command: Deposit) -> None: ...

    assert list(command_router(Derived).handlers[0].handles) == ["bank.Deposit", "bank.Withdraw"]


@dataclass
class Saga:
    name: str
    target: str
    sync: bool = False
    made: type = field(init=False)

    def __post_init__(self) -> None:
        self.made = decorated(saga(name=self.name, source="a", target=self.target, sync=self.sync))


def test_sagas_list_their_targets_once_and_those_they_wait_for() -> None:
    router = saga_router(
        Saga("one", "table").made, Saga("two", "hand", sync=True).made, Saga("three", "table").made
    )
    assert router.output_domains() == ["table", "hand"]
    assert router.sync_output_domains() == ["hand"]
    assert router.has_async_outputs()


def test_sagas_that_disagree_on_a_target_make_it_both_sync_and_async() -> None:
    router = saga_router(Saga("one", "table", sync=True).made, Saga("two", "table").made)
    assert router.sync_output_domains() == ["table"]
    assert router.has_async_outputs()
    assert not saga_router(Saga("one", "table", sync=True).made).has_async_outputs()


def test_process_managers_list_their_targets_and_those_they_wait_for() -> None:
    first = decorated(process_manager(**{**_pm, "targets": ["a", "b"], "sync_targets": ["b"]}))
    second = decorated(process_manager(**{**_pm, "targets": ["b"], "sync_targets": ["b"]}))
    router = process_router(first, second)
    assert router.output_domains() == ["a", "b"]
    assert router.sync_output_domains() == ["b"]
    assert router.has_async_outputs()
    assert not process_router(second).has_async_outputs()


@pytest.mark.parametrize("index", [0, 3, 4])
def test_the_other_kinds_have_no_outputs(index: int) -> None:
    router = bank()[index]
    assert router.output_domains() == []
    assert router.sync_output_domains() == []
    assert not router.has_async_outputs()


def test_the_optional_rpcs_of_command_handlers_follow_the_declarations() -> None:
    @command_handler(domain="savings", state=Account)
    class Plain:
        @applies(Deposited)
        def deposited(self, state: Account) -> None: ...

    assert command_router(Accounts).supports_handle_fact()
    assert command_router(Accounts).supports_replay()
    assert command_router(Plain, Accounts).supports_replay()
    assert not command_router(Plain).supports_handle_fact()
    assert not command_router(Plain).supports_replay()


def test_one_handler_of_a_router_can_be_taken_out() -> None:
    one = Saga("one", "table").made
    router = saga_router(one, Saga("two", "hand").made)
    assert router.only("one").handlers[0].cls is one
    assert len(router.only("one")) == 1
    with pytest.raises(LookupError, match="three"):
        router.only("three")


def test_a_traceback_shows_which_class_and_field_is_meant() -> None:
    @projector(name="view", domains=[])
    class View: ...

    with pytest.raises(BuildError) as caught:
        Router("views").with_handler(View, View).build()
    assert "".join(traceback.format_exception_only(caught.value)) == (
        "angzarr.errors.BuildError: handler field must be a non-empty list\n"
        "HANDLER_FIELD_EMPTY_LIST: handler_class=View, field=domains\n"
    )
