from datetime import UTC, datetime

from angzarr.errors import CommandRejectedError
from angzarr.messages import NoOp, frozen, has_field, pack
from angzarr.testing import ScenarioContext, uuid_for

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_new_context_is_empty() -> None:
    assert ScenarioContext() == ScenarioContext(
        domain="", root=b"", events=[], result=None, error=None, state=None
    )


def test_contexts_do_not_share_their_history() -> None:
    ScenarioContext().add_event(NoOp())
    assert ScenarioContext().events == []


def test_an_added_event_is_packed() -> None:
    context = ScenarioContext()
    context.add_event(NoOp(original_sequence=3))
    assert context.events == [pack(NoOp(original_sequence=3))]


def test_the_book_numbers_the_history_from_zero() -> None:
    context = ScenarioContext(domain="player", root=uuid_for("player-alice"))
    context.add_event(NoOp(original_sequence=3))
    context.add_event(NoOp(original_sequence=4))
    with frozen(NOON):
        book = context.event_book()
    assert (book.cover.domain, book.cover.root.value) == ("player", uuid_for("player-alice"))
    assert [(page.header.sequence, page.created_at) for page in book.pages] == [(0, NOON), (1, NOON)]
    assert [page.event for page in book.pages] == context.events
    assert book.next_sequence == 2


def test_the_books_root_is_present_even_when_empty() -> None:
    assert has_field(ScenarioContext().event_book().cover, "root")


def test_clearing_the_events_leaves_the_rest() -> None:
    context = ScenarioContext(domain="player", root=b"r", events=[pack(NoOp())], result=1, state=2)
    context.clear_events()
    assert context == ScenarioContext(domain="player", root=b"r", events=[], result=1, state=2)


def test_clearing_the_result_clears_the_error_and_nothing_else() -> None:
    events = [pack(NoOp())]
    context = ScenarioContext("player", b"r", events, result=1, error=CommandRejectedError("no"), state=2)
    context.clear_result()
    assert context == ScenarioContext("player", b"r", events, result=None, error=None, state=2)


def test_a_reset_clears_the_history_in_place() -> None:
    events = [pack(NoOp())]
    context = ScenarioContext("player", b"r", events, result=1, error=CommandRejectedError("no"), state=2)
    context.reset()
    assert context == ScenarioContext()
    assert context.events is events == []
