from betterproto import Message

from angzarr.messages import EventBook, EventPage, PageHeader
from angzarr.testing.fields import carries_long_numbers, long_numbers
from tests.bank.messages import CloseAccount, Deposit, Statement, StatementLine


def found(message: Message) -> list[tuple[str, str]]:
    return [(type(owner).__name__, field.name) for owner, field in long_numbers(message)]


def test_a_long_number_is_found_whether_it_is_set_or_not() -> None:
    assert found(Deposit()) == [("Deposit", "amount")]


def test_texts_and_shorter_numbers_are_none() -> None:
    assert found(CloseAccount(reason="x")) == []
    assert found(EventBook(pages=[EventPage(header=PageHeader(sequence=1))])) == []


def test_those_of_held_messages_are_found_with_the_message_they_are_in() -> None:
    line = StatementLine()
    owners = [owner for owner, _ in long_numbers(Statement(lines=[line]))]
    assert found(Statement(lines=[line])) == [("StatementLine", "amount"), ("Statement", "total")]
    assert owners[0] is line


def test_only_messages_that_are_there_are_looked_through() -> None:
    assert found(Statement()) == [("Statement", "total")]


def test_classes_that_may_hold_one_anywhere_are_told_from_others() -> None:
    assert carries_long_numbers(Deposit)
    assert carries_long_numbers(Statement)
    assert not carries_long_numbers(CloseAccount)
    assert not carries_long_numbers(PageHeader)
