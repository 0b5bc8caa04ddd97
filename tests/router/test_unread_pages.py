"""Pages decoded when they are first used: a list to whoever uses it, and bytes to the fold."""

import copy
import functools
import itertools
import operator
import pickle
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from angzarr.codec import DecodeError
from angzarr.messages import EventBook, EventPage, PageHeader, decode, encode, pack
from angzarr.router import rebuild
from angzarr.router.raw.unread import USES, UnreadPages
from tests.bank.domain import Accounts
from tests.bank.messages import AccountOpened, Deposited

AT = datetime(2026, 1, 2, tzinfo=UTC)


def page(sequence: int, event: Any) -> EventPage:
    return EventPage(header=PageHeader(sequence=sequence), created_at=AT, event=pack(event))


PAGES = [
    page(0, AccountOpened(owner="anne")),
    page(1, Deposited(amount=5, balance=5)),
    page(2, Deposited(amount=6, balance=11)),
]
OTHER = page(3, Deposited(amount=1, balance=12))


def unread() -> UnreadPages:
    return UnreadPages([encode(one) for one in PAGES])


def first_and_rest(pages: list[EventPage]) -> tuple[EventPage, list[EventPage]]:
    first, *rest = pages
    return first, rest


def into(before: list[EventPage], change: Callable[[list[EventPage]], Any]) -> list[EventPage]:
    change(before)
    return before


@pytest.mark.parametrize(
    "use",
    [
        list,
        tuple,
        len,
        bool,
        repr,
        lambda pages: functools.reduce(operator.add, ([OTHER], pages, [OTHER])),
        functools.partial(operator.eq, PAGES),
        lambda pages: pages == PAGES,
        lambda pages: pages != PAGES,
        lambda pages: PAGES[:1] != pages,
        lambda pages: pages[0],
        lambda pages: pages[-1],
        lambda pages: pages[1:],
        lambda pages: [*pages],
        lambda pages: (lambda *given: given)(*pages),
        lambda pages: [one.header.sequence for one in pages],
        lambda pages: list(reversed(pages)),
        lambda pages: list(enumerate(pages)),
        lambda pages: list(itertools.pairwise(pages)),
        lambda pages: sorted(pages, key=lambda one: -one.header.sequence),
        first_and_rest,
        lambda pages: operator.add(pages, [OTHER]),
        functools.partial(operator.add, [OTHER]),
        lambda pages: pages + pages,
        lambda pages: pages * 2,
        lambda pages: 2 * pages,
        lambda pages: PAGES[1] in pages,
        lambda pages: OTHER in pages,
        lambda pages: pages.index(PAGES[1]),
        lambda pages: pages.count(PAGES[1]),
        lambda pages: pages.copy(),
        copy.copy,
        copy.deepcopy,
        lambda pages: pickle.loads(pickle.dumps(pages)),
        lambda pages: into(pages, lambda mine: mine.append(OTHER)),
        lambda pages: into(pages, lambda mine: mine.extend([OTHER])),
        lambda pages: into(pages, lambda mine: mine.insert(1, OTHER)),
        lambda pages: into(pages, lambda mine: mine.pop()),
        lambda pages: into(pages, lambda mine: mine.remove(PAGES[1])),
        lambda pages: into(pages, lambda mine: mine.reverse()),
        lambda pages: into(pages, lambda mine: mine.clear()),
        lambda pages: into(pages, lambda mine: mine.sort(key=lambda one: -one.header.sequence)),
        lambda pages: into(pages, lambda mine: mine.__setitem__(0, OTHER)),
        lambda pages: into(pages, lambda mine: mine.__delitem__(0)),
        lambda pages: into(pages, lambda mine: mine.__iadd__([OTHER])),
        lambda pages: into([OTHER], lambda mine: mine.extend(pages)),
        lambda pages: into([OTHER], lambda mine: mine.__iadd__(pages)),
        lambda pages: into([OTHER, OTHER], lambda mine: mine.__setitem__(slice(1, 1), pages)),
        lambda pages: encode(EventBook(pages=pages, next_sequence=3)),
        lambda pages: EventBook(pages=pages) == EventBook(pages=PAGES),
        lambda pages: EventBook(pages=PAGES) == EventBook(pages=pages),
        lambda pages: EventBook(pages=pages).to_dict(),
        lambda pages: decode(EventBook, bytes(EventBook(pages=pages))),
        lambda pages: copy.deepcopy(EventBook(pages=pages)),
        lambda pages: rebuild(Accounts, EventBook(pages=pages)),
    ],
)
def test_they_are_a_list_to_whoever_uses_them(use: Callable[[list[EventPage]], Any]) -> None:
    assert use(unread()) == use(list(PAGES))


def test_every_method_of_a_list_is_thought_of() -> None:
    of_any_object = set(dir(object)) - {
        "__eq__",
        "__ne__",
        "__lt__",
        "__le__",
        "__gt__",
        "__ge__",
        "__repr__",
    }
    assert set(dir(list)) - of_any_object - set(USES) == {"__class_getitem__", "__len__"}


def test_the_fold_leaves_them_unread() -> None:
    book = EventBook(pages=unread(), next_sequence=3)
    assert rebuild(Accounts, book).balance == 11
    assert isinstance(book.pages, UnreadPages)
    assert book.pages.encoded() is not None
    assert len(book.pages) == 3
    assert book.pages.encoded() is not None


def test_the_fold_sees_what_was_changed() -> None:
    book = EventBook(pages=unread(), next_sequence=3)
    book.pages.append(OTHER)
    assert rebuild(Accounts, book).balance == 12


def test_a_malformed_page_is_an_error_for_whoever_reads_it_and_for_the_fold() -> None:
    pages = UnreadPages([encode(PAGES[0]), b"\x0a\xff"])
    with pytest.raises(DecodeError):
        rebuild(Accounts, EventBook(pages=pages))
    with pytest.raises(DecodeError):
        list(pages)


def test_threads_that_read_them_at_the_same_time_see_the_same_pages() -> None:
    pages = UnreadPages([encode(PAGES[1])] * 2000)
    begin, seen = threading.Barrier(4), []

    def read() -> None:
        begin.wait()
        seen.append([id(one) for one in pages])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen[0]) == 2000
    assert all(one == seen[0] for one in seen)
