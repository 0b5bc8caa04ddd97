import inspect
from collections.abc import Iterator

import pytest
from hypothesis import settings

from angzarr.errors import InvalidArgumentError
from angzarr.router import Router
from angzarr.testing import LawBroken, ScenarioFailure, check_laws, router_laws, scenario
from angzarr.testing.histories import MAX_EVENTS
from angzarr.testing.laws import LAWS, laws_of
from tests.bank.domain import AccountV2, AccountV3, Statements
from tests.bank.messages import AccountOpened, CloseAccount, Deposit
from tests.testing.planted import BUGS, honest, honest_message

pytestmark = pytest.mark.once

EXPECTED = {
    "an_applier_reads_now": "replay",
    "an_applier_reads_the_running_clock": "replay",
    "an_applier_reads_the_day": "replay",
    "an_applier_reads_whole_seconds": "replay",
    "an_applier_rolls_dice": "replay",
    "an_applier_makes_up_an_id": "replay",
    "an_applier_counts_globally": "replay",
    "an_applier_fills_a_list_of_the_state_class": "replay",
    "an_applier_fills_a_default_argument": "replay",
    "an_applier_fills_a_shared_set": "replay",
    "a_state_factory_gives_one_object_to_all": "replay",
    "an_applier_cannot_take_what_the_handler_emits": "replay",
    "an_applier_keeps_the_state_in_the_handler": "split",
    "a_snapshot_forgets_an_attribute_that_is_no_field": "snapshot",
    "a_snapshot_that_the_handler_makes_forgets_a_field": "snapshot",
    "a_handler_debits_before_it_rejects": "mutation",
    "a_handler_applies_its_own_event": "mutation",
    "a_handler_publishes_before_it_rejects": "rejection",
    "a_rejected_event_comes_with_the_next_command": "rejection",
    "a_handler_remembers_the_last_state": "isolation",
    "a_handler_tosses_a_coin": "isolation",
    "events_are_numbered_from_zero": "sequences",
    "sequences_have_a_gap": "sequences",
    "a_handler_crashes_on_an_unknown_enum_number": "coded",
    "a_handler_divides_by_what_it_is_given": "coded",
    "a_handler_takes_any_bytes_for_a_uuid": "coded",
    "a_rule_is_broken_with_a_plain_exception": "coded",
    "a_handler_returns_a_number": "coded",
    "the_state_holds_what_no_bytes_can_carry": "encoding",
    "an_event_carries_a_local_time": "encoding",
    "a_saga_sends_where_it_never_said": "targets",
    "a_saga_remembers_what_it_has_sent": "isolation",
    "a_process_manager_counts_outside_its_events": "isolation",
    "a_process_manager_changes_its_state_by_hand": "mutation",
    "an_upcaster_drops_an_event": "count",
    "an_upcaster_drops_an_event_quietly": "types",
    "an_upcaster_is_one_event_late": "count",
    "an_upcaster_doubles_each_time": "upcast_again",
    "an_upcaster_reads_the_clock": "purity",
    "an_upcaster_crashes_on_a_name_without_a_space": "coded",
    "a_projector_counts_again": "idempotence",
    "a_projector_divides_by_what_it_is_shown": "coded",
}


@pytest.fixture(autouse=True)
def hypothesis_remembers_nothing() -> Iterator[None]:
    before = settings.get_current_profile_name()
    settings.register_profile("forgetful", settings(), database=None)
    settings.load_profile("forgetful")
    yield
    settings.load_profile(before)


def broken_law(name: str, law: str) -> str:
    """What the law says to the bug of that name."""
    (bound,) = [bound for bound in laws_of(BUGS[name](), max_examples=400) if bound.law.name == law]
    with pytest.raises(LawBroken) as caught:
        bound()
    return str(caught.value)


def test_every_planted_bug_has_a_law_that_finds_it() -> None:
    assert EXPECTED.keys() == BUGS.keys()


@pytest.mark.parametrize(("name", "law"), EXPECTED.items())
def test_it_finds(name: str, law: str) -> None:
    text = broken_law(name, law)
    assert LAWS[law].says in text
    given = text.partition("\ngiven\n")[2].partition("\nwhen\n")[0]
    assert len([line for line in given.splitlines() if line.startswith("    ")]) <= 5 * MAX_EVENTS


def test_a_projector_that_is_not_declared_idempotent_may_count_again() -> None:
    statements = Statements()
    check_laws(Router("s").with_handler(Statements, lambda: statements).build(), max_examples=30)


def test_a_broken_law_is_told_with_a_test_to_paste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    text = broken_law("a_handler_takes_any_bytes_for_a_uuid", "coded")
    assert text.startswith(
        "Planted breaks a law: any payload gets an answer or a coded error, never a crash\n\n"
        "what is wrong\n"
        "    the handler crashed\n"
        "    raised ValueError: bytes is not a 16-char string, at planted.py:"
    )
    assert "\nas a test to paste:\n\nfrom angzarr.testing import scenario\n" in text
    assert (
        "async def test_planted_obeys_coded():\n"
        "    await (\n"
        "        scenario(Planted)\n"
        "        .given(AccountOpened(opened_at=datetime(2026, 1, 1, 12, 0, tzinfo=UTC)))\n"
        "        .when(RequestTransfer())\n"
        '        .then_obeys("coded")\n'
        "    )"
    ) in text


def test_a_law_that_cannot_even_be_tried_is_broken() -> None:
    text = broken_law("the_state_holds_what_no_bytes_can_carry", "snapshot")
    assert "it could not even be tried" in text
    assert "Account.events_seen: -1 is out of range for uint32" in text


async def test_a_pasted_example_fails_while_the_bug_is_there() -> None:
    failing = (
        scenario(BUGS["an_applier_reads_the_day"]())
        .given(AccountOpened(owner="a"))
        .when(CloseAccount())
        .then_obeys("replay")
    )
    with pytest.raises(ScenarioFailure, match="an applier is not pure"):
        await failing


async def test_a_pasted_example_passes_once_the_bug_is_gone() -> None:
    opened = scenario(honest_message()).given(AccountOpened(owner="a"))
    await opened.when(CloseAccount()).then_obeys("replay").then_obeys("snapshot")
    await opened.when(Deposit(amount=0)).then_obeys("rejection", after=Deposit(amount=1))
    await opened.then_obeys("split")


@pytest.mark.parametrize(
    ("law", "text"),
    [
        ("nonsense", "there is no law 'nonsense'; the laws are coded, replay,"),
        ("count", "the law 'count' does not bind Correct, a command handler"),
        ("replay", "the law 'replay' is about something that happens: say when(...) first"),
    ],
)
def test_a_law_that_cannot_be_checked_is_refused(law: str, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        scenario(honest()).then_obeys(law)
    assert text in str(caught.value)


def test_laws_can_be_left_out() -> None:
    check_laws(BUGS["an_applier_reads_the_day"](), skip=("replay",), max_examples=5)


def test_leaving_out_a_law_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="there is no law 'reply'"):
        router_laws(honest(), skip=("reply",))


def test_the_laws_of_several_classes_are_told_apart() -> None:
    router = Router("u").with_handler(AccountV2, AccountV2).with_handler(AccountV3, AccountV3).build()
    names = [bound.name for bound in laws_of(router)]
    assert "AccountV2-count" in names
    assert "AccountV3-count" in names


def test_the_documentation_names_every_law() -> None:
    told = inspect.getdoc(router_laws) or ""
    assert [name for name in LAWS if f"``{name}``" not in told] == []


test_the_honest_domain_obeys_the_laws = router_laws(honest(), max_examples=10)
