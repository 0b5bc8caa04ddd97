from angzarr.messages import EventBook
from angzarr.testing.performing import history_of
from angzarr.testing.probes import is_likely, samples
from angzarr.testing.scenarios import DEFAULT_AT
from angzarr.testing.subject import subjects_of
from tests.bank.messages import AccountOpened, CloseAccount, Deposit, Deposited, OpenAccount, Withdraw
from tests.testing.kinds import Kinds, Tree
from tests.testing.planted import honest

(ACCOUNTS,) = subjects_of(honest())


def after(*events: AccountOpened | Deposited) -> EventBook:
    return history_of(ACCOUNTS.own_cover(), events, DEFAULT_AT)


async def test_a_command_that_can_be_accepted_now_is_likely() -> None:
    opened = after(AccountOpened(owner="a"), Deposited(amount=1))
    assert await is_likely(ACCOUNTS, after(), OpenAccount)
    assert await is_likely(ACCOUNTS, opened, Withdraw)
    assert await is_likely(ACCOUNTS, opened, CloseAccount)


async def test_a_command_that_is_refused_in_any_case_is_not() -> None:
    assert not await is_likely(ACCOUNTS, after(), Deposit)
    assert not await is_likely(ACCOUNTS, after(AccountOpened(owner="a")), OpenAccount)
    assert not await is_likely(ACCOUNTS, after(AccountOpened(owner="a")), Withdraw)


def test_samples_have_everything_set_or_nothing() -> None:
    filled, empty = samples(Kinds)
    assert isinstance(filled, Kinds)
    assert (filled.an_int64, filled.a_string, filled.numbers, filled.choice_text) == (1, "a", [1], "a")
    assert filled.leaf.text == "a"
    assert empty == Kinds()


def test_samples_of_recursive_classes_end() -> None:
    filled, _ = samples(Tree)
    assert isinstance(filled, Tree)
    assert filled.next.next.value == 1
