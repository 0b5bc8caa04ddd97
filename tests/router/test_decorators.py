import functools
from typing import Any

import pytest

from angzarr.router import (
    applies,
    command_handler,
    handles,
    handles_fact,
    process_manager,
    projector,
    rejected,
    saga,
    state_factory,
    upcaster,
    upcasts,
)
from tests.bank.messages import Account, AccountOpened, AccountOpenedV1, Deposit, Deposited

KINDS: dict[str, Any] = {
    "command_handler": command_handler(domain="d", state=Account),
    "saga": saga(name="s", source="a", target="b"),
    "process_manager": process_manager(name="p", pm_domain="p", sources=["a"], targets=["b"], state=Account),
    "projector": projector(name="v", domains=["a"]),
    "upcaster": upcaster(name="u", domain="d"),
}
METHODS: dict[str, Any] = {
    "handles": handles(Deposit),
    "handles_fact": handles_fact(Deposited),
    "applies": applies(Deposited),
    "rejected": rejected("inventory", "ReserveStock"),
    "state_factory": state_factory,
    "upcasts": upcasts(AccountOpenedV1, AccountOpened),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_decorator_marks_the_class_and_returns_it(kind: str) -> None:
    class Plain: ...

    assert KINDS[kind](Plain) is Plain
    assert getattr(Plain, "__angzarr_kind__") == kind  # noqa: B009


def test_the_metadata_holds_the_arguments() -> None:
    @command_handler(domain="account", state=Account, supports_replay=True, snapshot_every=50)
    class Handler: ...

    @process_manager(name="p", pm_domain="pd", sources=["a"], targets=["b", "c"], state=Account)
    class Manager: ...

    handler: Any = Handler
    manager: Any = Manager
    assert handler.__angzarr_meta__ == {
        "domain": "account",
        "state": Account,
        "supports_replay": True,
        "snapshot_every": 50,
    }
    assert manager.__angzarr_meta__["sync_targets"] == []


def test_an_option_that_the_reference_client_lacks_is_in_the_metadata_only_when_it_is_used() -> None:
    @command_handler(domain="account", state=Account)
    class Handler: ...

    handler: Any = Handler
    assert handler.__angzarr_meta__ == {"domain": "account", "state": Account, "supports_replay": False}


@pytest.mark.parametrize(
    "incomplete",
    [
        lambda: command_handler(domain="d"),  # type: ignore[call-arg]
        lambda: saga(name="s", source="a"),  # type: ignore[call-arg]
        lambda: process_manager(name="p", pm_domain="p", sources=["a"], state=int),  # type: ignore[call-arg]
        lambda: projector(name="v"),  # type: ignore[call-arg]
        lambda: upcaster(name="u"),  # type: ignore[call-arg]
        lambda: command_handler("d", Account),  # type: ignore[call-arg]
    ],
)
def test_a_missing_or_positional_argument_is_a_type_error(incomplete: Any) -> None:
    with pytest.raises(TypeError):
        incomplete()


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_a_class_has_one_kind(first: str, second: str) -> None:
    class Plain: ...

    KINDS[first](Plain)
    with pytest.raises(TypeError, match=f"is a {first} already"):
        KINDS[second](Plain)


def test_a_subclass_of_a_decorated_class_cannot_be_decorated() -> None:
    class Base: ...

    KINDS["saga"](Base)
    with pytest.raises(TypeError, match="saga already"):

        @projector(name="v", domains=["a"])
        class Derived(Base): ...


def test_sync_targets_must_be_among_the_targets() -> None:
    with pytest.raises(ValueError, match="not in targets"):
        process_manager(
            name="p", pm_domain="p", sources=["a"], targets=["b"], state=Account, sync_targets=["c"]
        )


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "10"])
def test_snapshot_every_is_a_positive_number(wrong: Any) -> None:
    with pytest.raises(ValueError, match="snapshot_every"):
        command_handler(domain="d", state=Account, snapshot_every=wrong)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("handles", Deposit),
        ("handles_fact", Deposited),
        ("applies", Deposited),
        ("rejected", ("inventory", "ReserveStock")),
        ("state_factory", True),
        ("upcasts", (AccountOpenedV1, AccountOpened)),
    ],
)
def test_a_method_decorator_marks_the_function_and_returns_it(name: str, value: Any) -> None:
    def method(self: Any, message: Any) -> None: ...

    assert METHODS[name](method) is method
    assert getattr(method, f"__angzarr_{name}__") == value


@pytest.mark.parametrize("first", METHODS)
@pytest.mark.parametrize("second", METHODS)
def test_a_method_has_one_role(first: str, second: str) -> None:
    def method(self: Any, message: Any) -> None: ...

    METHODS[first](method)
    with pytest.raises(TypeError, match=f"carries @{first} already"):
        METHODS[second](method)


@pytest.mark.parametrize("name", ["applies", "state_factory"])
def test_appliers_and_state_factories_are_not_async(name: str) -> None:
    async def method(self: Any, state: Any) -> None: ...

    with pytest.raises(TypeError, match="must not be async"):
        METHODS[name](method)


@pytest.mark.parametrize("bare", [handles, handles_fact, applies])
def test_a_decorator_that_was_not_given_a_class_says_how_to_use_it(bare: Any) -> None:
    def method(self: Any, message: Any) -> None: ...

    with pytest.raises(TypeError, match=r"takes a message class"):
        bare(method)


def test_other_decorators_below_ours_are_fine() -> None:
    def traced(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args)

        return wrapper

    class Handler:
        @handles(Deposit)
        @traced
        def deposit(self, command: Deposit) -> None: ...

    assert Handler.deposit.__angzarr_handles__ is Deposit
